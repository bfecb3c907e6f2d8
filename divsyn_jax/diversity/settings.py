"""How to score a corpus: every setting, its default and what it must satisfy.

The commands' flags are made from `ScoreSettings`, so that importing it loads nothing heavy.
"""

import dataclasses
import math
import os
import pathlib
from typing import TYPE_CHECKING, Annotated, Literal

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.agents.kinds import AGENTS, AgentKind
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.pairs.pair_settings import PairSettings
from divsyn_jax.endpoint.settings import EndpointSettings

if TYPE_CHECKING:
    from divsyn_jax.diversity.baselines import Settings as BaselineSettings
    from divsyn_jax.diversity.estimation.stopping import StoppingRule


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """How to score a corpus.

    Attributes:
      agent: who clusters: embeddings (offline), an LLM endpoint (openai), known labels (oracle).
      sample_size: documents in a draw (K).
      draws: draws from each corpus, at most; by default 20,000 offline, 1,000 with --agent=openai.
      target_half_width: stop drawing when the score's 95% interval is this narrow; --draws is the
        most.
      retest: draws that --agent=openai is asked twice, to measure its repeatability.
      control_variate: adjust the scores of --agent=openai by the embedding agent's on the same
        draws, where that is installed.
      threshold: cosine distance at which --agent=embedding separates clusters.
      label_field: field that holds the labels for --agent=oracle.
      endpoint: whom the LLM agent asks.
      judge: what the LLM agent asks.
      answers: SQLite file that keeps the endpoint's answers; None keeps none.
      seed: seed of the document sample, the draws and the order of documents.
      facets: topic, style, structure, wording, or none: what a corpus is diverse in, an effective
        number each.
      baselines: default, all, none, or some by name (python -m divsyn_jax.diversity.baselines lists
        them).
      baseline_tokens: words (UAX 29 segments) that baselines read from each corpus, at most; the
        same number from each.
      match_lengths: compare corpora whose documents differ in length at one length.
      parity: give the baselines of that package, with its defects and rounding.
      perplexity_models: one or two causal models for perplexity and its gap: Hugging Face
        directories or names.
      proxy: directory of a run of ours (divsyn_jax.train), small, whose gradients on single
        documents G-Vendi takes.
      max_documents: documents sampled uniformly from each corpus for draws and baselines, at most.
      rounds: samples of each corpus to score, for the spread between them.
      embedding_cache: directory that keeps embeddings between runs; the commands keep them in
        OUTPUT/embeddings unless told otherwise.
      embedding_model: sentence-transformers model, a folder or hub name, that embeds documents
        (needs the extra 'embeddings'); by default all-MiniLM-L6-v2 in JAX.
      read: how to read the corpus.
      pairs: how to make one number of effective clusters, and whether groups are looked into.

    Raises `UserError` for a value that cannot be used.
    """

    agent: Annotated[str, Flag(choices=tuple(AGENTS))] = "embedding"
    sample_size: int = 10
    draws: int | None = None
    target_half_width: float | None = None
    retest: int = 50
    control_variate: bool = True
    threshold: float = 0.5
    label_field: str | None = None
    endpoint: EndpointSettings | None = None
    judge: JudgeSettings = dataclasses.field(default_factory=JudgeSettings)
    answers: pathlib.Path | None = None
    seed: int = 0
    facets: tuple[str, ...] = FACET_NAMES
    baselines: tuple[str, ...] = ("default",)
    baseline_tokens: int = 2_000_000
    match_lengths: bool = True
    parity: Literal["diversity-0.3"] | None = None
    perplexity_models: tuple[str, ...] = ()
    proxy: str = ""
    max_documents: int = 5_000
    rounds: int = 1
    embedding_cache: str | os.PathLike[str] | None = None
    embedding_model: str | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    pairs: PairSettings = dataclasses.field(default_factory=PairSettings)

    def __post_init__(self) -> None:
        def require(holds: bool, flag: str, wants: str) -> None:
            if not holds:
                raise UserError(f"--{flag}={getattr(self, flag)}: {wants}")

        require(self.agent in AGENTS, "agent", f"choose one of {', '.join(AGENTS)}")
        require(self.sample_size >= 2, "sample_size", "a draw needs two documents or more")
        require(self.total_draws >= 2, "draws", "an interval needs two draws or more")
        target = self.target_half_width
        require(
            target is None or 0 < target < math.inf, "target_half_width", "give a positive number"
        )
        require(self.retest >= 0, "retest", "give a number of 0 or more")
        require(0 <= self.threshold <= 2, "threshold", "a cosine distance lies between 0 and 2")
        require(self.seed >= 0, "seed", "give a number of 0 or more")
        require(self.rounds >= 1, "rounds", "give a number of 1 or more")
        require(self.baseline_tokens >= 1, "baseline_tokens", "give a number of 1 or more")
        require(
            self.max_documents >= self.sample_size,
            "max_documents",
            f"give --sample_size={self.sample_size} or more",
        )
        require(
            self.kind.embeds
            or self.kind.embeddings_beside
            or self.pairs.need_vectors
            or self.embedding_model is None,
            "embedding_model",
            f"--agent={self.agent} embeds nothing; leave it out",
        )
        if self.pairs.pair_judge and self.endpoint is None:
            raise UserError(
                f"--pair_judge={self.pairs.pair_judge} needs an endpoint: --base_url and --model"
            )
        if self.kind.asks_endpoint:
            if self.endpoint is None:
                raise UserError(f"--agent={self.agent} needs an endpoint: --base_url and --model")
            if not self.judge.criteria_file and self.total_draws < 2 * self.judge.criteria_sets:
                raise UserError(
                    f"--draws={self.total_draws}: give two or more for each of"
                    f" --criteria_sets={self.judge.criteria_sets}"
                )
        object.__setattr__(self, "facets", _facet_names(self.facets))
        object.__setattr__(self, "baselines", _baseline_names(self.baselines))
        self.baseline_settings()

    @property
    def kind(self) -> AgentKind:
        """What is known of the agent asked for."""
        return AGENTS[self.agent]

    @property
    def total_draws(self) -> int:
        """Draws of each corpus, at most."""
        return self.kind.default_draws if self.draws is None else self.draws

    def stopping_rule(self) -> "StoppingRule | None":
        """When to stop before all draws are made; None for never."""
        from divsyn_jax.diversity.estimation import stopping

        if self.target_half_width is None:
            return None
        return stopping.StoppingRule(self.target_half_width, self.kind.first_look, self.total_draws)

    def baseline_settings(self) -> "BaselineSettings":
        """The part that says which baselines to compute, and how."""
        from divsyn_jax.diversity import baselines

        return baselines.Settings(
            self.baselines, self.seed, self.parity, self.perplexity_models, proxy=self.proxy
        )


def _facet_names(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The facets asked for, in their own order."""
    given = [name.strip() for name in asked]
    if given == ["none"]:
        return ()
    if unknown := [name for name in given if name not in FACET_NAMES]:
        raise UserError(
            f"--facets={','.join(given)}: {unknown[0]!r} is no facet; choose from"
            f" {', '.join(FACET_NAMES)}, or none"
        )
    return tuple(name for name in FACET_NAMES if name in given)


def _baseline_names(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The names asked for. `default` stays a name, so that a baseline that is added later does not
    invalidate finished scores that did not ask for it."""
    from divsyn_jax.diversity import baselines

    if asked == (baselines.ALL,):
        return tuple(baselines.baseline_names())
    return () if asked == (baselines.NONE,) else tuple(dict.fromkeys(map(str.strip, asked)))
