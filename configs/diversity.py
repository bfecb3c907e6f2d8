"""The table of diversity levels: what a named level is generated from and how it is mixed with real
text.

`--config=configs/350m.py:level=topic_styles_persona` trains on the mixture of that level: shards of
real text in `real/` and of the level's synthetic corpus in `<level's corpus>/`, both under
data.root. `generate_corpus --config=configs/synthesis.py:topic_styles_persona` writes such a
corpus.

Every arm of Chen et al. 2024 is here (sections 3.3-3.6; token counts in billions from their Tables
2-4). Levels derive from
one another: an arm says only what differs.

The paper weights the levels of a comparison to equal effective tokens, so a corpus with fewer
unique tokens is repeated more often and diversity is confounded with repetition.
`level=NAME,control=CONTROL` holds something else equal over all levels of the comparison (`group`):

  equal_total_tokens   (the paper's, and the default) synthetic tokens trained on; unique tokens
                       and epochs differ
  equal_unique_tokens  besides, each corpus counts only with its first so many tokens, as many as
                       the smallest has: synthetic tokens, unique tokens and epochs over them are
                       all equal
  equal_repetition     epochs over the synthetic text, which are those of the largest corpus, and
                       real tokens; synthetic tokens differ as the corpora do, and the steps of the
                       run with them

The table's unique tokens are those of the paper's corpora. Of corpora of another size give the
number that is to be held equal: `level=NAME,control=equal_unique_tokens,unique_tokens=580e6` (of
the smallest corpus of the comparison), or of this level's and the largest corpus:
`control=equal_repetition,unique_tokens=1.01e9,largest=4.43e9`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError

REAL_TOKENS_B = 34.0
CONTROLS = ("equal_total_tokens", "equal_unique_tokens", "equal_repetition")
# The built-in grammar stands in for a language model at a small scale: one of its topics for so
# many of the paper's, and one document for so many, which keeps the ratios between levels.
_TOPICS_PER_GRAMMAR_TOPIC = 20_000
_DOCUMENTS_PER_GRAMMAR_DOCUMENT = 1000
_TOKENS_PER_DOCUMENT = 500  # of the paper's corpora, about
# Styles and personas of a template (its four styles; every persona of the grammar), and topics in a
# document.
_GRAMMAR_OF_TEMPLATE = {
    "topic": {"styles": 1, "personas": 1, "topics_per_document": 1},
    "topic_styles": {"styles": 4, "personas": 1, "topics_per_document": 1},
    "topic_styles_persona": {"styles": 4, "personas": 17, "topics_per_document": 1},
    "multi_topic_styles_persona": {"styles": 4, "personas": 17, "topics_per_document": 2},
}
_DIALECT_OF_GENERATOR = {
    "gpt-4o": "dialect-a",
    "gpt-3.5": "dialect-b",
    "llama-3.1-8b-instruct": "dialect-c",
    "mistral-7b-instruct": "dialect-d",
}


@dataclasses.dataclass(frozen=True)
class Level:
    """A diversity level.

    Attributes: name: as in `level=NAME`. group: the comparison it belongs to; controls hold
      quantities equal over its levels. corpus: shards folder of the synthetic corpus under
      data.root ('' for real text only). template: prompt template, from the plainest to the most
      diverse: topic, topic_styles, topic_styles_persona, multi_topic_styles_persona. topics: number
      of seed topics. generations: passages generated per topic (0: until unique_tokens_b is
      reached). generators: models that wrote the corpus. unique_tokens_b: size of the synthetic
      corpus, in billions of tokens. effective_tokens_b: tokens that the mixture counts it as
      (repetition included), in billions; real text counts 34. control: what is held equal over the
      group. limit_b: the corpus counts with its first so many billions of tokens only; None: with
      all. steps_ratio: steps of the run relative to one with control equal_total_tokens.
    """

    name: str
    group: str
    corpus: str
    template: str
    topics: int
    generations: int
    generators: tuple[str, ...]
    unique_tokens_b: float
    effective_tokens_b: float
    control: str = CONTROLS[0]
    limit_b: float | None = None
    steps_ratio: float = 1.0

    def data_train(self) -> str:
        """The mixture in the form of `data.train`:

        real and synthetic shards weighted by effective tokens.
        """
        real = f"real=real:{REAL_TOKENS_B:g}"
        limit = "" if self.limit_b is None else f"@{self.limit_b * 1e9:.0f}"
        return (
            f"{real},synthetic={self.corpus}{limit}:{self.effective_tokens_b:.12g}"
            if self.corpus
            else real
        )

    def grammar(self) -> dict[str, Any]:
        """The knobs of the built-in grammar for this level
        (`divsyn_jax.synthesis.grammar.Breadth`).
        """
        dialects = tuple(_DIALECT_OF_GENERATOR[name] for name in self.generators)
        return {
            "topics": self.topics // _TOPICS_PER_GRAMMAR_TOPIC,
            **_GRAMMAR_OF_TEMPLATE[self.template],
            # Only a comparison of generators needs the grammar to have several.
            "generators": dialects if self.group == "generators" else ("grammar",),
        }

    def grammar_documents(self) -> int:
        """How many documents the built-in grammar writes for this level."""
        documents = (
            self.topics * self.generations or self.unique_tokens_b * 1e9 / _TOKENS_PER_DOCUMENT
        )
        return round(documents / _DOCUMENTS_PER_GRAMMAR_DOCUMENT)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, stored in a run's config.json."""
        return {
            **dataclasses.asdict(self),
            "generators": list(self.generators),
            "real_tokens_b": REAL_TOKENS_B,
        }


def _arm(base: Level, name: str, **changes: Any) -> Level:
    return dataclasses.replace(base, name=name, **{"corpus": name, **changes})


_PERSONA = Level(
    name="topic_styles_persona",
    group="templates",
    corpus="topic_styles_persona",
    template="topic_styles_persona",
    topics=620_000,
    generations=0,
    generators=("gpt-4o",),
    unique_tokens_b=12.90,
    effective_tokens_b=20.0,
)
# Section 3.3: topics x generations, with the Topic template, all weighted to 4.5B tokens.
_GRID = _arm(
    _PERSONA,
    "topics_100k_x10",
    group="topics x generations",
    template="topic",
    topics=100_000,
    generations=10,
    unique_tokens_b=0.58,
    effective_tokens_b=4.5,
)
# Section 3.5: generators, Topic Styles Persona, all weighted to 5B tokens.
_GENERATOR = _arm(
    _PERSONA, "generator_gpt4o", group="generators", unique_tokens_b=5.00, effective_tokens_b=5.0
)

_ALL = (
    _arm(
        _PERSONA,
        "real_only",
        group="real only",
        corpus="",
        template="",
        topics=0,
        generators=(),
        unique_tokens_b=0.0,
        effective_tokens_b=0.0,
    ),
    _GRID,
    _arm(_GRID, "topics_100k_x20", generations=20, unique_tokens_b=1.01),
    _arm(_GRID, "topics_100k_x30", generations=30, unique_tokens_b=1.48),
    _arm(_GRID, "topics_300k_x10", topics=300_000, unique_tokens_b=1.74),
    _arm(_GRID, "topics_300k_x20", topics=300_000, generations=20, unique_tokens_b=3.04),
    _arm(_GRID, "topics_300k_x30", topics=300_000, generations=30, unique_tokens_b=4.43),
    # Section 3.4: prompt templates, all weighted to 20B tokens.
    _arm(_PERSONA, "topic", template="topic", unique_tokens_b=10.44),
    _arm(_PERSONA, "topic_styles", template="topic_styles", unique_tokens_b=12.64),
    _PERSONA,
    _arm(
        _PERSONA,
        "multi_topic_styles_persona",
        template="multi_topic_styles_persona",
        unique_tokens_b=12.27,
    ),
    _GENERATOR,
    _arm(_GENERATOR, "generator_gpt35", generators=("gpt-3.5",), unique_tokens_b=4.62),
    _arm(
        _GENERATOR,
        "generator_llama31_8b",
        generators=("llama-3.1-8b-instruct",),
        unique_tokens_b=4.04,
    ),
    _arm(
        _GENERATOR,
        "generator_mistral_7b",
        generators=("mistral-7b-instruct",),
        unique_tokens_b=4.39,
    ),
    _arm(
        _GENERATOR,
        "generator_mixed",
        generators=("gpt-4o", "gpt-3.5", "llama-3.1-8b-instruct", "mistral-7b-instruct"),
        unique_tokens_b=5.0,
    ),
    # Section 3.6: how much of the same synthetic corpus, against 34B real tokens.
    *(
        _arm(
            _PERSONA,
            f"ratio_{tokens}b",
            group="ratios",
            corpus=_PERSONA.corpus,
            effective_tokens_b=float(tokens),
        )
        for tokens in (1, 5, 10, 20, 34, 50)
    ),
)
LEVELS: dict[str, Level] = {level.name: level for level in _ALL}


def level_of(argument: str | None) -> Level | None:
    """The level of a config argument, `level=NAME` with an optional control (see above); None for
    no argument.

    Raises `UserError` for anything else, and for a control that cannot hold in the level's
    comparison."""
    if not argument:
        return None
    options = {}
    for part in argument.split(","):
        key, _, value = part.partition("=")
        if key not in ("level", "control", "unique_tokens", "largest") or key in options:
            raise UserError(
                f"config argument {part!r}: use"
                " level=NAME[,control=CONTROL[,unique_tokens=N[,largest=N]]]"
            )
        options[key] = value
    name = options.pop("level", None)
    if name not in LEVELS:
        raise UserError(f"level={name!r} is unknown; known levels: {', '.join(LEVELS)}")
    control = options.pop("control", CONTROLS[0])
    if control not in CONTROLS:
        raise UserError(f"control={control!r} is unknown; known controls: {', '.join(CONTROLS)}")
    return _controlled(
        LEVELS[name], control, {key: _billions(key, value) for key, value in options.items()}
    )


def _billions(key: str, value: str) -> float:
    try:
        tokens = float(value)
    except ValueError:
        tokens = 0.0
    if not 0 < tokens < float("inf"):
        raise UserError(f"{key}={value}: a number of tokens is expected, e.g. {key}=580e6")
    return tokens / 1e9


def _controlled(level: Level, control: str, given: Mapping[str, float]) -> Level:
    """`level` with what `control` holds equal over its group."""
    if control == CONTROLS[0]:
        if given:
            raise UserError(
                f"{next(iter(given))} is for control=equal_unique_tokens and"
                " control=equal_repetition"
            )
        return level
    group = [other for other in LEVELS.values() if other.group == level.group]
    if len({other.unique_tokens_b for other in group}) == 1:
        raise UserError(
            f"control={control}: the levels of {level.group!r} do not differ in unique tokens"
        )
    if control == "equal_unique_tokens":
        if "largest" in given:
            raise UserError("largest is for control=equal_repetition")
        limit = given.get("unique_tokens", min(other.unique_tokens_b for other in group))
        return dataclasses.replace(level, control=control, limit_b=limit)
    if len(given) == 1:
        raise UserError(
            "control=equal_repetition: give unique_tokens and largest together, or neither"
        )
    unique = given.get("unique_tokens", level.unique_tokens_b)
    largest = given.get("largest", max(other.unique_tokens_b for other in group))
    effective = level.effective_tokens_b * unique / largest
    ratio = (REAL_TOKENS_B + effective) / (REAL_TOKENS_B + level.effective_tokens_b)
    return dataclasses.replace(
        level, control=control, effective_tokens_b=effective, steps_ratio=ratio
    )
