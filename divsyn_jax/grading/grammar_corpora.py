"""Corpora of the built-in grammar whose diversity is known, for whoever has no others."""

import itertools
from typing import Any

from divsyn_jax.grading.bench import GradedCorpus
from divsyn_jax.statistics.factorial import Design, factorial_design
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages, limits, seeded

GRAMMAR_FACTORS = ("topics", "styles", "personas", "wordings", "formats")
# Low and high level of each knob of the factorial corpora.
FACTOR_LEVELS = {
    "topics": (4, 32),
    "styles": (1, 8),
    "personas": (1, 16),
    "wordings": (1, 6),
    "formats": (1, 8),
}
_LADDER_STYLES, _LADDER_PERSONAS = 4, 4
_COPIED = (16, 8, 4, 2, 1)  # times that every text of a rung stands there
# A number of its own for every corpus made from one seed.
_SEEDS_APART = 1_000


def topic_ladder(documents: int, seed: int) -> list[GradedCorpus]:
    """Corpora of 1, 2, 4, ... topics up to all of the grammar, each known to hold so many kinds."""
    counts = [1]
    while counts[-1] * 2 <= limits()["topics"]:
        counts.append(counts[-1] * 2)
    return [
        GradedCorpus(
            f"{topics} topics",
            _passages(Breadth(topics, _LADDER_STYLES, _LADDER_PERSONAS), documents, seed, place),
            kinds=topics,
        )
        for place, topics in enumerate(counts)
    ]


def copies_ladder(documents: int, seed: int) -> list[GradedCorpus]:
    """Corpora of one size of ever more distinct texts, in random order."""
    breadth = Breadth(limits()["topics"], _LADDER_STYLES, _LADDER_PERSONAS)
    pool = _passages(breadth, documents, seed, len(_COPIED) + 100)
    found = []
    for times in _COPIED:
        distinct = -(-documents // times)
        texts = (pool[:distinct] * times)[:documents]
        seeded("graded copies", seed, times).shuffle(texts)
        found.append(GradedCorpus(f"{distinct} distinct texts", texts))
    return found


def factor_design() -> Design:
    """The half fraction of resolution V of the five knobs: main effects are clear of each other
    and of interactions of two."""
    return factorial_design(GRAMMAR_FACTORS, "IV")


def factorial_corpora(documents: int, seed: int) -> list[GradedCorpus]:
    """The corpora of `factor_design`, in its order; all but its knobs is the same for each."""
    found = []
    for place, row in enumerate(factor_design().rows):
        levels: dict[str, Any] = {
            factor: FACTOR_LEVELS[factor][sign > 0]
            for factor, sign in zip(GRAMMAR_FACTORS, row, strict=True)
        }
        name = ", ".join(f"{count} {factor}" for factor, count in levels.items())
        texts = _passages(Breadth(**levels), documents, seed, 200 + place)
        found.append(GradedCorpus(name, texts))
    return found


def narrow_and_broad(documents: int, seed: int) -> tuple[GradedCorpus, GradedCorpus]:
    """A corpus with every knob low and one with every knob high: the step between them is the
    unit in which the bench measures what should not matter."""
    ends: list[dict[str, Any]] = [
        {factor: levels[place] for factor, levels in FACTOR_LEVELS.items()} for place in (0, 1)
    ]
    low, high = (Breadth(**levels) for levels in ends)
    return (
        GradedCorpus("narrow", _passages(low, documents, seed, 300)),
        GradedCorpus("broad", _passages(high, documents, seed, 301)),
    )


def _passages(breadth: Breadth, documents: int, seed: int, corpus: int) -> list[str]:
    passages = generate_passages(breadth, _SEEDS_APART * seed + corpus)
    return [record["text"] for record in itertools.islice(passages, documents)]
