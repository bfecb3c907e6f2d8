"""Words of a text in any script: what lexical metrics, budgets, cuts and gates count.

A word is a segment of Unicode Standard Annex 29 (https://unicode.org/reports/tr29/, with ICU's
dictionaries for Chinese, Japanese, Thai, Lao, Khmer and Burmese) that holds a letter, a digit or a
pictograph; punctuation and white space are none. White space always ends a word. Scripts that are
written without spaces and have no dictionary in ICU (`_NO_DICTIONARY`) are counted by grapheme
clusters. ASCII text is segmented by a pattern that equals the annex there (a test compares it with
ICU), at the speed of `str.split`.
"""

import functools
import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from divsyn_jax.base.commandline import UserError

if TYPE_CHECKING:
    from icu4py.breakers import CharacterBreaker, WordBreaker

_ASCII_WORD = re.compile(
    r"(?=_*[A-Za-z0-9])\w+"  # a run of underscores alone is no word
    r"(?:(?:(?<=[A-Za-z])[.':](?=[A-Za-z])|(?<=[0-9])[.',;](?=[0-9]))\w+)*",
    re.ASCII,
)
_RUN = re.compile(r"\S+")
_PICTOGRAPH = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
# Scripts without spaces between words for which ICU 78 has no dictionary. It would take a whole
# clause of them for one word.
_NO_DICTIONARY = re.compile(
    "["
    "\u1950-\u19df"  # Tai Le, New Tai Lue
    "\u1a20-\u1aaf"  # Tai Tham
    "\u1b00-\u1b7f"  # Balinese
    "\ua980-\ua9df"  # Javanese
    "\uaa00-\uaa5f"  # Cham
    "\uaa80-\uaadf"  # Tai Viet
    "\ua000-\ua48f"  # Yi
    "\U00011700-\U0001174f"  # Ahom
    "\U00012000-\U0001254f"  # cuneiform
    "\U00013000-\U0001345f"  # Egyptian hieroglyphs
    "]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOCALE = "root"
_RUNS_KEPT = 1 << 17  # distinct runs between spaces that are remembered
_LONGEST_KEPT = 64  # characters; longer runs hardly return


def words(text: str) -> list[str]:
    """The words of `text` in order, as they are written (see the module for what a word is).

    Raises `UserError` when a text beyond ASCII is given and ICU's bindings are not installed.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return list(itertools.chain.from_iterable(map(_words_of_run, text.split())))


def count_words(text: str) -> int:
    """The number of `words` of `text`."""
    if text.isascii():
        return len(_ASCII_WORD.findall(text))
    return sum(map(len, map(_words_of_run, text.split())))


def first_words(text: str, count: int) -> str:
    """`text` up to the end of its `count`-th word; the whole text when it has no more than that.

    What lies between the words stays as it is; what follows the last one goes.
    """
    end = 0
    for number, (_, word_end) in enumerate(_spans(text)):
        if number == count:
            return text[:end]
        end = word_end
    return text


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of every word in `text`, one after the other."""
    for run in _RUN.finditer(text):
        for start, end in _spans_of_run(run.group()):
            yield run.start() + start, run.start() + end


def _words_of_run(run: str) -> tuple[str, ...]:
    """Words of a run of characters without white space."""
    return _short_words(run) if len(run) <= _LONGEST_KEPT else _cut_out(run)


def _cut_out(run: str) -> tuple[str, ...]:
    return tuple(run[start:end] for start, end in _spans_of_run(run))


_short_words = functools.lru_cache(_RUNS_KEPT)(_cut_out)


def _spans_of_run(run: str) -> list[tuple[int, int]]:
    if run.isascii():
        return [found.span() for found in _ASCII_WORD.finditer(run)]
    return _segmented(run)


def _segmented(run: str) -> list[tuple[int, int]]:
    word_breaker, character_breaker = _breakers()
    # Half a surrogate pair has no UTF-8. One character stands for it, so that places stay right.
    encodable = _SURROGATE.sub("\ufffd", run)
    found: list[tuple[int, int]] = []
    start = 0
    for segment in word_breaker(encodable, _LOCALE):
        if _NO_DICTIONARY.search(segment):
            parts = list(character_breaker(segment, _LOCALE))
        else:
            parts = [segment]
        for part in parts:
            end = start + len(part)
            if _is_word(part):
                found.append((start, end))
            start = end
    return found


def _is_word(segment: str) -> bool:
    return (
        segment[:1].isalnum()
        or any(character.isalnum() for character in segment)
        or _PICTOGRAPH.search(segment) is not None
    )


@functools.cache
def _breakers() -> "tuple[type[WordBreaker], type[CharacterBreaker]]":
    try:
        from icu4py.breakers import CharacterBreaker, WordBreaker
    except ImportError:
        raise UserError(
            "words of texts beyond ASCII need icu4py: pip install 'divsyn-jax[statistics]'"
        ) from None
    return WordBreaker, CharacterBreaker
