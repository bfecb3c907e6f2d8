"""A small language model that is counted, not trained: how close is one text to another?

Trigrams of token ids under interpolated Kneser-Ney smoothing (Kneser and Ney 1995; Chen and
Goodman 1999, section 2.7) with one fixed discount. Numpy alone; half a million tokens take a
second."""

import dataclasses
from collections.abc import Sequence

import numpy as np

DISCOUNT = 0.75  # Chen and Goodman's interpolated Kneser-Ney needs about that at every order


@dataclasses.dataclass(frozen=True)
class _Order:
    """Counts of the n-grams of one order, sorted by key, and of their contexts."""

    key: np.ndarray
    count: np.ndarray
    context: np.ndarray  # keys, sorted
    total: np.ndarray  # counts of n-grams by context
    kinds: np.ndarray  # distinct n-grams by context


class TrigramModel:
    """P(token | two tokens before it), estimated on texts given as token ids.

    Ids are below `vocab_size`; a text ends with one more symbol, which is predicted as well."""

    def __init__(self, texts: Sequence[Sequence[int]], vocab_size: int) -> None:
        self._symbols = vocab_size + 2  # the edges of a text are symbols too
        trigrams = np.unique(self._keys(texts), return_counts=True)
        bigrams = np.unique(trigrams[0] % self._symbols**2, return_counts=True)
        unigrams = np.unique(bigrams[0] % self._symbols, return_counts=True)
        self._orders = [self._order(*counted) for counted in (unigrams, bigrams, trigrams)]

    def bits(self, texts: Sequence[Sequence[int]]) -> float:
        """Bits that the texts take, ends included, at this model's probabilities."""
        return float(-np.log2(self.probabilities(self._keys(texts))).sum())

    def probabilities(self, key: np.ndarray) -> np.ndarray:
        """P(last symbol | the two before it) of trigrams, (first * S + second) * S + last of S
        symbols: the tokens, the start and the end of a text."""
        probability = np.full(len(key), 1 / (self._symbols - 1))  # the start is never predicted
        for power, order in enumerate(self._orders, 1):
            own = key % self._symbols**power
            place, known = _find(order.context, own // self._symbols)
            count = _looked_up(order.key, order.count, own)
            total = np.where(known, order.total[place], 1)
            kept = np.maximum(count - DISCOUNT, 0) / total
            left = np.where(known, DISCOUNT * order.kinds[place] / total, 1.0)
            probability = kept + left * probability
        return probability

    def _keys(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """Every trigram of the texts as one number."""
        start, end = self._symbols - 2, self._symbols - 1
        parts = []
        for text in texts:
            ids = np.array([start, start, *text, end], np.int64)
            parts.append((ids[:-2] * self._symbols + ids[1:-1]) * self._symbols + ids[2:])
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _order(self, key: np.ndarray, count: np.ndarray) -> _Order:
        context, first, kinds = np.unique(
            key // self._symbols, return_index=True, return_counts=True
        )
        total = np.add.reduceat(count, first) if len(first) else count
        return _Order(key, count, context, total, kinds)


def _find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where sorted keys hold each wanted one, and whether they do."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place, known = _find(keys, wanted)
    return np.where(known, values[place], 0)
