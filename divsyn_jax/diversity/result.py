"""The numbers of score.json, from the judged draws of one corpus.

Shapes: D draws, K documents a draw.
"""

import numpy as np

from divsyn_jax.diversity.agents.base import (
    Agent,
    DrawEvidence,
    Draws,
    Partitions,
    record_of,
)
from divsyn_jax.diversity.estimation import control_variate, estimators, reliability
from divsyn_jax.diversity.estimation.all_pairs import PairDistances
from divsyn_jax.diversity.estimation.estimators import DocumentVariance, DrawStatistics
from divsyn_jax.diversity.estimation.intervals import Estimate, mean_of
from divsyn_jax.diversity.estimation.invalid_clusters import verification_change
from divsyn_jax.diversity.estimation.profile import profile_record
from divsyn_jax.diversity.judging import HEADLINE, Judged
from divsyn_jax.diversity.sampling import Sample, random_draws
from divsyn_jax.diversity.score_records import (
    AdjustedRecord,
    ClusterScoreRecord,
    ControlVariateRecord,
    CutRecord,
    DrawEstimateRecord,
    DrawRecord,
    EffectiveClustersRecord,
    GeneratorInterval,
    NamedCluster,
    NoValue,
    Numbers,
    PolicyRecord,
    PositionBiasRecord,
    RetestRecord,
    SampleSizeRecord,
    VerificationRecord,
)

CHEAP_DRAWS = 20_000  # of the embedding agent, for the mean of the control variate
DRAWS_WRITTEN = 1000
SIZES = (5, 10, 20)  # K at which both headline numbers are shown
SIZE_DRAWS = 2000


def metric(judged: Judged, distances: PairDistances | None = None) -> Numbers:
    """The cluster-agent metric in all its forms, with intervals.

    Args:
      judged: the draws.
      distances: of all pairs of the sample, where the agent has vectors: effective clusters are
        then made from them, and those of draws stand beside.
    """
    draws = judged.statistics()
    clusters = _clusters_of_draws(judged, draws)
    numbers: Numbers = {
        "cluster_score": _score_of_draws(judged, draws),
        "effective_clusters": clusters if distances is None else profile_record(distances),
        "clusters_per_document": _mean_of_draws(
            judged,
            draws,
            estimators.clusters_per_document(draws),
            draws.clusters_D / draws.documents_D,
            (1 / draws.sample_size, 1.0),
        ),
        "exp_entropy": _mean_of_draws(
            judged,
            draws,
            estimators.exp_entropy(draws),
            np.exp(draws.entropy_D),
            (1.0, float(draws.sample_size)),
        ),
        "curve": [
            _at_cut(threshold, estimators.draw_statistics(labels_DK), judged.sample)
            for threshold, labels_DK in judged.partitions.cuts.items()
        ],
        "stopping": judged.stopping,
        "failures": list(judged.failures),
        "failure_rate": len(judged.failures) / judged.asked,
    }
    if distances is not None:
        numbers["effective_clusters_of_draws"] = clusters
    return numbers


def _spread(judged: Judged, draws: DrawStatistics, values_D: np.ndarray) -> DocumentVariance:
    of_answered_DK = judged.draws_DK[draws.kept]
    return estimators.document_spread(values_D, of_answered_DK, len(judged.sample), draws.set_D)


def _generator_ends(ends: tuple[float, float] | None, reason: str) -> GeneratorInterval:
    if ends is None:
        return {"generator_ci_low": None, "generator_ci_high": None, "generator_ci_reason": reason}
    return {"generator_ci_low": ends[0], "generator_ci_high": ends[1]}


def _no_spread(judged: Judged) -> str | None:
    """Why nothing can be said of other documents; None where something can."""
    documents, size = len(judged.sample), judged.draws_DK.shape[1]
    if documents > size:
        return None
    return (
        f"no interval over documents: a draw of {size} holds all {documents} of them and says"
        " nothing of others; give more documents or a smaller --sample_size"
    )


def _mean_of_draws(
    judged: Judged,
    draws: DrawStatistics,
    estimate: Estimate,
    values_D: np.ndarray,
    ends: tuple[float, float],
) -> DrawEstimateRecord:
    reason = _no_spread(judged)
    if reason is not None:
        return {**estimate.to_json(), **_generator_ends(None, reason)}
    if np.ptp(values_D) == 0:
        reason = (
            "no interval over documents: every draw gave this value, so nothing says how far other"
            " documents would move it"
        )
        return {**estimate.to_json(), **_generator_ends(None, reason)}
    spread = _spread(judged, draws, values_D)
    found = estimators.generator_interval_of_mean(values_D, draws, ends, spread.value, spread.error)
    return {**estimate.to_json(), **_generator_ends(found, "")}


def _score_of_draws(judged: Judged, draws: DrawStatistics) -> ClusterScoreRecord:
    spread = _spread(judged, draws, draws.scores_D)
    sets_D = judged.partitions.sets_D
    estimate = estimators.cluster_score(draws)
    ends = estimators.score_range(draws.sample_size)
    return {
        **_mean_of_draws(judged, draws, estimate, draws.scores_D, ends),
        "sd": float(draws.scores_D.std(ddof=1)),
        "document_variance": spread.value,
        "document_variance_error": spread.error,
        "sample_size": draws.sample_size,
        "draws": len(draws),
        "draws_asked": judged.asked,
        "criteria_sets": None if sets_D is None else int(sets_D.max()) + 1,
        "mean_clusters": float(draws.clusters_D.mean()),
    }


def _clusters_of_draws(judged: Judged, draws: DrawStatistics) -> EffectiveClustersRecord:
    documents = len(judged.sample)
    spread = _spread(judged, draws, draws.pair_share_D)
    reason = _no_spread(judged)
    ends = (
        None
        if reason is not None
        else estimators.generator_interval_of_clusters(draws, spread.value, documents, spread.error)
    )
    alike = "no interval over documents: no pair, or every pair, of a draw is in one cluster"
    return {
        **estimators.effective_clusters(draws, documents).to_json(),
        **_generator_ends(ends, reason or alike),
        "documents": documents,
        "pair_share": mean_of(draws.pair_share_D, draws.set_D).value,
        "pair_share_sd": float(draws.pair_share_D.std(ddof=1)),
        "document_variance": spread.value,
        "document_variance_error": spread.error,
    }


def _at_cut(threshold: float, cut: DrawStatistics, sample: Sample) -> CutRecord:
    return {
        "threshold": threshold,
        "cluster_score": estimators.cluster_score(cut).to_json(),
        "effective_clusters": estimators.effective_clusters(cut, len(sample)).to_json(),
        "mean_clusters": float(cut.clusters_D.mean()),
    }


def by_sample_size(judged: Judged, agent: Agent, seed: int) -> list[SampleSizeRecord]:
    """Both numbers of draws at other K: the published score moves with K, effective clusters do not
    where the clusters of documents do not change with the draw they are in.

    A free agent judges fresh draws of `SIZES` documents; the draws of any other
    are restricted to their first documents, which asks nothing anew and allows smaller K only."""
    sample, K = judged.sample, judged.draws_DK.shape[1]
    if agent.kind.free:
        sizes = sorted({size for size in (*SIZES, K) if size <= len(sample)})
        asked = [Draws(sample, random_draws(sample, SIZE_DRAWS, size, seed)) for size in sizes]
        labels = {
            size: (part.labels_DK, part.sets_D)
            for size, part in zip(sizes, agent.partition(asked), strict=True)
        }
    else:
        sizes = sorted({*(size for size in SIZES if size < K), K})
        labels = {size: (judged.labels_DK[:, :size], judged.partitions.sets_D) for size in sizes}
    found: list[SampleSizeRecord] = []
    for size, (labels_DK, sets_D) in labels.items():
        draws = estimators.draw_statistics(labels_DK, sets_D)
        found.append(
            {
                "sample_size": size,
                "cluster_score": estimators.cluster_score(draws).to_json(),
                "effective_clusters": estimators.effective_clusters(draws, len(sample)).to_json(),
            }
        )
    return found


def verification(judged: Judged) -> VerificationRecord:
    """What every policy for invalid clusters gives from the same calls, and how much verification
    changed.
    """
    partitions = judged.partitions
    if partitions.valid_DK is None:
        return {"policy": None, "reason": "this agent verifies nothing"}
    change = verification_change(partitions.labels_DK, partitions.valid_DK, partitions.sets_D)
    policies: dict[str, PolicyRecord] = {}
    for policy in judged.labels:
        draws = judged.statistics(policy)
        policies[policy] = _under_policy(draws, len(judged.sample))
    return {
        "policy": HEADLINE,
        "policies": policies,
        "clusters_changed": change.clusters_changed.to_json(),
        "change_of_clusters": change.change_of_clusters.to_json(),
    }


def _under_policy(draws: DrawStatistics, documents: int) -> PolicyRecord:
    """Both headline numbers; without a value where dropping left too few draws for an interval."""
    try:
        return {
            "empty_draws": draws.empty,
            "cluster_score": estimators.cluster_score(draws).to_json(),
            "effective_clusters": estimators.effective_clusters(draws, documents).to_json(),
        }
    except ValueError as error:
        nothing: NoValue = {
            "value": None,
            "reason": f"{draws.empty} draws lost all documents: {error}",
        }
        return {
            "empty_draws": draws.empty,
            "cluster_score": nothing,
            "effective_clusters": nothing,
        }


def position_bias_record(judged: Judged) -> PositionBiasRecord:
    """Whether documents shown side by side are put together more often than chance allows."""
    partitions = judged.partitions
    if partitions.order_DK is None:
        return {"z": None, "reason": "this agent sees no order"}
    shown_DK = np.take_along_axis(partitions.labels_DK, partitions.order_DK, axis=1)
    return reliability.position_bias(shown_DK).to_json()


def retest(agent: Agent, judged: Judged, draws: int) -> RetestRecord:
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
    answered = np.concatenate([_answered(part) for part in again])
    if answered.sum() < 2:
        return {"draws": int(answered.sum()), "reason": "the repetition was hardly answered"}
    both_PDK = np.stack(
        [judged.partitions.labels_DK[: len(labels_DK)][answered], labels_DK[answered]]
    )
    return reliability.repeatability(both_PDK).to_json()


def _answered(part: Partitions) -> np.ndarray:
    every = np.ones(len(part.labels_DK), bool)
    return every if part.answered_D is None else part.answered_D


def with_control_variate(judged: Judged, cheap: Agent, many_DK: np.ndarray) -> ControlVariateRecord:
    """The metric adjusted by a cheap agent's answers on the same draws.

    Args:
      judged: the dear agent's draws.
      cheap: the embedding agent.
      many_DK: draws of the same sample, independent of the judged ones, for the cheap agent's mean.
    """
    draws = judged.statistics()
    same, many = (
        estimators.draw_statistics(part.labels_DK)
        for part in cheap.partition(
            [Draws(judged.sample, judged.draws_DK), Draws(judged.sample, many_DK)]
        )
    )
    scores, shares = mean_of(many.scores_D), mean_of(many.pair_share_D)
    return {
        "agent": record_of(cheap),
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


def _adjusted(found: control_variate.Adjusted) -> AdjustedRecord:
    return {
        **found.estimate.to_json(),
        "correlation": found.correlation,
        "variance_saved": found.variance_saved,
        "reason": found.reason,
    }


def records(judged: Judged) -> list[DrawRecord]:
    """The first `DRAWS_WRITTEN` answered draws, as the lines of draws.jsonl."""
    partitions, index_N = judged.partitions, judged.sample.index_N
    found: list[DrawRecord] = []
    for row in range(min(len(judged.draws_DK), DRAWS_WRITTEN)):
        documents_K = index_N[judged.draws_DK[row]]
        record: DrawRecord = {
            "draw": int(judged.numbers_D[row]),
            "documents": documents_K.tolist(),
            "clusters": _numbered(judged.labels_DK[row]).tolist(),
        }
        if partitions.evidence is not None:
            record["agent_clusters"] = _numbered(partitions.labels_DK[row]).tolist()
            if partitions.order_DK is not None:
                record["shown_order"] = partitions.order_DK[row].tolist()
            record["criteria_set"] = int(partitions.evidence[row]["criteria_set"])
            record["named"] = _named(partitions.labels_DK[row], partitions.evidence[row])
        found.append(record)
    return found


def _named(labels_K: np.ndarray, said: DrawEvidence) -> list[NamedCluster]:
    number_of = dict(zip(labels_K.tolist(), _numbered(labels_K).tolist(), strict=True))
    named: list[NamedCluster] = []
    for entry in said["clusters"]:
        cluster: NamedCluster = {
            "cluster": number_of[entry["label"]],
            "name": entry["name"],
            "reason": entry["reason"],
        }
        if "valid" in entry:
            cluster["valid"], cluster["verdict"] = entry["valid"], entry["verdict"]
        named.append(cluster)
    return sorted(named, key=lambda cluster: cluster["cluster"])


def _numbered(labels_K: np.ndarray) -> np.ndarray:
    first_K = (labels_K[:, None] == labels_K[None, :]).argmax(axis=1)
    return np.unique(first_K, return_inverse=True)[1]
