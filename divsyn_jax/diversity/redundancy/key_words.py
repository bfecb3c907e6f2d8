"""Words that tell the documents of a kind from the others."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from divsyn_jax.base.words import words

KEY_WORDS = 6
_FEWEST_LETTERS = 2


class KeyWords:
    """How many documents of a sample hold each word; memory is that of the sample's vocabulary."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Read the texts of the sample."""
        self._words = [frozenset(_kept(text)) for text in texts]
        self._holding = Counter(word for found in self._words for word in found)

    def of(self, documents: Sequence[int], count: int = KEY_WORDS) -> list[str]:
        """The words whose documents are most surely over-represented among `documents`.

        Words are ranked by the log-likelihood ratio (Dunning 1993, Computational Linguistics 19:1)
        of holding the word inside and outside, those that are rarer inside left out. Where there is
        no outside, no word tells them from it: none.

        Args:
          documents: positions in the sample.
          count: words to give, at most.
        """
        inside = Counter(word for place in documents for word in self._words[place])
        size, rest = len(documents), len(self._words) - len(documents)
        if not rest:
            return []
        scored = []
        for word, holding in inside.items():
            outside = self._holding[word] - holding
            if holding * rest > outside * size:
                ratio = _likelihood_ratio(holding, size, outside, rest)
                scored.append((-ratio, -holding, word))
        return [word for _, _, word in sorted(scored)[:count]]


def _kept(text: str) -> Iterable[str]:
    """Words without case; single letters and numbers say little."""
    for word in words(text):
        if (len(word) >= _FEWEST_LETTERS or not word.isascii()) and not word[0].isdigit():
            yield word.casefold()


def _likelihood_ratio(inside: int, size: int, outside: int, rest: int) -> float:
    """G2 of a 2 x 2 table: `inside` of `size` documents against `outside` of `rest`."""
    share = (inside + outside) / (size + rest)
    return 2 * sum(
        seen * math.log(seen / expected)
        for seen, expected in (
            (inside, size * share),
            (size - inside, size * (1 - share)),
            (outside, rest * share),
            (rest - outside, rest * (1 - share)),
        )
        if seen
    )
