"""Copies in a sample: what repeats exactly, what nearly, and how many clusters that leaves."""

import math

from divsyn_jax.diversity.agents.base import Embedder
from divsyn_jax.diversity.estimation.all_pairs import BIN, PairDistances
from divsyn_jax.diversity.estimation.profile import GranularityRecord, named_granularity
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import (
    Duplicates,
    DuplicatesRecord,
    NearDuplicateClusters,
    NoValue,
)


def duplicates(
    sample: Sample, comparer: Embedder | None, distances: PairDistances | None
) -> Duplicates:
    """Shares of exact and near duplicates, and the effective clusters at the near-duplicate join.

    Args:
      sample: the documents.
      comparer: the embedding agent, whoever judged the draws; None without one.
      distances: of all pairs by its vectors; None without one.
    """
    exact = sample.exact_duplicates
    near = None if comparer is None else comparer.near_duplicate_share(sample)
    found: DuplicatesRecord = {
        "exact": exact.value,
        "exact_standard_error": exact.standard_error,
        "exact_of": "all documents: the share that repeats an earlier one",
        "near": near,
    }
    if near is None or distances is None:
        found["near_of"] = "not measured: no sentence embeddings here"
        no_vectors: NoValue = {"value": None, "reason": "no sentence embeddings here"}
        return {"duplicates": found, "near_duplicate_clusters": no_vectors}
    from divsyn_jax.diversity.agents.embedding import NEAR_DUPLICATE_DISTANCE

    found["near_of"] = (
        f"the {len(sample):,} sampled documents: the share within the distance of an earlier one"
    )
    found["near_cosine_distance"] = NEAR_DUPLICATE_DISTANCE
    found["near_standard_error"] = _error_of_repeats(distances, NEAR_DUPLICATE_DISTANCE)
    wordings = named_granularity(distances, "wordings")
    return {"duplicates": found, "near_duplicate_clusters": _near_clusters(wordings)}


def _error_of_repeats(distances: PairDistances, near: float) -> float:
    """Jackknife standard error over documents of the share that repeats an earlier one.

    Without document i one distinct document fewer is left where it has no near copy, none where it
    has: the shares that leave one out take two values, with the variance p (1-p) / (N-1), p the
    share of documents without a near copy.
    """
    alone = float((distances.counts_NB[:, : round(near / BIN)].sum(axis=1) == 0).mean())
    return math.sqrt(alone * (1 - alone) / (distances.documents - 1))


def _near_clusters(wordings: GranularityRecord) -> NearDuplicateClusters:
    return {
        "value": wordings["value"],
        "ci_low": wordings["ci_low"],
        "ci_high": wordings["ci_high"],
        "generator_ci_low": wordings["ci_low"],
        "generator_ci_high": wordings["ci_high"],
        "method": wordings["method"],
        "cosine_distance": wordings["distance"],
        "granularity": wordings,
    }
