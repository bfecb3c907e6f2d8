"""Scores corpora: sample, draw, judge, estimate; the result is the content of score.json.

Shapes: D draws, K documents a draw.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import first_words
from divsyn_jax.data.readers.corpus import ReadOptions, split_name
from divsyn_jax.diversity import baselines, result
from divsyn_jax.diversity.agents.base import Agent
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.estimation import stopping
from divsyn_jax.diversity.judging import Judged, judge
from divsyn_jax.diversity.sampling import (
    Sample,
    random_draws,
    random_order,
    read_sample,
    require_documents,
)
from divsyn_jax.endpoint.settings import EndpointSettings

AGENTS = ("embedding", "openai", "oracle")
DRAWS = {
    "embedding": 20_000,
    "oracle": 20_000,
    "openai": 1_000,
}  # where --draws says nothing; the paper's full run: 5,000
VERSION = 5  # of score.json: a score written under another version is made anew


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
      order of documents in baselines. baselines: those to compute (see
      `baselines.Settings`).
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
    baselines: tuple[str, ...] = (baselines.DEFAULT,)
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

    def baseline_settings(
        self,
    ) -> "baselines.Settings":  # the field of that name hides the module here
        """The part that says which baselines to compute, and how."""
        return baselines.Settings(self.baselines, self.seed, self.parity, self.perplexity_models)


def score(path: str, agent: str = "embedding", **settings: Any) -> dict[str, Any]:
    """Score one corpus and return the content of its score.json; nothing is written but the caches,
    if named.

    Args:
      path: a corpus in any form the readers take, or `name=path`.
      agent: `embedding`, `openai` or `oracle`.
      settings: the other fields of `ScoreSettings`.

    Raises:
      UserError: the corpus or a setting cannot be used; the message says what to do.
      Unfinished: the endpoint stopped answering or a shared is used up.
    """
    chosen = ScoreSettings(agent=agent, **settings)
    name, spec = split_name(path)
    sample = sample_corpus(spec, chosen)
    shared = corpus_shared_text(sample, chosen)
    with contextlib.closing(make_agent(chosen, {name: sample})) as made:
        found = score_corpora({name: sample}, made, shared, chosen)[name][0]
        if chosen.rounds > 1:
            from divsyn_jax.diversity import rounds  # which scores, too

            rounds.add_rounds({name: found}, {name: spec}, made, shared, chosen)
    return found


def make_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Agent:
    """The agent asked for, ready to judge draws of these corpora.

    Raises `UserError` when it lacks what it needs.
    """
    if settings.agent == "oracle":
        from divsyn_jax.diversity.agents.oracle import OracleAgent

        return OracleAgent(settings.label_field)
    if settings.agent == "embedding":
        from divsyn_jax.diversity.agents.embedding import EmbeddingAgent

        return EmbeddingAgent(settings.threshold, settings.embedding_cache)
    from divsyn_jax.diversity.agents.llm import LLMAgent

    agent = LLMAgent(settings.endpoint, settings.judge, settings.seed, settings.answers)
    try:
        agent.prepare(list(samples.values()), settings.sample_size)
        if settings.total_draws < 2 * len(agent.criteria):
            raise UserError(
                f"--draws={settings.total_draws}: give two or more for each of the"
                f" {len(agent.criteria)} criteria sets"
            )
    except BaseException:
        agent.close()
        raise
    return agent


def sample_corpus(spec: str, settings: ScoreSettings) -> Sample:
    """Read a corpus once. Raises `UserError` when it is unreadable or too small for a draw."""
    label_field = settings.label_field if settings.agent == "oracle" else None
    sample = read_sample(
        spec,
        settings.read,
        documents=settings.max_documents,
        label_field=label_field,
        seed=settings.seed,
    )
    require_documents(sample, settings.sample_size)
    return sample


def corpus_shared_text(sample: Sample, settings: ScoreSettings) -> baselines.SharedText:
    """The text this corpus can contribute to baselines; corpora compared share the smallest."""
    return baselines.largest_shared_text(_shuffled(sample, settings.seed), settings.baseline_tokens)


def identity(
    name: str, sample: Sample, agent: Agent, shared: baselines.SharedText, settings: ScoreSettings
) -> dict[str, Any]:
    """The part of score.json that determines the rest: the same identity means the same score."""
    rule = settings.stopping_rule()
    return {
        "version": VERSION,
        "corpus": {
            "name": name,
            "path": sample.spec,
            "documents": sample.documents,
            "tokens": sample.words,
            "token_unit": "words (UAX 29 segments)",
            "fingerprint": sample.fingerprint,
            "label_fingerprint": sample.label_fingerprint,
            "malformed": sample.malformed,
            "empty": sample.empty,
            "problems": sample.problems,
        },
        "agent": {"kind": agent.kind, "model": agent.model, "settings": agent.settings()},
        "settings": {
            "sample_size": settings.sample_size,
            "draws": settings.total_draws,
            "stopping": rule and rule.as_json(),
            "retest": settings.retest if agent.kind == "openai" else 0,
            "control_variate": settings.control_variate and agent.kind == "openai",
            "seed": settings.seed,
            "max_documents": settings.max_documents,
            "rounds": settings.rounds,
            "document_words": shared.document_words,
            "judged_words": shared.judged_words,
            "baselines": list(settings.baselines),
            "baseline_words": shared.words,
            "baseline_bytes": shared.bytes,
            "baseline_documents": shared.documents,
            "parity": settings.parity,
            "perplexity_models": list(settings.perplexity_models),
        },
    }


def score_corpora(
    samples: Mapping[str, Sample],
    agent: Agent,
    shared: baselines.SharedText,
    settings: ScoreSettings,
) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Score corpora that have been read, their draws asked in turn.

    Returns:
      by corpus: the content of score.json, and the records of draws.jsonl.
    """
    read = {name: as_read(sample, shared) for name, sample in samples.items()}
    draws = {
        name: random_draws(sample, settings.total_draws, settings.sample_size, settings.seed)
        for name, sample in read.items()
    }
    judged = judge(agent, read, draws, settings.stopping_rule())
    retests = {name: result.retest(agent, found, settings.retest) for name, found in judged.items()}
    return {
        name: (
            _content(name, samples[name], found, retests[name], agent, shared, settings),
            result.records(found),
        )
        for name, found in judged.items()
    }


def as_read(sample: Sample, shared: baselines.SharedText) -> Sample:
    """The sample with its documents cut to the length at which corpora are compared, where there is
    one.
    """
    if shared.judged_words is None:
        return sample
    cut = [first_words(text, shared.judged_words) for text in sample.texts]
    return dataclasses.replace(sample, texts=cut)


def _content(
    name: str,
    sample: Sample,
    judged: Judged,
    retest: dict[str, Any],
    agent: Agent,
    shared: baselines.SharedText,
    settings: ScoreSettings,
) -> dict[str, Any]:
    embedding = _embedding_agent(agent, settings)
    numbers = result.metric(judged)
    cut = (
        ""
        if shared.judged_words is None
        else f", each cut to its first {shared.judged_words} words"
    )
    return {
        **identity(name, sample, agent, shared, settings),
        "population": (
            f"ci: the {len(sample):,} sampled documents of {sample.documents:,}{cut}, over draws;"
            f" generator_ci: {len(sample):,} documents of the process that wrote them, over draws"
            " and documents"
        ),
        "lengths": shared.as_json(),
        **numbers,
        "by_sample_size": result.by_sample_size(judged, agent, settings.seed),
        "verification": result.verification(judged),
        "position_bias": result.position_bias(judged),
        "test_retest": retest,
        "control_variate": _control_variate(judged, agent, embedding, settings),
        **result.duplicates(judged.sample, embedding, numbers["curve"]),
        "baselines": baselines.compute(
            sample, shared, settings.baseline_settings(), _vectors(judged.sample, embedding)
        ),
        "usage": usage(agent),
        "draws_written": min(result.DRAWS_WRITTEN, len(judged.draws_DK)),
    }


def usage(agent: Agent) -> dict[str, Any]:
    """What was asked and spent for all corpora scored together."""
    if agent.kind != "openai":
        return {
            "calls": 0,
            "cached_calls": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cost": 0.0,
        }
    return {
        **agent.client.usage.to_json(),
        "mode": agent.client.mode,
        "concessions": list(agent.probe.concessions),
    }


_CONTROL_STREAM = 1  # added to the seed: draws for the cheap mean must not be the judged ones


def _embedding_agent(agent: Agent, settings: ScoreSettings) -> Agent | None:
    """Who embeds the documents; nobody beside the oracle, or where nothing needs it or no model is
    installed.
    """
    if agent.kind == "embedding":
        return agent
    if agent.kind == "oracle" or not (settings.control_variate or settings.baselines):
        return None
    from divsyn_jax.diversity.agents.embedding import EmbeddingAgent

    try:
        return EmbeddingAgent(settings.threshold, settings.embedding_cache)
    except UserError:  # scoring by an endpoint needs no model on this machine
        return None


def _control_variate(
    judged: Judged, agent: Agent, embedding: Agent | None, settings: ScoreSettings
) -> dict[str, Any] | None:
    if agent.kind != "openai":
        return None
    if not settings.control_variate:
        return {"reason": "not asked for (--control_variate)"}
    if embedding is None:
        return {"reason": "no sentence embeddings here: pip install 'divsyn-jax[score]'"}
    many_DK = random_draws(
        judged.sample, result.CHEAP_DRAWS, settings.sample_size, settings.seed + _CONTROL_STREAM
    )
    return result.with_control_variate(judged, embedding, many_DK)


def _vectors(sample: Sample, embedding: Agent | None) -> Callable[[], np.ndarray] | None:
    return None if embedding is None else lambda: embedding.vectors(sample)


def _shuffled(sample: Sample, seed: int) -> list[str]:
    return [sample.texts[position] for position in random_order(sample, seed)]
