"""Words in a row as hashes, the same on every machine: what duplicates and leaks are found by.

Shapes: W words of some documents, one after the other; N documents.
"""

import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np

from divsyn_jax.base.words import words

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MOST_REMEMBERED = 1 << 19  # distinct words
# Marks that writers of the same words choose differently, or that are not seen.
_SAME = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u02bc": "'", "_": " ",
        "\u00ad": None, "\u200b": None, "\u200c": None, "\u200d": None, "\ufeff": None,
    }
)  # fmt: skip


def normalised_words(text: str) -> list[str]:
    """The words of `text` (see base/words.py) without what leaves them the same: case, and the
    compatible forms of characters (NFKC), quotation marks, soft hyphens, joiners.
    """
    if text.isascii():
        return words(text.lower().replace("_", " "))
    folded = unicodedata.normalize("NFKC", text).casefold()
    return words(unicodedata.normalize("NFKC", folded).translate(_SAME))


class _WordHashes(dict[str, int]):
    """64-bit hashes of words, remembered up to a bound."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[word] = int.from_bytes(digest, "little")
        return self[word]


_HASHES = _WordHashes()


def word_hashes(words_of_text: Iterable[str]) -> np.ndarray:
    """[W] uint64 hashes of words."""
    return np.fromiter(map(_HASHES.__getitem__, words_of_text), np.uint64)


def ngram_hashes(words_W: np.ndarray, size: int) -> np.ndarray:
    """[max(0, W - size + 1)] uint64 hashes of every `size` words in a row, the order of the words
    included.
    """
    count = max(0, len(words_W) - size + 1)
    hashes = np.zeros(count, np.uint64)
    if not count:
        return hashes
    with np.errstate(over="ignore"):
        for place in range(size):
            hashes *= _MULTIPLIER
            hashes += words_W[place : place + count]
        return mixed(hashes)


def mixed(values: np.ndarray) -> np.ndarray:
    """uint64 values whose every bit depends on all bits of the given ones (the finaliser of
    SplitMix64; Steele et al. 2014, OOPSLA).
    """
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def within_documents(owner_W: np.ndarray, size: int) -> np.ndarray:
    """Which of the `ngram_hashes` of words lie in one document, given the document of each word."""
    count = max(0, len(owner_W) - size + 1)
    return owner_W[:count] == owner_W[size - 1 : size - 1 + count]


def sorted_distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values, ascending: `numpy.unique` by sorting, which for many hashes is faster
    than the table that it makes.
    """
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]
