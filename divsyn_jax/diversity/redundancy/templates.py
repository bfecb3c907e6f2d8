"""Templates: openings, headings and phrases that distinct texts share.

Copies of a whole text are counted elsewhere, so every measure here is over distinct texts; they are
named by their place among those.
"""

import dataclasses
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from divsyn_jax.base.words import words

OPENING_WORDS = (3, 5, 8, 12, 20)
PHRASE_WORDS = 8
_OPENING_CHARACTERS = 2_000  # hold the longest opening in any script
_WORDS_READ = 1_000  # of a text, for phrases
_HEADINGS_READ = 40  # of a text
_LONGEST_HEADING = 200  # characters of a line
_LABEL_WORDS = 4
_LOOKED_AT = 20  # texts of a phrase, to see whether it is part of one that was found
_ALIKE = 0.9  # of a phrase's texts have to go on with one word for the phrase to take it up

_ATX = re.compile(r" {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_BOLD = re.compile(r"\s*(?:\*\*|__)([^*_].*?)(?:\*\*|__):?\s*$")
_LABEL = re.compile(r"\s*(?:\*\*|__)?([^\W\d_][\w'’ -]{0,39}):(?:\*\*|__)?(?:\s|$)")


@dataclasses.dataclass(frozen=True)
class SharedWords:
    """Words that several texts share.

    Attributes:
      text: the words, without case; of a skeleton the headings, joined by " | ".
      size: how many words, or headings.
      texts: places of the texts that hold them.
    """

    text: str
    size: int
    texts: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class SharedOpenings:
    """Openings of so many words.

    Attributes:
      words: how many.
      sharing: texts whose opening another text has, too.
      distinct: different openings, of the texts that are as long.
      commonest: the openings of most texts, of two at least.
    """

    words: int
    sharing: int
    distinct: int
    commonest: tuple[SharedWords, ...]


@dataclasses.dataclass(frozen=True)
class SharedHeadings:
    """Headings.

    Attributes:
      texts: texts with a heading below the title's level.
      sharing: texts whose whole sequence of headings another text has, too.
      skeletons: the commonest sequences, of two texts at least.
      headings: the commonest single headings, of two texts at least.
    """

    texts: int
    sharing: int
    skeletons: tuple[SharedWords, ...]
    headings: tuple[SharedWords, ...]


def shared_openings(texts: Sequence[str], count: int = OPENING_WORDS[-1]) -> list[SharedOpenings]:
    """What share their first words, for every number of `OPENING_WORDS`.

    Args:
      texts: distinct texts.
      count: of the commonest openings, at most.
    """
    first = [
        tuple(word.casefold() for word in words(text[:_OPENING_CHARACTERS])[: OPENING_WORDS[-1]])
        for text in texts
    ]
    found = []
    for size in OPENING_WORDS:
        places = _places((opening[:size], at) for at, opening in enumerate(first)
                         if len(opening) >= size)  # fmt: skip
        shared = [each for each in places.values() if len(each) > 1]
        commonest = [
            SharedWords(" ".join(opening), size, tuple(at)) for opening, at in _top(places, count)
        ]
        found.append(SharedOpenings(size, sum(map(len, shared)), len(places), tuple(commonest)))
    return found


def headings(text: str) -> list[str]:
    """The headings of a text in order, without case, with 0 for every number.

    A heading is a line of Markdown that begins with `#`, a line in bold, or the label that a line
    begins with (`Question: ...`; up to four words). A title (`# ...` before any other heading) is
    the document's own and left out.
    """
    found: list[str] = []
    seen_any = False
    for line in text.splitlines():
        if len(line) > _LONGEST_HEADING:
            continue
        atx = _ATX.match(line)
        if atx:
            is_title = len(atx[1]) == 1 and not seen_any
            seen_any = True
            if is_title:
                continue
            heading = atx[2]
        else:
            heading = _bold_or_label(line)
            if not heading:
                continue
            seen_any = True
        found.append(re.sub(r"\d+", "0", " ".join(heading.split()).strip("*_: ").casefold()))
        if len(found) == _HEADINGS_READ:
            break
    return found


def _bold_or_label(line: str) -> str:
    bold = _BOLD.match(line)
    if bold is not None:
        return bold[1]
    label = _LABEL.match(line)
    return label[1] if label is not None and len(label[1].split()) <= _LABEL_WORDS else ""


def shared_headings(texts: Sequence[str], count: int) -> SharedHeadings:
    """What share their headings.

    Args:
      texts: distinct texts.
      count: of the commonest, at most.
    """
    each = [headings(text) for text in texts]
    skeletons = _places((tuple(found), at) for at, found in enumerate(each) if found)
    single = _places(
        (heading, at) for at, found in enumerate(each) for heading in dict.fromkeys(found)
    )
    return SharedHeadings(
        texts=sum(map(bool, each)),
        sharing=sum(len(at) for at in skeletons.values() if len(at) > 1),
        skeletons=tuple(
            SharedWords(" | ".join(found), len(found), tuple(at))
            for found, at in _top(skeletons, count)
        ),
        headings=tuple(
            SharedWords(heading, len(heading.split()), tuple(at))
            for heading, at in _top(single, count)
        ),
    )


def shared_phrases(texts: Sequence[str], count: int) -> list[SharedWords]:
    """The phrases of `PHRASE_WORDS` words or more that the most texts share, the commonest first.

    Phrases are counted by 64-bit hashes, 8 bytes a word. One that nearly all its texts continue
    alike is lengthened; one that lies within another is left out.

    Args:
      texts: distinct texts, of which the first 1,000 words are read.
      count: of phrases, at most.
    """
    words_of = [[word.casefold() for word in words(text)[:_WORDS_READ]] for text in texts]
    hashed = [_phrase_hashes(each) for each in words_of]
    holding = _Holding(hashed)
    found: list[SharedWords] = []
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)  # words of a text in phrases found
    # A phrase of n words is counted under each of its parts: enough of them for `count` phrases.
    for code in holding.commonest(50 * count):
        holders = holding.texts_of(code)
        some = _first_places(hashed, code, holders[:_LOOKED_AT])
        if 2 * sum(_overlaps(begin, taken[at]) for at, begin in some.items()) > len(some):
            continue
        starts = _first_places(hashed, code, holders)
        phrase, low, high = _lengthened(words_of, starts)
        for at, begin in starts.items():
            taken[at].append((begin + low, begin + high))
        found.append(SharedWords(" ".join(phrase), len(phrase), tuple(starts)))
        if len(found) == count:
            break
    return found


class _Holding:
    """Which texts hold which phrase, by its hash."""

    def __init__(self, hashed: Sequence[np.ndarray]) -> None:
        distinct = [np.unique(each) for each in hashed]
        every = np.concatenate([*distinct, np.empty(0, np.uint64)])
        text = np.repeat(np.arange(len(distinct), dtype=np.int32), [len(each) for each in distinct])
        order = np.argsort(every, kind="stable")
        self._codes, self._text = every[order], text[order]

    def commonest(self, count: int) -> list[np.uint64]:
        """The phrases that the most texts share, of two at least."""
        codes, counts = np.unique(self._codes, return_counts=True)
        common = np.flatnonzero(counts > 1)
        return list(codes[common[np.argsort(-counts[common], kind="stable")][:count]])

    def texts_of(self, code: np.uint64) -> list[int]:
        """The texts that hold a phrase, in order."""
        ends = (np.searchsorted(self._codes, code, side) for side in ("left", "right"))
        return [int(at) for at in self._text[slice(*ends)]]


def _first_places(
    hashed: Sequence[np.ndarray], code: np.uint64, texts: Sequence[int]
) -> dict[int, int]:
    """Where each of the texts first holds the phrase."""
    return {at: int(np.flatnonzero(hashed[at] == code)[0]) for at in texts}


def _overlaps(begin: int, taken: Sequence[tuple[int, int]]) -> bool:
    return any(begin < end and start < begin + PHRASE_WORDS for start, end in taken)


def phrase_overlap(first: str, second: str, size: int = 3) -> float:
    """The Jaccard index of the phrases of `size` words of two texts; of shorter ones of the words.

    Two texts without words are alike.
    """
    one, two = (_phrases_of(text, size) for text in (first, second))
    either = one | two
    return len(one & two) / len(either) if either else 1.0


def _phrases_of(text: str, size: int) -> set[tuple[str, ...]]:
    found = [word.casefold() for word in words(text)]
    size = max(1, min(size, len(found)))
    return {tuple(found[at : at + size]) for at in range(len(found) - size + 1)}


def _phrase_hashes(words_of: Sequence[str]) -> np.ndarray:
    """A hash of every phrase of a text, in order."""
    codes = np.array([_hash(word) for word in words_of], np.uint64)
    length = len(codes) - PHRASE_WORDS + 1
    if length < 1:
        return np.empty(0, np.uint64)
    total = np.zeros(length, np.uint64)
    for place in range(PHRASE_WORDS):
        # Arithmetic of 64-bit words: overflow is part of the hash.
        total = total * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + length]
    return total


_HASHES: dict[str, int] = {}


def _hash(word: str) -> int:
    found = _HASHES.get(word)
    if found is None:
        if len(_HASHES) > 1 << 18:
            _HASHES.clear()
        digest = hashlib.blake2b(word.encode("utf-8"), digest_size=8).digest()
        found = _HASHES[word] = int.from_bytes(digest, "little")
    return found


def _lengthened(
    words_of: Sequence[Sequence[str]], starts: dict[int, int]
) -> tuple[list[str], int, int]:
    """The phrase with the words before and behind it that nearly all its texts share, and how far
    it now reaches from where it was found.
    """
    some, start = next(iter(starts.items()))
    low, high = 0, PHRASE_WORDS
    for step in (-1, 1):
        while True:
            place = low - 1 if step < 0 else high
            following = Counter(
                words_of[at][begin + place]
                for at, begin in starts.items()
                if 0 <= begin + place < len(words_of[at])
            )
            if not following:
                break
            word, times = following.most_common(1)[0]
            own = start + place
            goes_on = 0 <= own < len(words_of[some]) and words_of[some][own] == word
            if times < _ALIKE * len(starts) or not goes_on:
                break
            low, high = (place, high) if step < 0 else (low, place + 1)
    return list(words_of[some][start + low : start + high]), low, high


def _places(keyed: Iterable[tuple[object, int]]) -> dict[object, list[int]]:
    found: dict[object, list[int]] = defaultdict(list)
    for key, at in keyed:
        found[key].append(at)
    return found


def _top(places: dict, count: int) -> list[tuple]:
    """The keys with most places, of two at least; of equal ones the first seen."""
    shared = [(key, at) for key, at in places.items() if len(at) > 1]
    return sorted(shared, key=lambda each: -len(each[1]))[:count]
