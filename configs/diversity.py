"""The table of diversity levels: what a named level is generated from and how it is mixed with real text.

`--config=configs/350m.py:level=topic_styles_persona` trains on the mixture of that level: shards of real text in
`real/` and of the level's synthetic corpus in `<level's corpus>/`, both under data.root.

Every arm of Chen et al. 2024 is here (sections 3.3-3.6; token counts in billions from their Tables 2-4). Levels derive from
one another: an arm says only what differs.
"""

import dataclasses
from typing import Any

from divsyn_jax.commandline import UserError

REAL_TOKENS_B = 34.0


@dataclasses.dataclass(frozen=True)
class Level:
    """A diversity level.

    Attributes:
      name: as in `level=NAME`.
      corpus: shards folder of the synthetic corpus under data.root ('' for real text only).
      template: prompt template, from the plainest to the most diverse: topic, topic_styles, topic_styles_persona,
        multi_topic_styles_persona.
      topics: number of seed topics.
      generations: passages generated per topic (0: until unique_tokens_b is reached).
      generators: models that wrote the corpus.
      unique_tokens_b: size of the synthetic corpus, in billions of tokens.
      effective_tokens_b: tokens that the mixture counts it as (repetition included), in billions; real text counts 34.
    """

    name: str
    corpus: str
    template: str
    topics: int
    generations: int
    generators: tuple[str, ...]
    unique_tokens_b: float
    effective_tokens_b: float

    def data_train(self) -> str:
        """The mixture in the form of `data.train`: real and synthetic shards weighted by effective tokens."""
        real = f"real=real:{REAL_TOKENS_B:g}"
        return f"{real},synthetic={self.corpus}:{self.effective_tokens_b:g}" if self.corpus else real

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, stored in a run's config.json."""
        return {**dataclasses.asdict(self), "generators": list(self.generators), "real_tokens_b": REAL_TOKENS_B}


def _arm(base: Level, name: str, **changes: Any) -> Level:
    return dataclasses.replace(base, name=name, **{"corpus": name, **changes})


_PERSONA = Level(
    "topic_styles_persona", "topic_styles_persona", "topic_styles_persona", 620_000, 0, ("gpt-4o",), 12.90, 20.0
)
# Section 3.3: topics x generations, with the Topic template, all weighted to 4.5B tokens.
_GRID = _arm(
    _PERSONA,
    "topics_100k_x10",
    template="topic",
    topics=100_000,
    generations=10,
    unique_tokens_b=0.58,
    effective_tokens_b=4.5,
)
# Section 3.5: generators, Topic Styles Persona, all weighted to 5B tokens.
_GENERATOR = _arm(_PERSONA, "generator_gpt4o", unique_tokens_b=5.00, effective_tokens_b=5.0)

_ALL = (
    _arm(
        _PERSONA,
        "real_only",
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
    _arm(_PERSONA, "multi_topic_styles_persona", template="multi_topic_styles_persona", unique_tokens_b=12.27),
    _GENERATOR,
    _arm(_GENERATOR, "generator_gpt35", generators=("gpt-3.5",), unique_tokens_b=4.62),
    _arm(_GENERATOR, "generator_llama31_8b", generators=("llama-3.1-8b-instruct",), unique_tokens_b=4.04),
    _arm(_GENERATOR, "generator_mistral_7b", generators=("mistral-7b-instruct",), unique_tokens_b=4.39),
    _arm(
        _GENERATOR,
        "generator_mixed",
        generators=("gpt-4o", "gpt-3.5", "llama-3.1-8b-instruct", "mistral-7b-instruct"),
        unique_tokens_b=5.0,
    ),
    # Section 3.6: how much of the same synthetic corpus, against 34B real tokens.
    *(
        _arm(_PERSONA, f"ratio_{tokens}b", corpus=_PERSONA.corpus, effective_tokens_b=float(tokens))
        for tokens in (1, 5, 10, 20, 34, 50)
    ),
)
LEVELS: dict[str, Level] = {level.name: level for level in _ALL}


def level_of(argument: str | None) -> Level | None:
    """The level of a config argument `level=NAME`; None for no argument. Raises `UserError` for anything else."""
    if not argument:
        return None
    key, _, name = argument.partition("=")
    if key != "level":
        raise UserError(f"config argument {argument!r}: use level=NAME")
    if name not in LEVELS:
        raise UserError(f"level={name!r} is unknown; known levels: {', '.join(LEVELS)}")
    return LEVELS[name]
