"""One pass over a corpus: its documents sketched, in processes or on Apache Beam, and the sketches
gathered on disk. Texts are held a block at a time.

Shapes: N documents, B bands, P pairs.
"""

import array
import collections
import concurrent.futures
import dataclasses
import math
import multiprocessing
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import numpy as np

from divsyn_jax.base import terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.curation.evaluation_items import Leak
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.curation.sketch import BANDS, sketch_block
from divsyn_jax.data import beam_runner
from divsyn_jax.data.readers.corpus import (
    CorpusReader,
    Document,
    TextFingerprint,
    with_progress,
)
from divsyn_jax.data.readers.records import MISSING, field_at

_BLOCK_CHARACTERS = 4 << 20
SCRATCH = "scratch-*"  # what the files of a pass are named like
_SHINGLES = "scratch-shingles.u32"


@dataclasses.dataclass(frozen=True)
class CorpusSketches:
    """What is known of a corpus without its texts.

    Attributes:
      documents: how many (N).
      fingerprint: `TextFingerprint` of the corpus.
      digests_N2: 128 bits of the hash of each text.
      words_N: words of each document.
      quality_N: the quality field of each, NaN where it has none; None where none was named.
      leaks: by document.
      folder: where shingles and bands lie.
      starts_M: where the shingles of each document begin; M = N + 1.
      malformed, empty: records that were skipped. problems: the first of them.
    """

    documents: int
    fingerprint: str
    digests_N2: np.ndarray
    words_N: np.ndarray
    quality_N: np.ndarray | None
    leaks: Mapping[int, Leak]
    folder: pathlib.Path
    starts_M: np.ndarray
    malformed: int
    empty: int
    problems: list[str]
    left_out: list[str]

    def shingles(self) -> np.ndarray:
        """The shingles of all documents, mapped from disk."""
        path = self.folder / _SHINGLES
        if not path.stat().st_size:
            return np.zeros(0, np.uint32)
        return np.memmap(path, np.uint32, "r")

    def bands(self) -> Iterator[np.ndarray]:
        """[N] uint64 of one band after another."""
        for band in range(BANDS):
            yield np.fromfile(self.folder / _band_name(band), np.uint64)


def sketch_corpus(
    spec: str, settings: CurationSettings, items: pathlib.Path | None, folder: pathlib.Path
) -> CorpusSketches:
    """Read a corpus once and sketch its documents.

    Args:
      items: file of evaluation items to look for.
      folder: for the sketches, files named like `SCRATCH`; shared by Beam's workers.

    Raises `UserError` for a corpus that cannot be read, and for a quality field that holds no
    numbers.
    """
    reader = CorpusReader(spec, settings.read, fields=None)
    facts = _Facts(settings)
    tasks = (
        {
            "number": number,
            "texts": texts,
            "folder": str(folder.resolve()),
            "items": None if items is None else str(items.resolve()),
            "minhash": "minhash" in settings.dedup,
        }
        for number, texts in enumerate(_blocks(reader, facts))
    )
    gathered = _Gathered(folder)
    with gathered:
        for result in _sketched(tasks, settings, folder):
            gathered.add(result)
    facts.check(spec)
    return CorpusSketches(
        documents=reader.documents,
        fingerprint=facts.fingerprint.hexdigest(),
        digests_N2=np.concatenate(gathered.digests),
        words_N=np.concatenate(gathered.words),
        quality_N=None if settings.quality_field is None else np.array(facts.quality),
        leaks=gathered.leaks,
        folder=folder,
        starts_M=np.concatenate([[0], np.cumsum(np.concatenate(gathered.shingle_counts))])
        if gathered.shingle_counts
        else np.zeros(1, np.int64),
        malformed=reader.malformed,
        empty=reader.empty,
        problems=list(reader.problems),
        left_out=reader.left_out(),
    )


class _Facts:
    """What is taken of every record as it is read."""

    def __init__(self, settings: CurationSettings) -> None:
        self.fingerprint = TextFingerprint()
        self.quality = array.array("d")
        self._field = settings.quality_field
        self._missing_fields = set(settings.keep_fields)

    def enter(self, document: Document) -> None:
        self.fingerprint.update(document.text)
        if self._field is not None:
            self.quality.append(_number(document, self._field))
        if self._missing_fields:
            self._missing_fields -= {
                field
                for field in self._missing_fields
                if field_at(document.fields, field) is not MISSING
            }

    def check(self, spec: str) -> None:
        """Raise `UserError` for fields that no record has."""
        if self._field is not None and all(map(math.isnan, self.quality)):
            raise UserError(
                f"{spec}: no record has a number in field {self._field!r}; name another"
                " --quality_field"
            )
        if self._missing_fields:
            raise UserError(
                f"{spec}: no record has field {min(self._missing_fields)!r}; correct --keep_fields"
            )


def _number(document: Document, field: str) -> float:
    value = field_at(document.fields, field)
    if value is MISSING or value is None or value == "":
        return math.nan
    try:
        # Files of separated values hold numbers as text.
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise UserError(
            f"{document.where}: field {field!r} holds"
            f" {terminal_text.one_line(repr(value), 60)}, not a number; name another"
            " --quality_field"
        ) from None


def _blocks(reader: CorpusReader, facts: _Facts) -> Iterator[list[str]]:
    """Texts in order, about `_BLOCK_CHARACTERS` at a time."""
    texts: list[str] = []
    size = 0
    for document in with_progress(reader):
        facts.enter(document)
        texts.append(document.text)
        size += len(document.text)
        if size >= _BLOCK_CHARACTERS:
            yield texts
            texts, size = [], 0
    if texts:
        yield texts


def _sketched(
    tasks: Iterable[dict[str, Any]], settings: CurationSettings, folder: pathlib.Path
) -> Iterator[Mapping[str, Any]]:
    """`sketch_block` of every task, in order."""
    workers = settings.workers or os.cpu_count() or 1
    if settings.runner is None:
        yield from _by_processes(tasks, workers)
        return
    with tempfile.TemporaryDirectory(prefix=".beam-", dir=folder.parent) as exchange:
        yield from beam_runner.run_in_order(
            tasks,
            sketch_block,
            pathlib.Path(exchange),
            settings.runner,
            workers,
            settings.beam_options,
        )


def _by_processes(tasks: Iterable[dict[str, Any]], workers: int) -> Iterator[Mapping[str, Any]]:
    waiting = iter(tasks)
    first = list(_some(waiting, 2))
    if workers == 1 or len(first) < 2:  # a small corpus is done before a process has started
        yield from map(sketch_block, first)
        yield from map(sketch_block, waiting)
        return
    with concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        pending: collections.deque[concurrent.futures.Future[dict[str, Any]]] = collections.deque()
        pending.extend(pool.submit(sketch_block, task) for task in first)
        for task in waiting:
            pending.append(pool.submit(sketch_block, task))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _some(tasks: Iterator[dict[str, Any]], most: int) -> Iterator[dict[str, Any]]:
    for _ in range(most):
        task = next(tasks, None)
        if task is None:
            return
        yield task


class _Gathered:
    """Sketches of blocks put together, in order; a context that closes the files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self.digests: list[np.ndarray] = []
        self.words: list[np.ndarray] = []
        self.shingle_counts: list[np.ndarray] = []
        self.leaks: dict[int, Leak] = {}
        self._documents = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Enter the next block, and remove its file."""
        path = pathlib.Path(result["file"])
        with np.load(path) as arrays:
            self.digests.append(arrays["digests_N2"])
            self.words.append(arrays["words_N"])
            if "bands_BN" in arrays.files:
                self.shingle_counts.append(arrays["shingles_N"].astype(np.int64))
                self._append(_SHINGLES, arrays["shingles"])
                for band, keys_N in enumerate(arrays["bands_BN"]):
                    self._append(_band_name(band), keys_N)
        path.unlink()
        for found in result["leaks"]:
            document = self._documents + found["document"]
            self.leaks[document] = Leak(**{**found, "document": document})
        self._documents += len(self.words[-1])

    def _append(self, name: str, values: np.ndarray) -> None:
        if name not in self._files:
            self._files[name] = (self._folder / name).open("wb")
        self._files[name].write(values.tobytes())

    def __enter__(self) -> "_Gathered":
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()


def _band_name(band: int) -> str:
    return f"scratch-band-{band:02d}.u64"


def remove_scratch(folder: pathlib.Path) -> None:
    """Remove what a pass left in a folder."""
    for path in folder.glob(SCRATCH):
        path.unlink()
