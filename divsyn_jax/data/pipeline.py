"""The training input: shuffled, repeated, mixed windows whose whole state is one integer.

The chain is a pure grain `MapDataset`: source, shuffle, repeat (reshuffled each epoch), mix by weights. Row i of the global
order is a function of i, the seed and the shards alone, so a run continues at any row, on any number of hosts.
Where a run is counted in epochs, all sources are shuffled together, and blank rows without a target fill the last batch.

Shape legend: b rows of this process, L sequence length.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np

from divsyn_jax.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.shards import ShardedWindows, unpack_window

# More rows than any run consumes; a finite end keeps grain's index arithmetic in int64.
_ENDLESS = 1 << 62


@dataclasses.dataclass(frozen=True)
class Source:
    """One component of a mixture or one evaluation domain.

    Attributes:
      name: label in metrics and reports.
      folder: shards folder.
      weight: share of the mixture's tokens, relative to the other weights.
    """

    name: str
    folder: str
    weight: float


def parse_sources(spec: str, root: str = "") -> tuple[Source, ...]:
    """Parse `folder` or `name=folder:weight,name=folder,...` (weight 1 when absent); relative folders lie under `root`.

    Raises `UserError` for an empty part, a weight that is not positive or a repeated name.
    """
    sources = []
    for part in filter(None, spec.split(",")):
        match = re.fullmatch(r"(?:([\w.-]+)=)?(.+?)(?::([0-9.eE+-]+))?", part.strip())
        if not match:
            raise UserError(f"data source {part!r}: use name=folder:weight")
        name, folder, weight = match.groups()
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"data source {part!r}: the weight must be a positive number")
        sources.append(Source(name or pathlib.Path(folder).name, str(pathlib.Path(root, folder)), value))
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise UserError(f"data sources {spec!r}: names must differ; write name=folder")
    return tuple(sources)


class Mixture:
    """Opened training sources and the order of their windows.

    Attributes:
      sources, windows: the sources and their opened shards.
      packing: `concat` (text) or `best_fit` (conversations) in all of them.
      rows: rows that hold every window of every source `epochs` times; None when a run is counted in steps.
      chat_template: the Jinja template that the conversations were rendered with; '' for text.
      identity: what determines the batches.

    Raises `UserError` when a source cannot be opened, the sequence lengths or packings are wrong, or tokenizers differ; and
    for weights beside epochs.
    """

    def __init__(self, sources: Sequence[Source], seq_len: int, seed: int, global_batch: int, epochs: int = 0) -> None:
        if not sources:
            raise UserError(
                "data.train is empty; give a shards folder under data.root, e.g. --config.data.train=corpus"
            )
        self.sources = tuple(sources)
        self.windows = [ShardedWindows(source.folder) for source in sources]
        self._global_batch = global_batch
        self.packing = "best_fit" if self.windows[0].manifest["packing"] == "best_fit" else "concat"
        for source, windows in zip(self.sources, self.windows, strict=True):
            check_shards(source, windows, seq_len, self.packing)
        if epochs and len({source.weight for source in self.sources}) > 1:
            raise UserError(
                "data.train has weights, but epochs take every source whole; leave the weights out, or give steps"
            )
        hashes = [windows.manifest["tokenizer"]["sha256"] for windows in self.windows]
        check_same_tokenizer([(source.folder, sha256) for source, sha256 in zip(self.sources, hashes, strict=True)])
        self.identity = {
            "seq_len": seq_len,
            "seed": seed,
            "global_batch": global_batch,
            **({"epochs": epochs} if epochs else {}),
            "sources": {
                source.name: {"weight": source.weight, "fingerprint": windows.fingerprint}
                for source, windows in zip(self.sources, self.windows, strict=True)
            },
        }
        self.chat_template = _chat_template(self.windows) if self.packing == "best_fit" else ""
        row_of = _Unpack if self.packing == "best_fit" else _Pad
        self._blank = row_of.blank(seq_len)
        components = [
            grain.MapDataset.source(windows).map(row_of(seq_len, index)) for index, windows in enumerate(self.windows)
        ]
        if epochs:
            self.rows = epochs * sum(map(len, components))
            self._rows = grain.MapDataset.concatenate(components).shuffle(seed=seed).repeat()
        else:
            self.rows = None
            components = [component.shuffle(seed=seed + index).repeat() for index, component in enumerate(components)]
            weights = [source.weight for source in sources]
            self._rows = grain.MapDataset.mix(components, weights) if len(components) > 1 else components[0]

    def batches(self, first_batch: int, process: int = 0, processes: int = 1) -> Iterator[dict[str, np.ndarray]]:
        """This process's rows of global batches `first_batch`, `first_batch` + 1, ...: contiguous, in process order.

        Yields:
          Of text: `tokens` [b, L+1] int32 (short windows padded with 0) and `length` [b], tokens that are real. Of
          conversations: the rows of `PACKED_ROWS` in divsyn_jax/data/shards.py, [b, L] int32 each. And `source` [b], the
          source's index, -1 for a blank row.
        """
        rows = self._global_batch // processes
        start = process * rows

        def global_row(local: int) -> dict[str, Any]:
            row = local // rows * self._global_batch + start + local % rows
            return self._blank if self.rows is not None and row >= self.rows else self._rows[row]

        # One thread reading ahead hides the disk; more would only compete with the step on a CPU.
        return iter(
            grain.MapDataset.range(first_batch * rows, _ENDLESS)
            .map(global_row)
            .batch(rows)
            .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4))
        )


@dataclasses.dataclass(frozen=True)
class _Pad(grain.transforms.Map):
    """Pad a window to L+1 tokens and label it with its source."""

    seq_len: int
    source: int

    def map(self, window: np.ndarray) -> dict[str, np.ndarray]:
        tokens = np.zeros(self.seq_len + 1, np.int32)
        tokens[: len(window)] = window
        return {"tokens": tokens, "length": np.int32(len(window)), "source": np.int32(self.source)}

    @classmethod
    def blank(cls, seq_len: int) -> dict[str, np.ndarray]:
        """A row that predicts nothing."""
        return cls(seq_len, -1).map(np.zeros(1, np.int32))


@dataclasses.dataclass(frozen=True)
class _Unpack(grain.transforms.Map):
    """Name and pad the rows of a packed window and label it with its source."""

    seq_len: int
    source: int

    def map(self, window: np.ndarray) -> dict[str, np.ndarray]:
        return {**unpack_window(window, self.seq_len), "source": np.int32(self.source)}

    @classmethod
    def blank(cls, seq_len: int) -> dict[str, np.ndarray]:
        """A row that predicts nothing."""
        return cls(seq_len, -1).map(np.zeros(0, np.int32))


def check_shards(source: Source, windows: ShardedWindows, seq_len: int, packing: str) -> None:
    """Raise `UserError` unless the shards have this sequence length and packing, and hold the tokenizer that made them."""
    manifest = windows.manifest
    if manifest["seq_len"] != seq_len:
        raise UserError(
            f"{source.folder}: windows of {manifest['seq_len']} inputs, the config's seq_len is {seq_len}; build shards with --seq_len={seq_len}"
        )
    if manifest["packing"] != packing:
        flag = "--format=chat" if packing == "best_fit" else f"--packing={packing}"
        raise UserError(
            f"{source.folder}: packed as {manifest['packing']}, {packing} is needed here; build shards with {flag}"
        )
    if tokenizers.digest_of_copy(windows.folder) != manifest["tokenizer"]["sha256"]:
        raise UserError(
            f"{source.folder}: the tokenizer here is not the one the shards were built with; build the shards again"
        )


def _chat_template(windows: Sequence[ShardedWindows]) -> str:
    """The one chat template beside all these shards."""
    templates = []
    for source in windows:
        path = source.folder / TEMPLATE_FILE
        if not path.is_file():
            raise UserError(f"{path}: this chat template is missing; build the shards again")
        templates.append(path.read_text(encoding="utf-8"))
        if templates[-1] != templates[0]:
            first = windows[0].folder
            raise UserError(f"{path}: another chat template than in {first}; build both with the same --system_prompt")
    return templates[0]


def check_same_tokenizer(tokenizers: Sequence[tuple[str, str]]) -> None:
    """Raise `UserError` unless all (place, tokenizer hash) pairs have the same hash."""
    first_place, first = tokenizers[0]
    for place, sha256 in tokenizers[1:]:
        if sha256 != first:
            raise UserError(
                f"{place}: built with another tokenizer ({sha256[:12]}) than {first_place} ({first[:12]}); "
                "build both with the same tokenizer"
            )
