"""Wording: with which of the possible words a place in a sentence is filled, whatever the subject.

A place is an open-class word's surroundings: two tokens before and two after it, open-class words
among them blotted out, at least three of the four closed-class words or punctuation ("it is well __
that"). Of two documents that fill the same place, either with the same word or with another: the
share of the same, over pairs of documents in one style and on different topics, is the chance that
two choices agree where the sentence leaves one, and nothing to say decides. Its inverse is an
effective number of words for a place.

The weights make it a matter of wording alone: documents on one topic repeat its words whatever the
wording, and styles have sentences of their own.

Shapes: N documents, R rows of them, W fillings (a place with its word), P places.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from divsyn_jax.diversity.facets.function_words import FUNCTION_WORDS

_TOKEN = re.compile(r"[^\W_][\w'\u2019-]*|[^\w\s]")
_SIDE = 2
_CLOSED_AROUND = 3  # of the tokens around a place
_OPEN, _EDGE = "_", "|"


@dataclasses.dataclass(frozen=True)
class Fillings:
    """Which places a corpus fills with which words.

    Attributes:
      filled_NW: [N, W] sparse, 1 where a document holds the filling.
      places_NP: [N, P] sparse, with how many words a document fills the place.
    """

    filled_NW: sparse.csr_matrix
    places_NP: sparse.csr_matrix

    def agreements(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """[R, N] each: in how many choices of the same place each row agrees with each document,
        and how many there are."""
        same_RN = (self.filled_NW[rows] @ self.filled_NW.T).toarray()
        choices_RN = (self.places_NP[rows] @ self.places_NP.T).toarray()
        return same_RN, choices_RN


def fillings(running: Sequence[str]) -> Fillings:
    """The fillings of running texts (`text_parts`)."""
    filling_number: dict[tuple[str, str], int] = {}
    place_number: dict[str, int] = {}
    place_of: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(running):
        for place, word in sorted(_places(text)):
            number = filling_number.setdefault((place, word), len(filling_number))
            if number == len(place_of):
                place_of.append(place_number.setdefault(place, len(place_number)))
            rows.append(row)
            columns.append(number)
    shape = len(running), len(filling_number)
    filled_NW = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    holds_WP = sparse.csr_matrix(
        (np.ones(len(place_of), np.float32), (np.arange(len(place_of)), place_of)),
        (len(place_of), len(place_number)),
    )
    return Fillings(filled_NW, filled_NW @ holds_WP)


def _places(text: str) -> set[tuple[str, str]]:
    """The places of a text with their words."""
    tokens = [token.lower().replace("\u2019", "'") for token in _TOKEN.findall(text)]
    shown = [
        _EDGE,
        _EDGE,
        *(token if _closed(token) else _OPEN for token in tokens),
        _EDGE,
        _EDGE,
    ]
    found = set()
    for index, token in enumerate(tokens):
        middle = index + _SIDE
        if shown[middle] != _OPEN:
            continue
        around = shown[middle - _SIDE : middle] + shown[middle + 1 : middle + _SIDE + 1]
        if len(around) - around.count(_OPEN) >= _CLOSED_AROUND:
            before, after = " ".join(around[:_SIDE]), " ".join(around[_SIDE:])
            found.add((f"{before} {_OPEN} {after}", token))
    return found


def _closed(token: str) -> bool:
    """Whether a token is a closed-class word, a number or punctuation."""
    return token in FUNCTION_WORDS or not token[0].isalpha()
