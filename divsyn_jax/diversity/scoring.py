"""Scores a corpus: sample, draw, partition, estimate; the result is the content of score.json.

Shapes: D draws, K documents a draw.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from divsyn_jax.commandline import UserError
from divsyn_jax.data.corpus import ReadOptions, split_name
from divsyn_jax.diversity import baselines, estimators
from divsyn_jax.diversity.agents import Agent
from divsyn_jax.diversity.sampling import Sample, random_draws, random_order, read_sample, require_documents

AGENTS = ("embedding", "oracle")
VERSION = 2  # of score.json: a score written under another version is made anew
DRAWS_WRITTEN = 1000


@dataclasses.dataclass(frozen=True)
class ScoreSettings:
    """How to score a corpus.

    Attributes:
      agent: who partitions the draws: `embedding` (offline) or `oracle` (labels known).
      sample_size: K, documents in a draw.
      draws: number of draws.
      threshold: cosine distance at which the embedding agent cuts its dendrograms.
      label_field: field of the records that holds the oracle's labels.
      seed: of the document sample, the draws and the order of documents in baselines.
      baselines: those to compute, of `baselines.OFFERED`.
      baseline_tokens: words that baselines read, at most.
      parity: see `baselines.Settings`.
      perplexity_models: see `baselines.Settings`.
      max_documents: documents sampled from the corpus for draws and baselines, at most.
      embedding_cache: directory that keeps embeddings between calls; None keeps none.
      read: how to read the corpus.

    Raises `UserError` for a value that cannot be used.
    """

    agent: str = "embedding"
    sample_size: int = 10
    draws: int = 20_000
    threshold: float = 0.5
    label_field: str | None = None
    seed: int = 0
    baselines: tuple[str, ...] = baselines.OFFERED
    baseline_tokens: int = 2_000_000
    parity: str | None = None
    perplexity_models: tuple[str, ...] = ()
    max_documents: int = 5_000
    embedding_cache: str | os.PathLike | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        def require(holds: bool, flag: str, wants: str) -> None:
            if not holds:
                raise UserError(f"--{flag}={getattr(self, flag)}: {wants}")

        require(self.agent in AGENTS, "agent", f"choose one of {', '.join(AGENTS)}")
        require(self.sample_size >= 2, "sample_size", "a draw needs two documents or more")
        require(self.draws >= 2, "draws", "an interval needs two draws or more")
        require(0 <= self.threshold <= 2, "threshold", "a cosine distance lies between 0 and 2")
        require(self.seed >= 0, "seed", "give a number of 0 or more")
        require(self.baseline_tokens >= 1, "baseline_tokens", "give a number of 1 or more")
        require(
            self.max_documents >= self.sample_size, "max_documents", f"give --sample_size={self.sample_size} or more"
        )
        self.baseline_settings()

    def baseline_settings(self) -> "baselines.Settings":  # the field of that name hides the module here
        """The part that says which baselines to compute, and how."""
        return baselines.Settings(self.baselines, self.seed, self.parity, self.perplexity_models)


def score(path: str, agent: str = "embedding", **settings: Any) -> dict[str, Any]:
    """Score one corpus and return the content of its score.json; nothing is written but the embedding cache, if named.

    Args:
      path: a corpus in any form the readers take, or `name=path`.
      agent: `embedding` or `oracle`.
      settings: the other fields of `ScoreSettings`.

    Raises:
      UserError: the corpus or a setting cannot be used; the message says what to do.
    """
    chosen = ScoreSettings(agent=agent, **settings)
    name, spec = split_name(path)
    made = make_agent(chosen)
    sample = sample_corpus(spec, chosen)
    return score_sample(name, sample, made, corpus_budget(sample, chosen), chosen)[0]


def make_agent(settings: ScoreSettings) -> Agent:
    """The agent asked for. Raises `UserError` when it lacks what it needs."""
    if settings.agent == "oracle":
        from divsyn_jax.diversity.oracle_agent import OracleAgent

        return OracleAgent(settings.label_field)
    from divsyn_jax.diversity.embedding_agent import EmbeddingAgent

    return EmbeddingAgent(settings.threshold, settings.embedding_cache)


def sample_corpus(spec: str, settings: ScoreSettings) -> Sample:
    """Read a corpus once. Raises `UserError` when it is unreadable or too small for a draw."""
    label_field = settings.label_field if settings.agent == "oracle" else None
    sample = read_sample(
        spec, settings.read, documents=settings.max_documents, label_field=label_field, seed=settings.seed
    )
    require_documents(sample, settings.sample_size)
    return sample


def corpus_budget(sample: Sample, settings: ScoreSettings) -> baselines.Budget:
    """The text this corpus can contribute to baselines; corpora compared share the smallest."""
    return baselines.largest_budget(_shuffled(sample, settings.seed), settings.baseline_tokens)


def identity(
    name: str, sample: Sample, agent: Agent, budget: baselines.Budget, settings: ScoreSettings
) -> dict[str, Any]:
    """The part of score.json that determines the rest: the same identity means the same score."""
    return {
        "version": VERSION,
        "corpus": {
            "name": name,
            "path": sample.spec,
            "documents": sample.documents,
            "tokens": sample.words,
            "token_unit": "white-space words",
            "fingerprint": sample.fingerprint,
            "label_fingerprint": sample.label_fingerprint,
            "malformed": sample.malformed,
            "empty": sample.empty,
            "problems": sample.problems,
        },
        "agent": {"kind": agent.kind, "model": agent.model, "settings": agent.settings()},
        "settings": {
            "sample_size": settings.sample_size,
            "draws": settings.draws,
            "seed": settings.seed,
            "max_documents": settings.max_documents,
            "baselines": list(settings.baselines),
            "baseline_words": budget.words,
            "baseline_bytes": budget.bytes,
            "baseline_documents": budget.documents,
            "baseline_document_words": budget.document_words,
            "parity": settings.parity,
            "perplexity_models": list(settings.perplexity_models),
        },
    }


def score_sample(
    name: str, sample: Sample, agent: Agent, budget: baselines.Budget, settings: ScoreSettings
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Score a corpus that has been read.

    Returns:
      the content of score.json, and the first `DRAWS_WRITTEN` draws as the records of draws.jsonl.
    """
    draws_DK = random_draws(sample, settings.draws, settings.sample_size, settings.seed)
    partitions = agent.partition(sample, draws_DK)
    draws = estimators.draw_statistics(partitions.labels_DK)
    at_cut = {threshold: estimators.draw_statistics(labels_DK) for threshold, labels_DK in partitions.cuts.items()}
    score_low, score_high = estimators.generator_interval_of_score(draws, draws_DK, len(sample))
    clusters_ends = estimators.generator_interval_of_clusters(draws, draws_DK, len(sample)) or (None, None)
    result = {
        **identity(name, sample, agent, budget, settings),
        "population": f"ci: the {len(sample):,} sampled documents of {sample.documents:,}, over draws; "
        "generator_ci: what the process that wrote them would give, over draws and documents",
        "cluster_score": {
            **estimators.cluster_score(draws).as_json(),
            "generator_ci_low": score_low,
            "generator_ci_high": score_high,
            "sd": float(draws.scores_D.std(ddof=1)),
            "sample_size": settings.sample_size,
            "draws": settings.draws,
            "criteria_sets": None,
            "mean_clusters": float(draws.clusters_D.mean()),
        },
        "effective_clusters": {
            **estimators.effective_clusters(draws, len(sample)).as_json(),
            "generator_ci_low": clusters_ends[0],
            "generator_ci_high": clusters_ends[1],
            "documents": len(sample),
            "pair_share": float(draws.pair_share_D.mean()),
            "pair_share_sd": float(draws.pair_share_D.std(ddof=1)),
        },
        "clusters_per_document": estimators.clusters_per_document(draws).as_json(),
        "exp_entropy": estimators.exp_entropy(draws).as_json(),
        "curve": [
            {
                "threshold": threshold,
                "cluster_score": estimators.cluster_score(cut).as_json(),
                "effective_clusters": estimators.effective_clusters(cut, len(sample)).as_json(),
                "mean_clusters": float(cut.clusters_D.mean()),
            }
            for threshold, cut in at_cut.items()
        ],
        **_duplicates(sample, agent, at_cut),
        "baselines": baselines.compute(sample, budget, settings.baseline_settings(), _vectors(sample, agent, settings)),
        "usage": {"calls": 0, "cached_calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0},
        "failures": [],
        "draws_written": min(DRAWS_WRITTEN, settings.draws),
    }
    return result, _records(sample, draws_DK[:DRAWS_WRITTEN], partitions.labels_DK[:DRAWS_WRITTEN])


def _duplicates(sample: Sample, agent: Agent, at_cut: dict[float, estimators.DrawStatistics]) -> dict[str, Any]:
    exact, near = sample.exact_duplicates, agent.near_duplicate_share(sample)
    duplicates = {
        "exact": exact.value,
        "exact_standard_error": exact.standard_error,
        "exact_of": "all documents: the share that repeats an earlier one",
        "near": near,
    }
    if near is None:
        reason = f"the {agent.kind} agent compares no texts"
        duplicates["near_of"] = reason
        return {"duplicates": duplicates, "near_duplicate_clusters": {"value": None, "reason": reason}}
    from divsyn_jax.diversity.embedding_agent import NEAR_DUPLICATE_CUT, NEAR_DUPLICATE_DISTANCE

    duplicates["near_of"] = f"the {len(sample):,} sampled documents: the share within the distance of an earlier one"
    duplicates["near_cosine_distance"] = NEAR_DUPLICATE_DISTANCE
    clusters = estimators.effective_clusters(at_cut[NEAR_DUPLICATE_CUT], len(sample))
    return {
        "duplicates": duplicates,
        "near_duplicate_clusters": {**clusters.as_json(), "cosine_distance": NEAR_DUPLICATE_CUT},
    }


def _vectors(sample: Sample, agent: Agent, settings: ScoreSettings) -> Callable[[], np.ndarray] | None:
    """What embeds the sample for the baselines: the agent, when it has done so; None without a model."""
    if agent.kind == "embedding":
        return lambda: agent.vectors(sample)
    from divsyn_jax.diversity import embeddings

    try:
        embeddings.model_name()
    except UserError:
        return None
    return lambda: embeddings.embed(sample.texts, settings.embedding_cache)


def _shuffled(sample: Sample, seed: int) -> list[str]:
    return [sample.texts[position] for position in random_order(sample, seed)]


def _records(sample: Sample, draws_DK: np.ndarray, labels_DK: np.ndarray) -> list[dict[str, Any]]:
    # Clusters are numbered by their first document, so that equal partitions read the same whoever made them.
    first_DK = (labels_DK[:, :, None] == labels_DK[:, None, :]).argmax(axis=2)
    records = []
    for draw, (documents_K, first_K) in enumerate(zip(sample.index_N[draws_DK], first_DK, strict=True)):
        _, clusters_K = np.unique(first_K, return_inverse=True)
        records.append({"draw": draw, "documents": documents_K.tolist(), "clusters": clusters_K.tolist()})
    return records
