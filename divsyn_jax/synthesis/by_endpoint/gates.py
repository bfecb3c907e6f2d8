"""What keeps a document out of a corpus, each reason counted: length, refusal, language, a
model that loops, duplicates.

Duplicates are judged in grid order against what was accepted before, so that the outcome does not
depend on which answer arrived first."""

import collections
import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import count_words, words

# Near-duplicates as in FineWeb (Penedo et al. 2024, arXiv 2406.17557): 5-grams of words, 14 bands
# of 8 of 112 hashes, which finds pairs of Jaccard similarity 0.75 with probability 0.77.
_SHINGLE, _BANDS, _ROWS = 5, 14, 8
# Accepted documents that a new one is compared with, the latest ones; each takes 2 kB of memory.
_REMEMBERED = 200_000
# A model that loops repeats itself within so many words at once, whatever stands before.
_WINDOW = 60
_WINDOW_REPEATED = 0.5
_NEEDS = (
    "the gates of an endpoint's documents need rensa and py3langid: pip install"
    " 'divsyn-jax[generate]'"
)
# What an assistant says of itself; characters of a dialogue may be sorry, or unable to come.
_UNABLE = (
    r"I(?: can(?:no|['\u2019])t| can not|(?: am|['\u2019]m) (?:unable|not able) to| won['\u2019]t)"
)
_SERVE = r"(?:help|assist|write|create|provide|generate|comply|fulfil|continue|discuss)\b"
_REFUSAL = re.compile(
    r"\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b"
    rf"|(?:\bsorry|\bapologi[sz]e|\bunfortunately),? (?:but )?{_UNABLE} {_SERVE}"
    rf"|^{_UNABLE} {_SERVE}",
    re.IGNORECASE | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Gates:
    """What a document must be like.

    Attributes: min_words, max_words: of its flattened text, counted as in every script
      (`base.words`). language: ISO 639-1 code of what it must be written in; '' for any.
      near_duplicate: Jaccard similarity of word 5-grams from which it is another's near-duplicate;
      above 1: none is. most_repeated: share of a document's word 5-grams that stand in it before,
      from which its model is said to loop (half of any 60 words say so too); 1: never.

    Raises `UserError` naming a bad value.
    """

    min_words: int = 150
    max_words: int = 1500
    language: str = "en"
    near_duplicate: float = 0.75
    most_repeated: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= self.max_words:
            raise UserError(
                f"--config.endpoint.min_words={self.min_words} must lie in [0,"
                f" max_words={self.max_words}]"
            )
        if self.near_duplicate <= 0:
            raise UserError(
                f"--config.endpoint.near_duplicate={self.near_duplicate} must be positive"
            )
        if not 0 < self.most_repeated <= 1:
            raise UserError(
                f"--config.endpoint.most_repeated={self.most_repeated} must lie above 0 and up to 1"
            )
        if self.language and not re.fullmatch(r"[a-z]{2}", self.language):
            raise UserError(
                f"--config.endpoint.language={self.language!r} must be a two-letter code such as"
                " en, or ''"
            )

    def fault(self, text: str) -> str | None:
        """Why `text`, taken alone, is rejected."""
        count = count_words(text)
        if _REFUSAL.search(text):
            return "refusal"
        if count < self.min_words:
            return "too_short"
        if count > self.max_words:
            return "too_long"
        if self.language and _language(text) != self.language:
            return "language"
        if self.most_repeated < 1 and self._loops(text):
            return "repetition"
        return None

    def _loops(self, text: str) -> bool:
        found = words(text.casefold())
        windows = range(0, max(1, len(found) - _WINDOW + 1), _WINDOW // 2)
        return repeated_share(found) > self.most_repeated or any(
            repeated_share(found[start : start + _WINDOW]) > _WINDOW_REPEATED for start in windows
        )


def repeated_share(found: Sequence[str]) -> float:
    """Share of the 5-grams of these words that stood before; 0.0 of fewer than five words."""
    grams = [tuple(found[i : i + _SHINGLE]) for i in range(len(found) - _SHINGLE + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


class NearDuplicates:
    """The latest accepted documents by MinHash; memory does not grow beyond `_REMEMBERED` of
    them.
    """

    def __init__(self, threshold: float) -> None:
        try:
            import rensa
        except ImportError:
            raise UserError(_NEEDS) from None

        self._threshold = threshold
        self._signature = functools.partial(rensa.RMinHash, num_perm=_BANDS * _ROWS, seed=0)
        self._index = rensa.RMinHashLSH(
            threshold=min(threshold, 1.0), num_perm=_BANDS * _ROWS, num_bands=_BANDS
        )
        self._signatures: collections.OrderedDict[int, Any] = collections.OrderedDict()
        self._number = 0

    def enter(self, text: str) -> bool:
        """Remember `text` unless it is near one that is remembered; says whether it was entered."""
        if self._threshold > 1:
            return True
        signature = self._signature()
        signature.update(_shingles(text))
        for near in self._index.query(signature):
            if signature.jaccard(self._signatures[near]) >= self._threshold:
                return False
        if len(self._signatures) == _REMEMBERED:
            oldest, _ = self._signatures.popitem(last=False)
            self._index.remove(oldest)
        self._index.insert(self._number, signature)
        self._signatures[self._number] = signature
        self._number += 1
        return True


def copied_share(source: str, text: str) -> float:
    """Jaccard similarity of the word 5-grams of two texts, computed."""
    first, second = set(_shingles(source)), set(_shingles(text))
    return len(first & second) / len(first | second)


def _shingles(text: str) -> list[str]:
    found = words(text.casefold())
    return [
        " ".join(found[start : start + _SHINGLE])
        for start in range(max(1, len(found) - _SHINGLE + 1))
    ]


def _language(text: str) -> str:
    try:
        import py3langid
    except ImportError:
        raise UserError(_NEEDS) from None
    return py3langid.classify(text)[0]
