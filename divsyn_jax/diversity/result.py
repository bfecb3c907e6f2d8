"""The numbers of score.json, from the judged draws of one corpus.

Shapes: D draws, K documents a draw.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from divsyn_jax.diversity.agents.base import Agent, Draws, Partitions
from divsyn_jax.diversity.estimation import control_variate, estimators, reliability
from divsyn_jax.diversity.estimation.estimators import DrawStatistics
from divsyn_jax.diversity.estimation.intervals import mean_of
from divsyn_jax.diversity.estimation.invalid_clusters import verification_change
from divsyn_jax.diversity.judging import HEADLINE, Judged
from divsyn_jax.diversity.sampling import Sample, random_draws

CHEAP_DRAWS = 20_000  # of the embedding agent, for the mean of the control variate
DRAWS_WRITTEN = 1000
SIZES = (5, 10, 20)  # K at which both headline numbers are shown
SIZE_DRAWS = 2000


def metric(judged: Judged) -> dict[str, Any]:
    """The cluster-agent metric in all its forms, with intervals."""
    sample, draws_DK, draws = judged.sample, judged.draws_DK, judged.statistics()
    score_variance, share_variance = (
        estimators.document_variance(values_D, draws_DK[draws.kept], len(sample))
        for values_D in (draws.scores_D, draws.pair_share_D)
    )
    score_low, score_high = estimators.generator_interval_of_score(draws, score_variance)
    clusters_ends = estimators.generator_interval_of_clusters(
        draws, share_variance, len(sample)
    ) or (None, None)
    sets_D = judged.partitions.sets_D
    return {
        "cluster_score": {
            **estimators.cluster_score(draws).as_json(),
            "generator_ci_low": score_low,
            "generator_ci_high": score_high,
            "sd": float(draws.scores_D.std(ddof=1)),
            "document_variance": score_variance,
            "sample_size": draws.sample_size,
            "draws": len(draws),
            "draws_asked": judged.asked,
            "criteria_sets": None if sets_D is None else int(sets_D.max()) + 1,
            "mean_clusters": float(draws.clusters_D.mean()),
        },
        "effective_clusters": {
            **estimators.effective_clusters(draws, len(sample)).as_json(),
            "generator_ci_low": clusters_ends[0],
            "generator_ci_high": clusters_ends[1],
            "documents": len(sample),
            "pair_share": mean_of(draws.pair_share_D, draws.set_D).value,
            "pair_share_sd": float(draws.pair_share_D.std(ddof=1)),
            "document_variance": share_variance,
        },
        "clusters_per_document": estimators.clusters_per_document(draws).as_json(),
        "exp_entropy": estimators.exp_entropy(draws).as_json(),
        "curve": [
            _at_cut(threshold, estimators.draw_statistics(labels_DK), sample)
            for threshold, labels_DK in judged.partitions.cuts.items()
        ],
        "stopping": judged.stopping,
        "failures": list(judged.failures),
        "failure_rate": len(judged.failures) / judged.asked,
    }


def _at_cut(threshold: float, cut: DrawStatistics, sample: Sample) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "cluster_score": estimators.cluster_score(cut).as_json(),
        "effective_clusters": estimators.effective_clusters(cut, len(sample)).as_json(),
        "mean_clusters": float(cut.clusters_D.mean()),
    }


def by_sample_size(judged: Judged, agent: Agent, seed: int) -> list[dict[str, Any]]:
    """Both headline numbers at other K: the published score moves with K, effective clusters do
    not.

    An agent that costs nothing judges fresh draws of `SIZES` documents; for an LLM its own draws
    are restricted to their first documents, which asks nothing anew and allows smaller K only."""
    sample, K = judged.sample, judged.draws_DK.shape[1]
    if agent.kind == "openai":
        sizes = sorted({*(size for size in SIZES if size < K), K})
        labels = {size: judged.labels_DK[:, :size] for size in sizes}
    else:
        sizes = sorted({size for size in (*SIZES, K) if size <= len(sample)})
        asked = [Draws(sample, random_draws(sample, SIZE_DRAWS, size, seed)) for size in sizes]
        labels = {
            size: part.labels_DK for size, part in zip(sizes, agent.partition(asked), strict=True)
        }
    found = []
    for size, labels_DK in labels.items():
        draws = estimators.draw_statistics(
            labels_DK, judged.partitions.sets_D if agent.kind == "openai" else None
        )
        found.append(
            {
                "sample_size": size,
                "cluster_score": estimators.cluster_score(draws).as_json(),
                "effective_clusters": estimators.effective_clusters(draws, len(sample)).as_json(),
            }
        )
    return found


def verification(judged: Judged) -> dict[str, Any]:
    """What every policy for invalid clusters gives from the same calls, and how much verification
    changed.
    """
    partitions = judged.partitions
    if partitions.valid_DK is None:
        return {"policy": None, "reason": "this agent verifies nothing"}
    change = verification_change(partitions.labels_DK, partitions.valid_DK, partitions.sets_D)
    policies = {}
    for policy in judged.labels:
        draws = judged.statistics(policy)
        policies[policy] = {"empty_draws": draws.empty, **_both(draws, len(judged.sample))}
    return {
        "policy": HEADLINE,
        "policies": policies,
        "clusters_changed": change.clusters_changed.as_json(),
        "change_of_clusters": change.change_of_clusters.as_json(),
    }


def _both(draws: DrawStatistics, documents: int) -> dict[str, Any]:
    """Both headline numbers; without a value where dropping left too few draws for an interval."""
    try:
        return {
            "cluster_score": estimators.cluster_score(draws).as_json(),
            "effective_clusters": estimators.effective_clusters(draws, documents).as_json(),
        }
    except ValueError as error:
        nothing = {"value": None, "reason": f"{draws.empty} draws lost all documents: {error}"}
        return {"cluster_score": nothing, "effective_clusters": nothing}


def position_bias(judged: Judged) -> dict[str, Any]:
    """Whether documents shown side by side are put together more often than chance allows."""
    partitions = judged.partitions
    if partitions.order_DK is None:
        return {"z": None, "reason": "this agent sees no order"}
    shown_DK = np.take_along_axis(partitions.labels_DK, partitions.order_DK, axis=1)
    return dataclasses.asdict(reliability.position_bias(shown_DK))


def retest(agent: Agent, judged: Judged, draws: int) -> dict[str, Any]:
    """Ask the first `draws` answered draws once more, in another order, and say how far the answers
    agree.
    """
    if judged.partitions.order_DK is None:
        return {"draws": 0, "reason": "this agent gives one answer to one set of documents"}
    if draws < 2:
        return {"draws": 0, "reason": "not asked for (--retest)"}
    # Runs of consecutive draws keep their numbers, so that every draw meets its own criteria set
    # again.
    numbers_D = judged.numbers_D[:draws]
    runs = np.split(np.arange(len(numbers_D)), np.flatnonzero(np.diff(numbers_D) != 1) + 1)
    asked = [Draws(judged.sample, judged.draws_DK[run], int(numbers_D[run[0]])) for run in runs]
    again = agent.partition(asked, repetition=1)
    labels_DK = np.concatenate([part.labels_DK for part in again])
    answered = np.concatenate([part.answered_D for part in again])
    if answered.sum() < 2:
        return {"draws": int(answered.sum()), "reason": "the repetition was hardly answered"}
    both_PDK = np.stack(
        [judged.partitions.labels_DK[: len(labels_DK)][answered], labels_DK[answered]]
    )
    found = reliability.repeatability(both_PDK)
    return {**dataclasses.asdict(found), "adjusted_rand": found.adjusted_rand.as_json()}


def with_control_variate(judged: Judged, cheap: Agent, many_DK: np.ndarray) -> dict[str, Any]:
    """The metric adjusted by a cheap agent's answers on the same draws.

    Args:
      judged: the dear agent's draws.
      cheap: the embedding agent.
      many_DK: draws of the same sample, independent of the judged ones, for the cheap agent's mean.
    """
    draws = judged.statistics()
    same, many = cheap.partition(
        [Draws(judged.sample, judged.draws_DK), Draws(judged.sample, many_DK)]
    )
    same, many = (
        estimators.draw_statistics(same.labels_DK),
        estimators.draw_statistics(many.labels_DK),
    )
    scores, shares = mean_of(many.scores_D), mean_of(many.pair_share_D)
    return {
        "agent": {"kind": cheap.kind, "model": cheap.model, "settings": cheap.settings()},
        "cheap_draws": len(many),
        "cluster_score": _adjusted(
            control_variate.adjusted_score(
                draws, same.scores_D[draws.kept], scores.value, scores.error
            )
        ),
        "effective_clusters": _adjusted(
            control_variate.adjusted_effective_clusters(
                draws, same.pair_share_D[draws.kept], shares.value, shares.error, len(judged.sample)
            )
        ),
    }


def _adjusted(found: control_variate.Adjusted) -> dict[str, Any]:
    return {
        **found.estimate.as_json(),
        "correlation": found.correlation,
        "variance_saved": found.variance_saved,
        "reason": found.reason,
    }


def duplicates(
    sample: Sample, comparer: Agent | None, curve: list[dict[str, Any]]
) -> dict[str, Any]:
    """Shares of exact and near duplicates, and the effective clusters at the near-duplicate cut.

    Args:
      sample: the documents.
      comparer: the embedding agent, whoever judged the draws; None without one.
      curve: the agent's partitions at every cut, where it has cuts.
    """
    exact, near = sample.exact_duplicates, comparer and comparer.near_duplicate_share(sample)
    found = {
        "exact": exact.value,
        "exact_standard_error": exact.standard_error,
        "exact_of": "all documents: the share that repeats an earlier one",
        "near": near,
    }
    no_cut = {
        "value": None,
        "reason": "only the embedding agent cuts at the near-duplicate distance",
    }
    if near is None:
        found["near_of"] = "not measured: no sentence embeddings here"
        return {"duplicates": found, "near_duplicate_clusters": no_cut}
    from divsyn_jax.diversity.agents.embedding import NEAR_DUPLICATE_CUT, NEAR_DUPLICATE_DISTANCE

    found["near_of"] = (
        f"the {len(sample):,} sampled documents: the share within the distance of an earlier one"
    )
    found["near_cosine_distance"] = NEAR_DUPLICATE_DISTANCE
    at_cut = [
        point["effective_clusters"] for point in curve if point["threshold"] == NEAR_DUPLICATE_CUT
    ]
    clusters = {**at_cut[0], "cosine_distance": NEAR_DUPLICATE_CUT} if at_cut else no_cut
    return {"duplicates": found, "near_duplicate_clusters": clusters}


def records(judged: Judged) -> list[dict[str, Any]]:
    """The first `DRAWS_WRITTEN` answered draws, as the lines of draws.jsonl.

    `documents` are numbers in the corpus; `clusters` the headline partition, `agent_clusters`
    (where verification may change it) the agent's own; clusters are numbered by their first
    document, so equal partitions read the same."""
    partitions, index_N = judged.partitions, judged.sample.index_N
    found = []
    for row in range(min(len(judged.draws_DK), DRAWS_WRITTEN)):
        documents_K = index_N[judged.draws_DK[row]]
        record = {
            "draw": int(judged.numbers_D[row]),
            "documents": documents_K.tolist(),
            "clusters": _numbered(judged.labels_DK[row]).tolist(),
        }
        if partitions.evidence is not None:
            record |= _evidence(partitions, row)
        found.append(record)
    return found


def _evidence(partitions: Partitions, row: int) -> Mapping[str, Any]:
    labels_K = partitions.labels_DK[row]
    number_of = dict(zip(labels_K.tolist(), _numbered(labels_K).tolist(), strict=True))
    said = partitions.evidence[row]
    named = [
        {
            "cluster": number_of[entry["label"]],
            **{key: value for key, value in entry.items() if key != "label"},
        }
        for entry in said["clusters"]
    ]
    return {
        "agent_clusters": _numbered(labels_K).tolist(),
        "shown_order": partitions.order_DK[row].tolist(),
        "criteria_set": int(said["criteria_set"]),
        "named": sorted(named, key=lambda entry: entry["cluster"]),
    }


def _numbered(labels_K: np.ndarray) -> np.ndarray:
    first_K = (labels_K[:, None] == labels_K[None, :]).argmax(axis=1)
    return np.unique(first_K, return_inverse=True)[1]
