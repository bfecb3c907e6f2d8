"""What a rephrasing says that its source does not, found without a model: numbers, names, denials.

The rules are strict where a text can be asked for again: a rephrasing that is rejected costs one
call, one that is wrong stays in the corpus. What they cannot see (a relation turned around, a claim
in other words, names in scripts without capitals) is for the judge of `formats.entailment_prompt`.
"""

import decimal
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator

from divsyn_jax.base.words import words
from divsyn_jax.synthesis.rephrasing.lexicon import (
    NEGATIONS,
    NOT_COUNTED,
    ORDINALS,
    SCALES,
    SPELLED_NUMBERS,
    STOP_WORDS,
    TENS,
    UNITS,
)

# A numeral with separators inside, no part of a word.
_NUMERAL = re.compile(r"(?<![\w.])[-+\u2212]?\d[\d.,'\u2019\u00a0\u202f ]*\d|(?<![\w.])\d|\d+")
# What counts lines and headings and is no statement: "1.", "2)", "Step 3:", "Q4:".
_MARKER = re.compile(
    r"^[\s|*#>-]*(?:\(?(?:step|part|question|answer|q|a|point|section)?\s*\d{1,3}[.):](?=\s|$))"
    r"|\b(?:steps?|parts?|questions?|answers?|points?|sections?)\s+\d{1,3}\b",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟])[\"'\u201d\u2019)\]]*\s+|\n+|\s*\|\s*")
# Where a capital may stand for other reasons than that a name has one.
_CAPITAL_START = re.compile(
    _SENTENCE_END.pattern
    + r"|[:;\u2014\u2013]\s+|[\"\u201c\u201d\u00ab\u00bb\u201e]|(?<=\s)['\u2018]|^\W+"
)
# Languages whose nouns all have capitals: a capital says nothing there.
_NOUN_CAPITALS = frozenset({"de", "lb"})
_SAME_STATEMENT = (
    0.7  # share of content words that two sentences share from which both say one thing
)


def unfaithful(source: str, text: str, language: str = "en") -> str | None:
    """Why `text` cannot be a faithful rephrasing of `source`: number, name, negation; None where
    nothing speaks against it.

    Args: language: ISO 639-1 code of both; '' where it is not known.
    """
    if _changed_number(source, text):
        return "number"
    if language not in _NOUN_CAPITALS and _changed_name(source, text):
        return "name"
    return "negation" if _changed_denial(source, text) else None


# Numbers


def numbers_of(text: str) -> list[tuple[str, str]]:
    """(number, the content word after it or '') of every number in `text`, digits or spelled, in
    canonical form; what numbers lines and steps is left out.
    """
    text = unicodedata.normalize("NFKC", _MARKER.sub(" ", text))
    found: list[tuple[int, int, str]] = []
    for match in _NUMERAL.finditer(text):
        for start, end, value in _values(match):
            found.append((start, end, value))
    for match in re.finditer(r"[A-Za-z]+(?:-[a-z]+)?", text):
        spelled = _spelled(match[0].casefold())
        if spelled is not None:
            found.append((match.start(), match.end(), spelled))
    merged: list[tuple[int, int, str]] = []
    for start, end, value in sorted(found):
        if merged and text[start:end].casefold() in SCALES:
            before, until, factor = merged[-1]
            if not text[until:start].strip(" -"):  # 12 thousand
                product = decimal.Decimal(factor) * decimal.Decimal(value)
                merged[-1] = (before, end, _canonical(f"{product:f}"))
                continue
        merged.append((start, end, value))
    return [(value, _noun_after(text[end : end + 60])) for _, end, value in merged]


def _values(match: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """The numbers of a run of digits and separators: one where they group thousands or decimals,
    several where they only stand side by side.
    """
    run = match[0].strip()
    plain = run.lstrip("+-\u2212")
    if re.fullmatch(r"\d{1,3}([,.'\u2019 ])\d{3}(?:\1\d{3})*(?:[.,]\d+)?", plain):
        separator = next(character for character in plain if not character.isdigit())
        whole = plain.replace(separator, "")
        yield match.start(), match.end(), _canonical(whole.replace(",", "."))
        return
    if re.fullmatch(r"\d+(?:[.,]\d+)?", plain):
        yield match.start(), match.end(), _canonical(plain.replace(",", "."))
        return
    for part in re.finditer(r"\d+(?:\.\d+)?", match[0]):
        yield match.start() + part.start(), match.start() + part.end(), _canonical(part[0])


def _canonical(number: str) -> str:
    whole, _, decimals = number.partition(".")
    digits = "".join(str(unicodedata.digit(digit)) for digit in whole).lstrip("0") or "0"
    decimals = decimals.rstrip("0")
    return f"{digits}.{decimals}" if decimals else digits


def _spelled(word: str) -> str | None:
    if word in NOT_COUNTED:
        return None
    if word in SPELLED_NUMBERS:
        return SPELLED_NUMBERS[word]
    if word in ORDINALS:
        return str(ORDINALS.index(word))
    tens, _, unit = word.partition("-")
    if tens in TENS and unit in UNITS[1:10]:
        return str(int(SPELLED_NUMBERS[tens]) + int(SPELLED_NUMBERS[unit]))
    return None


def _noun_after(rest: str) -> str:
    """The first content word after a number, before the sentence ends."""
    for word in re.findall(r"[^\W\d_]+|[.,;!?|\n]", rest):
        folded = word.casefold()
        if not folded[0].isalpha():
            return ""
        if folded not in STOP_WORDS and folded not in SPELLED_NUMBERS:
            return _stem(folded)
    return ""


def _changed_number(source: str, text: str) -> bool:
    """Whether `text` has a number that the source lacks, or that the source gives to another
    thing and never to this one.
    """
    stated = numbers_of(source)
    known = {number for number, _ in stated}
    for word in words(source.casefold()):
        if word in NOT_COUNTED and word in SPELLED_NUMBERS:
            known.add(SPELLED_NUMBERS[word])
        elif word in ORDINALS:
            known.add(str(ORDINALS.index(word)))
    numbers_of_noun: dict[str, set[str]] = {}
    for number, noun in stated:
        numbers_of_noun.setdefault(noun, set()).add(number)
    for number, noun in numbers_of(text):
        if number not in known:
            return True
        if noun and noun in numbers_of_noun and number not in numbers_of_noun[noun]:
            return True
    return False


# Names


def _changed_name(source: str, text: str) -> bool:
    """Whether `text` has a word with a capital inside a sentence, or in the place of a name of the
    source, that the source does not have.
    """
    known = {_stem(word.casefold()) for word in words(source)}
    lower = {word for word in words(text) if word[:1].islower()}
    followers = _name_followers(source)
    for sentence in filter(None, _CAPITAL_START.split(text)):
        found = words(sentence)
        if _is_title(found):
            continue
        for place, word in enumerate(found):
            if not word[:1].isupper() or word == "I" or word.startswith(("I'", "I\u2019")):
                continue
            if _stem(word.casefold()) in known or word.casefold() in lower:
                continue
            if word.casefold() in STOP_WORDS | NEGATIONS:
                continue
            if place:
                return True
            following = found[1].casefold() if len(found) > 1 else ""
            if following and _stem(following) in followers:
                return True
    return False


def _is_title(found: list[str]) -> bool:
    """Whether a line writes most of its words with capitals, as headings do."""
    letters = [word for word in found if word[:1].isalpha()]
    capitals = sum(word[:1].isupper() for word in letters)
    return len(letters) > 3 and capitals > 0.6 * len(letters)


def _name_followers(source: str) -> set[str]:
    """Content words that stand after a name in the source."""
    found = words(source)
    ordinary = {word for word in found if word[:1].islower()}
    return {
        _stem(after.casefold())
        for word, after in itertools.pairwise(found)
        if word[:1].isupper() and word.casefold() not in ordinary | STOP_WORDS
        if after[:1].islower() and after not in STOP_WORDS
    }


# Denials


def _changed_denial(source: str, text: str) -> bool:
    """Whether a sentence of `text` denies what the sentence of the source that it repeats states,
    or the other way around.
    """
    stated = [(_content(sentence), _denials(sentence)) for sentence in _sentences(source)]
    for sentence in _sentences(text):
        content, denials = _content(sentence), _denials(sentence)
        if len(content) < 2 or sentence.rstrip().endswith(("?", "？", "؟")):
            continue
        # Of the sentences that say the same, one must agree.
        same = [
            of_source
            for words_of_source, of_source in stated
            if words_of_source
            and len(content & words_of_source) >= _SAME_STATEMENT * len(content)
            and len(content & words_of_source) >= 0.5 * len(words_of_source)
        ]
        if same and all(of_source % 2 != denials % 2 for of_source in same):
            return True
    return False


def _denials(sentence: str) -> int:
    folded = sentence.casefold().replace("\u2019", "'")
    found = words(folded)
    return sum(word in NEGATIONS or word.endswith("n't") for word in found)


def _content(sentence: str) -> frozenset[str]:
    """Stems of the words of a sentence that carry its content."""
    return frozenset(
        _stem(word)
        for word in words(sentence.casefold().replace("\u2019", "'"))
        if word not in STOP_WORDS and word not in NEGATIONS and not word.endswith("n't")
    )


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text) if part and part.strip()]


@functools.lru_cache(1 << 16)
def _stem(word: str) -> str:
    """A word without possessive and the commonest endings, so that its forms are one."""
    word = word.replace("\u2019", "'").removesuffix("'s").rstrip("'")
    for ending in ("ingly", "edly", "ing", "ed", "es", "s", "ly"):
        if not word.endswith("ss") and word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return re.sub("[ey]$", lambda end: "i" if end[0] == "y" else "", word) or word
