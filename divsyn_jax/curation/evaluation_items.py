"""Evaluation items that a corpus must not hold, and which documents hold text of them.

Of an item every text in its record counts (question, choices, answer, at any depth), and what one
leads to in the next: runs of 13 words (as Brown et al. 2020, arXiv 2005.14165, with words of every
script). A text of 8 to 12 words counts whole; one of fewer says too little to be told from
chance, and the items that have no more are counted as not checked.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import ngrams
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.data.readers.records import Document

LEAK_WORDS = 13
FEWEST_ITEM_WORDS = 8
_TABLE_BITS = 24


@dataclasses.dataclass(frozen=True)
class EvaluationItems:
    """Items and the hashes of their runs of words.

    Attributes:
      places: where each item stands (`file:line`).
      texts: the text of each, for its vector.
      unchecked: items without a text of `FEWEST_ITEM_WORDS` words.
      runs: by words in a run: sorted hashes, and the number of the first item that has each.
    """

    places: list[str]
    texts: list[str]
    unchecked: int
    runs: Mapping[int, tuple[np.ndarray, np.ndarray]]

    def save(self, path: pathlib.Path) -> None:
        """Write the runs to a file that `find_leaks` reads in any process."""
        arrays = {}
        for size, (hashes, owners) in self.runs.items():
            arrays[f"hashes_{size}"], arrays[f"owners_{size}"] = hashes, owners
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # no key is allow_pickle


@dataclasses.dataclass(frozen=True)
class Leak:
    """Text of an evaluation item in a document.

    Attributes:
      document: number of the document.
      item: number of the item.
      runs: runs of words that the document shares with items.
      words: the first of them.
    """

    document: int
    item: int
    runs: int
    words: str


class _AnyRecord(CorpusReader):
    """Reads records of any fields; the text of one is all text in it."""

    def _document(self, where: str, record: Any) -> Document:
        decoded = self._decoded(record)
        if isinstance(decoded, str):
            return Document(decoded, {"text": decoded}, where)
        return Document("\n".join(_strings(decoded)), decoded, where)

    def _choose(self, path: str, names: Sequence[str]) -> list[str] | None:
        self.columns = tuple(names)
        return None


def read_items(specs: Sequence[str], options: ReadOptions) -> EvaluationItems:
    """The items of corpora. Raises `UserError` where they cannot be read, and where no item is long
    enough to be looked for.
    """
    places: list[str] = []
    texts: list[str] = []
    found: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    unchecked = 0
    for spec in specs:
        for document in _AnyRecord(spec, dataclasses.replace(options, text_template=None)):
            number, is_checked = len(places), False
            for size, hashes in _runs(_strings(document.fields)):
                of_size = found.setdefault(size, ([], []))
                of_size[0].append(hashes)
                of_size[1].append(np.full(len(hashes), number, np.int32))
                is_checked = True
            unchecked += not is_checked
            places.append(document.where)
            texts.append(document.text)
    if not found:
        raise UserError(
            f"{','.join(specs)}: none of its {len(places):,} items has a text of"
            f" {FEWEST_ITEM_WORDS} words; give items with their questions"
        )
    return EvaluationItems(places, texts, unchecked, {s: _index(*a) for s, a in found.items()})


def _index(hashes: list[np.ndarray], owners: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    unique, first = np.unique(np.concatenate(hashes), return_index=True)
    return unique, np.concatenate(owners)[first]


def _strings(value: Any) -> list[str]:
    """Every text in a record, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")]
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _strings(inner)]
    return []


def _runs(strings: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
    """(words in a run, hashes) of the texts of one item."""
    every = [ngrams.word_hashes(ngrams.normalised_words(text)) for text in strings]
    for words_W in every:
        if FEWEST_ITEM_WORDS <= len(words_W) < LEAK_WORDS:
            yield len(words_W), ngrams.ngram_hashes(words_W, len(words_W))
        elif len(words_W) >= LEAK_WORDS:
            yield LEAK_WORDS, ngrams.ngram_hashes(words_W, LEAK_WORDS)
    # Runs that begin in one text and end in a later one: a question with each of its answers.
    reach = LEAK_WORDS - 1
    for first, words_W in enumerate(every):
        if len(words_W) < FEWEST_ITEM_WORDS:
            continue  # a label or a name leads to nothing of the item
        for later in every[first + 1 :]:
            across = np.concatenate([words_W[-reach:], later[:reach]])
            if len(later) and len(across) >= LEAK_WORDS:
                yield LEAK_WORDS, ngrams.ngram_hashes(across, LEAK_WORDS)


class LeakFinder:
    """Looks for runs of items in the words of documents.

    Args: path: file that `EvaluationItems.save` wrote.
    """

    def __init__(self, path: str) -> None:
        with np.load(path) as arrays:
            sizes = sorted(int(name[7:]) for name in arrays.files if name.startswith("hashes_"))
            self._runs = {
                size: (arrays[f"hashes_{size}"], arrays[f"owners_{size}"]) for size in sizes
            }
        # Most runs of a corpus are in no item: a table of leading bits says so at once.
        self._tables = {}
        for size, (hashes, _) in self._runs.items():
            table = np.zeros(1 << _TABLE_BITS, bool)
            table[hashes >> np.uint64(64 - _TABLE_BITS)] = True
            self._tables[size] = table

    def find(
        self, words_of_block: Sequence[str], words_W: np.ndarray, owner_W: np.ndarray
    ) -> list[Leak]:
        """A leak for every document that has one.

        Args:
          words_of_block: the words of documents, one after the other.
          words_W: their hashes. owner_W: the number of the document of each.
        """
        hits: list[tuple[int, int, int, int]] = []  # document, place, size, item
        for size, (hashes, owners) in self._runs.items():
            found = ngrams.ngram_hashes(words_W, size)
            may = self._tables[size][found >> np.uint64(64 - _TABLE_BITS)]
            places = np.flatnonzero(may & ngrams.within_documents(owner_W, size))
            wanted = found[places]
            index = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
            for place, entry in zip(
                places[hashes[index] == wanted], index[hashes[index] == wanted], strict=True
            ):
                hits.append((int(owner_W[place]), int(place), size, int(owners[entry])))
        leaks: dict[int, Leak] = {}
        for document, place, size, item in sorted(hits):
            first = leaks.get(document)
            if first is None:
                text = " ".join(words_of_block[place : place + size])
                leaks[document] = Leak(document, item, 1, text)
            else:
                leaks[document] = dataclasses.replace(first, runs=first.runs + 1)
        return list(leaks.values())


@functools.lru_cache(2)
def leak_finder(path: str) -> LeakFinder:
    """The finder of a file, made once in a process."""
    return LeakFinder(path)
