"""How to score a corpus: every setting, its default and what it must satisfy."""

import dataclasses
import math
import os
import pathlib

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.baselines import OFFERED
from divsyn_jax.diversity.baselines import Settings as BaselineSettings
from divsyn_jax.diversity.estimation import stopping
from divsyn_jax.endpoint.settings import EndpointSettings

AGENTS = ("embedding", "openai", "oracle")
DRAWS = {
    "embedding": 20_000,
    "oracle": 20_000,
    "openai": 1_000,
}  # where --draws says nothing; the paper's full run: 5,000


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """How to score a corpus.

    Attributes: agent: who partitions the draws: `embedding` (offline), `openai` (an endpoint) or
      `oracle` (labels known). sample_size: K, documents in a draw. draws: number of draws, at most;
      None means `DRAWS` of the agent. target_half_width: stop drawing when the score's interval is
      this narrow (`stopping.StoppingRule`); None makes all. retest: draws that an LLM is asked
      again, for its repeatability. control_variate: an LLM's scores are adjusted by the embedding
      agent's on the same draws, where it is installed. threshold: cosine distance at which the
      embedding agent cuts its dendrograms. label_field: field of the records that holds the
      oracle's labels. endpoint, judge: whom the LLM agent asks, and what. answers: SQLite file that
      keeps the endpoint's answers; None keeps none. seed: of the document sample, the draws and the
      order of documents in baselines. baselines: those to compute, of `baselines.OFFERED`.
      baseline_tokens: words that baselines read, at most. match_lengths: compared corpora whose
      documents differ in length are read at one length. parity, perplexity_models: see
      `baselines.Settings`. max_documents: documents sampled from the corpus for draws and
      baselines, at most. rounds: times the whole corpus is sampled anew and scored (see `rounds`).
      embedding_cache: directory that keeps embeddings between calls; None keeps none. read: how to
      read the corpus.

    Raises `UserError` for a value that cannot be used.
    """

    agent: str = "embedding"
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
    baselines: tuple[str, ...] = OFFERED
    baseline_tokens: int = 2_000_000
    match_lengths: bool = True
    parity: str | None = None
    perplexity_models: tuple[str, ...] = ()
    max_documents: int = 5_000
    rounds: int = 1
    embedding_cache: str | os.PathLike | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)

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
        if self.agent == "openai":
            if self.endpoint is None:
                raise UserError("--agent=openai needs an endpoint: --base_url and --model")
            if not self.judge.criteria_file and self.total_draws < 2 * self.judge.criteria_sets:
                raise UserError(
                    f"--draws={self.total_draws}: give two or more for each of"
                    f" --criteria_sets={self.judge.criteria_sets}"
                )
        self.baseline_settings()

    @property
    def total_draws(self) -> int:
        """Draws of each corpus, at most."""
        return DRAWS[self.agent] if self.draws is None else self.draws

    def stopping_rule(self) -> stopping.StoppingRule | None:
        """When to stop before all draws are made; None for never."""
        if self.target_half_width is None:
            return None
        first = stopping.FIRST_LOOK if self.agent == "openai" else stopping.FIRST_LOOK_OFFLINE
        return stopping.StoppingRule(self.target_half_width, first, self.total_draws)

    def baseline_settings(self) -> BaselineSettings:
        """The part that says which baselines to compute, and how."""
        return BaselineSettings(self.baselines, self.seed, self.parity, self.perplexity_models)
