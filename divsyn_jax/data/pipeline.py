"""The training input: shuffled, repeated, mixed windows whose whole state is one integer.

The order is a pure grain `MapDataset` of places (source and window): shuffle, repeat (reshuffled
each epoch), mix by weights. Row i of the global order is a function of i, the seed and the sizes
alone, so a run continues at any row, on any number of hosts. Where a run is counted in epochs, all
sources are shuffled together, and blank rows without a target fill the last batch. Windows are read
a batch at a time, which takes a quarter of the time of one chain through which every window goes.

Shape legend: b rows of this process, L sequence length.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Sequence

import grain
import numpy as np

from divsyn_jax.base import remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.shards import PACKED_ROWS, ShardedWindows, unpack_window

# More rows than any run consumes; a finite end keeps grain's index arithmetic in int64.
_ENDLESS = 1 << 62
# A place is source * _PLACES + window.
_PLACES = 1 << 40
_BLANK = -1  # the place of a row without a window


@dataclasses.dataclass(frozen=True)
class Source:
    """One component of a mixture or one evaluation domain.

    Attributes:
      name: label in metrics and reports.
      folder: shards folder.
      weight: share of the mixture's tokens, relative to the other weights.
      tokens: only the windows that hold the first so many tokens are used; None: all.
    """

    name: str
    folder: str
    weight: float
    tokens: int | None = None


def parse_sources(spec: str, root: str = "") -> tuple[Source, ...]:
    """Parse `folder` or `name=folder@tokens:weight,name=folder,...`; relative folders lie under
    `root`.

    The weight is 1 when absent; without @tokens a folder is used whole. Raises `UserError` for an
    empty part, a weight or a number of tokens that is not positive, or a repeated name."""
    sources = []
    for part in filter(None, spec.split(",")):
        match = re.fullmatch(r"(?:([\w.-]+)=)?(.+?)(?:@([0-9]+))?(?::([0-9.eE+-]+))?", part.strip())
        if not match or (match[3] and not int(match[3])):
            raise UserError(
                f"data source {part!r}: use name=folder:weight or name=folder@tokens:weight"
            )
        name, folder, tokens, weight = match.groups()
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"data source {part!r}: the weight must be a positive number")
        sources.append(
            Source(
                name or pathlib.Path(folder).name,
                remote.join_url(root, folder),
                value,
                int(tokens) if tokens else None,
            )
        )
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise UserError(f"data sources {spec!r}: names must differ; write name=folder")
    return tuple(sources)


class Mixture:
    """Opened training sources and the order of their windows.

    Attributes: sources, windows: the sources and their opened shards. packing: `concat` (text) or
      `best_fit` (conversations) in all of them. rows: rows that hold every window of every source
      `epochs` times; None when a run is counted in steps. chat_template: the Jinja template that
      the conversations were rendered with; '' for text. identity: what determines the batches.

    Raises `UserError` when a source cannot be opened, the sequence lengths or packings are wrong,
    or tokenizers differ; and for weights beside epochs."""

    def __init__(
        self, sources: Sequence[Source], seq_len: int, seed: int, global_batch: int, epochs: int = 0
    ) -> None:
        if not sources:
            raise UserError(
                "data.train is empty; give a shards folder under data.root, e.g."
                " --config.data.train=corpus"
            )
        self.sources = tuple(sources)
        self.windows = [ShardedWindows(source.folder, source.tokens) for source in sources]
        self._seq_len, self._global_batch = seq_len, global_batch
        self.packing = "best_fit" if self.windows[0].manifest["packing"] == "best_fit" else "concat"
        for source, windows in zip(self.sources, self.windows, strict=True):
            check_shards(source, windows, seq_len, self.packing)
        if epochs and len({source.weight for source in self.sources}) > 1:
            raise UserError(
                "data.train has weights, but epochs take every source whole; leave the weights out,"
                " or give steps"
            )
        hashes = [windows.manifest["tokenizer"]["sha256"] for windows in self.windows]
        check_same_tokenizer(
            [(source.folder, sha256) for source, sha256 in zip(self.sources, hashes, strict=True)]
        )
        self.identity = {
            "seq_len": seq_len,
            "seed": seed,
            "global_batch": global_batch,
            **({"epochs": epochs} if epochs else {}),
            "sources": {
                source.name: {
                    "weight": source.weight,
                    "fingerprint": windows.fingerprint,
                    **({"tokens": source.tokens} if source.tokens else {}),
                }
                for source, windows in zip(self.sources, self.windows, strict=True)
            },
            # Their places, and so their seeds and turns; a checkpoint sorts the keys above.
            "source_order": [source.name for source in self.sources],
        }
        self.chat_template = _chat_template(self.windows) if self.packing == "best_fit" else ""
        places = [
            grain.MapDataset.range(index * _PLACES, index * _PLACES + len(windows))
            for index, windows in enumerate(self.windows)
        ]
        self.rows: int | None = None
        if epochs:
            self.rows = epochs * sum(map(len, places))
            self._places = grain.MapDataset.concatenate(places).shuffle(seed=seed).repeat()
        else:
            places = [each.shuffle(seed=seed + index).repeat() for index, each in enumerate(places)]
            weights = [source.weight for source in sources]
            self._places = grain.MapDataset.mix(places, weights) if len(places) > 1 else places[0]

    def batches(
        self, first_batch: int, process: int = 0, processes: int = 1
    ) -> Iterator[dict[str, np.ndarray]]:
        """This process's rows of global batches `first_batch`, `first_batch` + 1, ...: contiguous,
        in process order.

        Yields: Of text: `tokens` [b, L+1] int32 (short windows padded with 0) and `length` [b],
          tokens that are real. Of conversations: the rows of `PACKED_ROWS` in
          divsyn_jax/data/shards.py, [b, L] int32 each. And `source` [b], the source's index, -1 for
          a blank row.
        """
        rows = self._global_batch // processes
        blocks = self._places.batch(rows)
        read = self._read_packed if self.packing == "best_fit" else self._read_text

        def batch(block: int) -> dict[str, np.ndarray]:
            place_b = blocks[block]
            if self.rows is not None:  # after the last epoch
                place_b = np.where(block * rows + np.arange(rows) < self.rows, place_b, _BLANK)
            source_b, index_b = np.divmod(place_b, _PLACES)
            return {**read(source_b, index_b), "source": source_b.astype(np.int32)}

        # Batch n of process p is block n * processes + p of the global order. One thread reading
        # ahead hides the disk; more would only compete with the step on a CPU.
        return iter(
            grain.MapDataset.range(first_batch * processes + process, _ENDLESS, processes)
            .map(batch)
            .to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4))
        )

    def _read_text(self, source_b: np.ndarray, index_b: np.ndarray) -> dict[str, np.ndarray]:
        """Windows padded to L+1 tokens; a blank row has one token and predicts nothing."""
        tokens = np.zeros((len(source_b), self._seq_len + 1), np.int32)
        length = np.ones(len(source_b), np.int32)
        for row, window in self._windows_at(source_b, index_b):
            tokens[row, : len(window)] = window
            length[row] = len(window)
        return {"tokens": tokens, "length": length}

    def _read_packed(self, source_b: np.ndarray, index_b: np.ndarray) -> dict[str, np.ndarray]:
        """Rows of packed windows by name, padded to L; a blank row is all padding."""
        rows = {name: np.zeros((len(source_b), self._seq_len), np.int32) for name in PACKED_ROWS}
        for row, window in self._windows_at(source_b, index_b):
            for name, values in unpack_window(window, self._seq_len).items():
                rows[name][row] = values
        return rows

    def _windows_at(
        self, source_b: np.ndarray, index_b: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(row, window) of every row that is not blank, those of one source read together."""
        for number, windows in enumerate(self.windows):
            rows = np.flatnonzero(source_b == number)
            if len(rows):
                yield from zip(rows, windows.read(index_b[rows]), strict=True)


def check_shards(source: Source, windows: ShardedWindows, seq_len: int, packing: str) -> None:
    """Raise `UserError` unless the shards have this sequence length and packing, and hold the
    tokenizer that made them.
    """
    manifest = windows.manifest
    if manifest["seq_len"] != seq_len:
        raise UserError(
            f"{source.folder}: windows of {manifest['seq_len']} inputs, the config's seq_len is"
            f" {seq_len}; build shards with --seq_len={seq_len}"
        )
    if manifest["packing"] != packing:
        flag = "--format=chat" if packing == "best_fit" else f"--packing={packing}"
        raise UserError(
            f"{source.folder}: packed as {manifest['packing']}, {packing} is needed here; build"
            f" shards with {flag}"
        )
    if tokenizers.digest_of_copy(windows.folder) != manifest["tokenizer"]["sha256"]:
        raise UserError(
            f"{source.folder}: the tokenizer here is not the one the shards were built with; build"
            " the shards again"
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
            raise UserError(
                f"{path}: another chat template than in {first}; build both with the same"
                " --system_prompt"
            )
    return templates[0]


def check_same_tokenizer(tokenizers: Sequence[tuple[str, str]]) -> None:
    """Raise `UserError` unless all (place, tokenizer hash) pairs have the same hash."""
    first_place, first = tokenizers[0]
    for place, sha256 in tokenizers[1:]:
        if sha256 != first:
            raise UserError(
                f"{place}: built with another tokenizer ({sha256[:12]}) than {first_place}"
                f" ({first[:12]}); build both with the same tokenizer"
            )
