"""The wordings of the grammar: the same frames in other words.

A wording is a choice of one entry out of every set of wordings.toml. It changes the words of the
sentence templates alone: what is said (a topic's knowledge), who says it (a persona's sentences)
and in which form (nearly all function words, punctuation, order) stay the same, so that wording is
a factor of its own. Wording 0 is the grammar's own."""

import functools
import importlib.resources
import re
import tomllib

from divsyn_jax.synthesis.grammar.sentences import capitalise, with_article

_BETWEEN = " / "  # the words of a set
# What stands between braces is a slot, filled later with words that are nobody's wording.
_SLOT = re.compile(r"(\{\w+\})")


@functools.cache
def synonym_sets() -> tuple[tuple[str, ...], ...]:
    """The sets, each with one entry a wording, the grammar's own first. Raises `ValueError` naming
    a set that repeats a word, that is shorter or longer than the first, or that opens as another
    does."""
    source = importlib.resources.files("divsyn_jax.synthesis.grammar") / "wordings.toml"
    listed = tomllib.loads(source.read_text(encoding="utf-8"))["sets"]
    sets = tuple(tuple(line.split(_BETWEEN)) for line in listed)
    for words in sets:
        if len(set(words)) < len(words) or len(words) != len(sets[0]):
            raise ValueError(
                f"wordings.toml: {_BETWEEN.join(words)!r}: {len(sets[0])} different entries are"
                " expected"
            )
    firsts = [words[0] for words in sets]
    if len(set(firsts)) < len(firsts):
        twice = next(first for first in firsts if firsts.count(first) > 1)
        raise ValueError(f"wordings.toml: two sets open with {twice!r}")
    return sets


def count_of_wordings() -> int:
    """How many wordings there are, the grammar's own among them."""
    return len(synonym_sets()[0])


@functools.lru_cache(maxsize=1 << 14)
def in_wording(template: str, wording: int) -> str:
    """A sentence template with the words of `wording` (0 to `count_of_wordings()` - 1), its slots
    as they are."""
    if not wording:
        return template
    parts = _SLOT.split(template)
    return "".join(
        part if index % 2 else _pattern().sub(functools.partial(_replaced, wording), part)
        for index, part in enumerate(parts)
    )


@functools.cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted((words[0] for words in synonym_sets()), key=len, reverse=True)
    entries = "|".join(map(re.escape, longest_first))
    # An indefinite article goes with the word after it; a part of a hyphenated word is no word.
    return re.compile(rf"(?<![\w'-])(?:(an?) )?({entries})(?![\w-]|'\w)", re.IGNORECASE)


@functools.cache
def _by_first() -> dict[str, tuple[str, ...]]:
    return {words[0].lower(): words for words in synonym_sets()}


def _replaced(wording: int, match: re.Match[str]) -> str:
    article, found = match.groups()
    word = _by_first()[found.lower()][wording]
    if article:
        # The sound of the new word decides between a and an, the case of the old article stays.
        worded = with_article(word)
        return capitalise(worded) if article[0].isupper() else worded
    return capitalise(word) if found[0].isupper() else word
