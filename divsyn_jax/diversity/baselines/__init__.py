"""Baseline measures of diversity beside the cluster-agent metric, all on the sample that the draws
come from.

    lexical         context length, compression ratio, n-gram diversity, self-repetition (current and legacy)
    homogenization  mean ROUGE-L over pairs
    embedding       K-means, Vendi score, DCScore, remote clique, chamfer
    perplexity      perplexity and perplexity gap under given causal models

`METRICS` says of each what more of it means, who defined it and what else moves it. Corpora that
are compared share one
`Budget`: the same words, bytes and documents, and one document length where a metric depends on it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.baselines import embedding, homogenization, lexical, perplexity
from divsyn_jax.diversity.baselines.budget import (
    Budget,
    common_budget,
    cut_to_words,
    largest_budget,
    match_lengths,
)
from divsyn_jax.diversity.baselines.table import PARITY, Baseline
from divsyn_jax.diversity.sampling import Sample, random_order

__all__ = [
    "METRICS",
    "OFFERED",
    "PARITY",
    "Baseline",
    "Budget",
    "Settings",
    "common_budget",
    "compute",
    "largest_budget",
]

METRICS: dict[str, Baseline] = {
    **lexical.METRICS,
    **homogenization.METRICS,
    **perplexity.METRICS,
    **embedding.METRICS,
}
OFFERED = tuple(METRICS)
NO_EMBEDDINGS = "no sentence embeddings here: pip install 'divsyn-jax[score]'"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which baselines to compute, and how.

    Attributes: names: those to compute, of `OFFERED`. seed: of the order of documents and of
      K-means. parity: `diversity-0.3` gives the values of that package, defects and rounding
      included, where it has the metric; documents are then read whole. perplexity_models: none,
      one, or two (for the gap) causal models, as directories or hub names.
      homogenization_documents: documents whose pairs homogenisation reads, at most.
      perplexity_documents: documents that the perplexity models read, at most.

    Raises `UserError` for a value that cannot be used.
    """

    names: Sequence[str] = OFFERED
    seed: int = 0
    parity: str | None = None
    perplexity_models: Sequence[str] = ()
    homogenization_documents: int = 1000
    perplexity_documents: int = 500

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in OFFERED:
                raise UserError(
                    f"--baselines={name}: unknown; choose all, none or some of {','.join(OFFERED)}"
                )
        if self.parity not in (None, PARITY):
            raise UserError(f"--parity={self.parity}: unknown; leave it out or give {PARITY}")
        perplexity.check_models(self.perplexity_models)


def compute(
    sample: Sample,
    budget: Budget,
    settings: Settings,
    vectors: Callable[[], np.ndarray] | None,
    no_vectors: str = NO_EMBEDDINGS,
) -> dict[str, dict[str, Any]]:
    """Every baseline of `OFFERED` by name: {value, settings, interval or why there is none} or
    {value: None, reason}.

    Args: sample: the sample that the draws come from. budget: what every compared corpus
      contributes (`common_budget`). settings: see there. vectors: makes the sample's unit vectors
      [N, E], called only when a metric needs them; None where there are none, and then those
      metrics have the reason `no_vectors` in place of a value.
    """
    order_N = random_order(sample, settings.seed)
    texts = [sample.texts[position] for position in order_N]
    if settings.parity:
        budget = dataclasses.replace(budget, document_words=None)
    words, matched = cut_to_words(texts, budget.words), match_lengths(texts, budget)
    chosen = set(settings.names)
    found = {
        name: {"value": None, "reason": "not asked for (--baselines)"}
        for name in OFFERED
        if name not in chosen
    }
    found |= _lexical(chosen, sample, texts, words, matched, budget, settings.parity)
    if "homogenization" in chosen:
        some = matched[: settings.homogenization_documents]
        found["homogenization"] = homogenization.homogenization(some, settings.parity) | _length(
            budget
        )
    if chosen & perplexity.METRICS.keys():
        some = matched[: settings.perplexity_documents]
        found |= _perplexity(chosen, some, budget, settings.perplexity_models)
    if chosen & embedding.METRICS.keys():
        found |= _embedding(chosen, order_N[: budget.documents], settings, vectors, no_vectors)
    if settings.parity:
        for name in chosen & _WITH_PARITY:
            found[name]["parity"] = settings.parity
    return {name: found[name] for name in OFFERED}


_WITH_PARITY = {
    "compression_ratio",
    "ngram_diversity",
    "self_repetition",
    "homogenization",
    "remote_clique",
    "chamfer",
}
_ONE_TEXT = {"method": "no interval: one text of this length"}


def _lexical(
    chosen: set[str],
    sample: Sample,
    texts: Sequence[str],
    words: Sequence[str],
    matched: Sequence[str],
    budget: Budget,
    parity: str | None,
) -> dict[str, dict[str, Any]]:
    read = {"words": budget.words, **_ONE_TEXT}
    by_document = {"documents": len(matched), **_length(budget), **_ONE_TEXT}

    def repetition(metric: Callable[[Sequence[str]], float]) -> dict[str, Any]:
        if budget.document_words is not None and budget.document_words < lexical.NGRAM_ORDERS:
            return {
                "value": None,
                "reason": (
                    f"compared at {budget.document_words} words a document: no 4-gram in them"
                ),
            }
        return {"value": metric(matched), **by_document}

    metrics = {
        "context_length": lambda: lexical.context_length(
            texts, sample.words / sample.documents, sample.words_sd, sample.documents
        ),
        "compression_ratio": lambda: {
            "value": lexical.compression_ratio(texts, budget.bytes, parity),
            "bytes": budget.bytes,
            **_ONE_TEXT,
        },
        "ngram_diversity": lambda: _given(
            lexical.ngram_diversity(words, parity), read, f"fewer than {lexical.NGRAM_ORDERS} words"
        ),
        "self_repetition": lambda: repetition(lexical.self_repetition),
        "self_repetition_legacy": lambda: repetition(lexical.self_repetition_legacy),
    }
    return {name: metric() for name, metric in metrics.items() if name in chosen}


def _perplexity(
    chosen: set[str], texts: Sequence[str], budget: Budget, models: Sequence[str]
) -> dict[str, dict[str, Any]]:
    if not models:
        reason = "no model named (--perplexity_models=A,B)"
        return {
            name: {"value": None, "reason": reason} for name in perplexity.METRICS if name in chosen
        }
    entries = perplexity.perplexity(texts, models)
    return {name: entry | _length(budget) for name, entry in entries.items() if name in chosen}


def _embedding(
    chosen: set[str],
    positions_N: np.ndarray,
    settings: Settings,
    vectors: Callable[[], np.ndarray] | None,
    no_vectors: str,
) -> dict[str, dict[str, Any]]:
    asked = chosen & embedding.METRICS.keys()
    if vectors is None:
        return {name: {"value": None, "reason": no_vectors} for name in asked}
    vectors_NE = vectors()[positions_N]
    fixed_size = {
        "documents": len(vectors_NE),
        "method": "no interval: depends on the number of documents, which resampling would change",
    }
    metrics = {
        "kmeans": lambda: embedding.kmeans(vectors_NE, settings.seed),
        "vendi_score": lambda: embedding.vendi_scores(vectors_NE) | fixed_size,
        "dcscore": lambda: {
            "value": embedding.dcscore(vectors_NE),
            "temperature": embedding.TEMPERATURE,
            **fixed_size,
        },
        "remote_clique": lambda: embedding.remote_clique(vectors_NE, settings.parity),
        "chamfer": lambda: _given(
            embedding.chamfer(vectors_NE, settings.parity), fixed_size, "fewer than two documents"
        ),
    }
    return {name: metric() for name, metric in metrics.items() if name in asked}


def _length(budget: Budget) -> dict[str, Any]:
    """How long the documents were that a metric read; None is whole."""
    return {"document_words": budget.document_words}


def _given(value: float | None, settings: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason} if value is None else {"value": value, **settings}
