"""Style: the register of a document, by rates of closed-class words, punctuation and sentence shape
in its running text (the features of Biber 1988 that need no tagger).

A rate counts occurrences in 100 words; its square root has the same sampling noise whatever the
rate (a Poisson count's root has a standard deviation of a half), so roots are compared in units of
that noise. What noise alone would put between two documents is taken off their distance: short
documents do not read as more diverse for being short.

Shapes: N documents, R rows of them, F features.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from divsyn_jax.base.words import words
from divsyn_jax.diversity.facets.function_words import CLASSES, FUNCTION_WORDS

_MARKS = (",", ";", ":", "?", "!", '"', "(")
_ENDINGS = {
    "adverbs in -ly": ("ly",),
    "words in -ed": ("ed",),
    "words in -ing": ("ing",),
    "nominalisations": ("tion", "tions", "ment", "ments", "ness", "ity", "ance", "ence"),
}
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'"})
_NOISE = 0.5  # standard deviation of the root of a count in 100 words
# Two documents whose squared difference is this many noise variances, in the mean over features
# and beyond their own noise, are alike to 1/e.
_WIDTH = 0.25
# Variance of the root of a Poisson count, as the count itself tells it: 0, 1, 2, 3, and from 4 on
# a quarter. Its mean is within 0.05 of that variance for every mean count (a test holds it).
ROOT_VARIANCE = np.array([0.0, 0.8, 0.35, 0.2, 0.25])
_CLASS_OF: dict[str, list[str]] = {}
for _name, _members in CLASSES.items():
    for _word in _members:
        _CLASS_OF.setdefault(_word, []).append(_name)


@dataclasses.dataclass(frozen=True)
class Registers:
    """The registers of N documents.

    Attributes:
      roots_NF: [N, F] features in units of sampling noise.
      noise_N: [N] variance that sampling adds to every feature, in the same units.
      closed: share of all words that are closed-class English words.
    """

    roots_NF: np.ndarray
    noise_N: np.ndarray
    closed: float

    def same_style(self, rows: slice) -> np.ndarray:
        """[R, N] how alike the register of each row is to that of each document, 0 to 1."""
        rows_RF = self.roots_NF[rows]
        squares_N = (self.roots_NF**2).sum(axis=1)
        apart_RN = squares_N[rows][:, None] + squares_N - 2 * rows_RF @ self.roots_NF.T
        mean_RN = apart_RN / self.roots_NF.shape[1]
        beyond_RN = np.maximum(mean_RN - self.noise_N[rows][:, None] - self.noise_N, 0)
        return np.exp(-beyond_RN / _WIDTH)


def registers(running: Sequence[str]) -> Registers:
    """The registers of running texts (`text_parts`)."""
    counted = [_features(text) for text in running]
    return Registers(
        np.array([each.roots_F for each in counted]) / _NOISE,
        np.array([each.variance for each in counted]) / _NOISE**2,
        sum(each.closed for each in counted) / max(sum(each.words for each in counted), 1),
    )


@dataclasses.dataclass(frozen=True)
class _Counted:
    """A text's features, the mean of their sampling variances, its words and the closed-class
    words among them."""

    roots_F: np.ndarray
    variance: float
    words: int
    closed: int


def _features(running: str) -> _Counted:
    text = running.translate(_QUOTES)
    found = [word.lower() for word in words(text)]
    classes = Counter(name for word in found for name in _CLASS_OF.get(word, ()))
    counts_F = np.array(
        [
            *(classes[name] for name in CLASSES),
            sum("'" in word for word in found),
            *(sum(word.endswith(ends) for word in found) for ends in _ENDINGS.values()),
            *(text.count(mark) for mark in _MARKS),
            sum(word[0].isdigit() for word in found),
            len(_NAME.findall(text)),
        ]
    )
    hundreds = max(len(found), 1) / 100
    lengths = [len(part.split()) for part in _SENTENCE_END.split(text) if part.strip()] or [0]
    shape = [
        2 * np.log1p(np.mean(lengths)),
        np.log1p(np.std(lengths)),
        float(np.mean([len(word) for word in found] or [0])),
    ]
    variances_F = ROOT_VARIANCE[np.minimum(counts_F, len(ROOT_VARIANCE) - 1)] / hundreds
    return _Counted(
        np.concatenate([np.sqrt(counts_F / hundreds), shape]),
        float(variances_F.sum() / (len(counts_F) + len(shape))),
        len(found),
        sum(word in FUNCTION_WORDS for word in found),
    )
