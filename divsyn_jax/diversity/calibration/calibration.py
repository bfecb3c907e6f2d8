"""Is an agent's judgement to be trusted? Its answers on corpora whose order, or whose clusters, are
known.

Shapes: D draws, P times each was asked, K documents a draw, N documents in the sample.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax import statistics
from divsyn_jax.base.commandline import Failure
from divsyn_jax.diversity.agents.base import Agent, Draws, Embedder, Partitions
from divsyn_jax.diversity.agents.oracle import label_numbers
from divsyn_jax.diversity.calibration.verdicts import NUMBER_WITHIN, judge_verdicts
from divsyn_jax.diversity.estimation import estimators, exact, reliability
from divsyn_jax.diversity.estimation.all_pairs import pair_distances
from divsyn_jax.diversity.estimation.estimators import DrawStatistics
from divsyn_jax.diversity.estimation.intervals import EstimateRecord, bounded_mean, t_quantile
from divsyn_jax.diversity.estimation.invalid_clusters import labels_by_policy
from divsyn_jax.diversity.estimation.profile import ProfileRecord, profile_record
from divsyn_jax.diversity.estimation.reliability import RetestRecord
from divsyn_jax.diversity.judging import HEADLINE, fewest_draws
from divsyn_jax.diversity.sampling import Sample, random_draws

RETESTED = 100  # draws of a ladder that are asked a second time
COUNTED_AT = "topics"  # the granularity at which an agent with vectors counts kinds
REORDERED, ORDERS = 40, 5  # draws of a ladder that are asked in so many orders


@dataclasses.dataclass(frozen=True)
class Ladder:
    """Corpora in increasing diversity.

    Attributes:
      name: of the ladder.
      corpora: name -> corpus, least diverse first.
      label_field: field that holds the true cluster of a document, or None.
      unit: what its rungs have more of, for readers.
    """

    name: str
    corpora: dict[str, str]
    label_field: str | None
    unit: str | None = None


def calibrate(
    agent: Agent,
    ladder: Ladder,
    samples: Sequence[Sample],
    *,
    sample_size: int,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """What the agent makes of one ladder: an entry of calibration.json's `ladders`.

    Args:
      agent: the judge.
      ladder: the corpora and what is known of them.
      samples: of its corpora, in order; read with `ladder.label_field`.
      sample_size, draws, seed: K, the draws of each corpus, and the seed of draws and orders.
    """
    answers = _ask(agent, samples, sample_size=sample_size, draws=draws, seed=seed)
    truths = [None if sample.labels is None else label_numbers(sample) for sample in samples]
    rungs = [
        _rung(name, sample, answer, label_N, _profile(agent, sample))
        for name, sample, answer, label_N in zip(
            ladder.corpora, samples, answers, truths, strict=True
        )
    ]
    known = [label_N for label_N in truths if label_N is not None]
    labelled: dict[str, Any]
    if ladder.label_field is None:
        labelled = {
            key: {"value": None, "reason": "no labels known (--label_field)"}
            for key in ("ari", "slope")
        }
    else:
        labelled = {"ari": _agreement(answers, known), "slope": _slope(answers, known)}
    found = {
        "name": ladder.name,
        "unit": ladder.unit,
        "label_field": ladder.label_field,
        "rungs": rungs,
        "spearman": _spearman(rungs, "effective_clusters"),
        "spearman_cluster_score": _spearman(rungs, "cluster_score"),
        "inversions": _inversions(rungs),
        **labelled,
        "order_sensitivity": _repeatability([answer.reordered_PDK for answer in answers]),
        "test_retest": _repeatability([answer.retested_PDK for answer in answers]),
    }
    return {**found, "verdicts": judge_verdicts(found)}


@dataclasses.dataclass(frozen=True)
class _Answers:
    draws_DK: np.ndarray
    labels_DK: np.ndarray  # in the order shown
    sets_D: np.ndarray | None
    retested_PDK: np.ndarray  # P = 2, documents in one order
    reordered_PDK: np.ndarray  # P = ORDERS, of other draws
    failed: int  # draws without an answer, repetitions included


def _headline(answer: Partitions) -> np.ndarray:
    """[D, K] headline labels, -1 in rows without an answer."""
    labels_DK = answer.labels_DK
    if answer.valid_DK is None:
        return labels_DK
    split_DK = labels_by_policy(np.maximum(labels_DK, 0), answer.valid_DK)[HEADLINE]
    return np.where(labels_DK < 0, labels_DK, split_DK)


def _ask(
    agent: Agent, samples: Sequence[Sample], *, sample_size: int, draws: int, seed: int
) -> list[_Answers]:
    retested = min(draws // 2, max(2, math.ceil(RETESTED / len(samples))))
    reordered = min(draws - retested, max(2, math.ceil(REORDERED / len(samples))))
    rngs = [np.random.default_rng([seed, int(sample.fingerprint[:16], 16)]) for sample in samples]
    asked = [[Draws(sample, random_draws(sample, draws, sample_size, seed)) for sample in samples]]
    for repetition in range(1, ORDERS):
        # The first repetition is of the retested draws too. A draw keeps its number, and with it
        # its criteria set.
        begin = 0 if repetition == 1 else retested
        again = slice(begin, retested + reordered)
        asked.append(
            [
                Draws(each.sample, reliability.shuffled(rng, each.documents_DK[again]), begin)
                for each, rng in zip(asked[0], rngs, strict=True)
            ]
        )
    parts = [agent.partition(draws, repetition) for repetition, draws in enumerate(asked)]
    return [
        _answers_of(draws, part, retested, reordered)
        for draws, part in zip(zip(*asked, strict=True), zip(*parts, strict=True), strict=True)
    ]


def _answers_of(
    asked: Sequence[Draws], parts: Sequence[Partitions], retested: int, reordered: int
) -> _Answers:
    """What was said of one corpus: its draws, and each repetition of some."""
    labels = [_headline(part) for part in parts]
    same = [
        reliability.aligned(found, each.documents_DK)
        for found, each in zip(labels, asked, strict=True)
    ]
    orders = [same[0][retested : retested + reordered], *[found[-reordered:] for found in same[1:]]]
    answered, failed = labels[0][:, 0] >= 0, sum(int((found[:, 0] < 0).sum()) for found in labels)
    found = _Answers(
        draws_DK=asked[0].documents_DK[answered],
        labels_DK=labels[0][answered],
        sets_D=None if parts[0].sets_D is None else parts[0].sets_D[answered],
        retested_PDK=_answered(np.stack([same[0][:retested], same[1][:retested]])),
        reordered_PDK=_answered(np.stack(orders)),
        failed=failed,
    )
    if fewest_draws(len(found.labels_DK), found.sets_D) < 2 or found.retested_PDK.shape[1] < 2:
        raise Failure(
            f"{asked[0].sample.spec}: {failed} of {sum(map(len, labels))} draws failed; too few are"
            " left for an interval (two a criteria set): try another --model or more --draws"
        )
    return found


def _answered(labels_PDK: np.ndarray) -> np.ndarray:
    """The draws with an answer each time."""
    return labels_PDK[:, (labels_PDK[:, :, 0] >= 0).all(axis=0)]


def _profile(agent: Agent, sample: Sample) -> ProfileRecord | None:
    """What score_corpus makes of all pairs, where the agent has vectors."""
    if not isinstance(agent, Embedder):
        return None
    return profile_record(pair_distances(agent.vectors(sample)))


def _rung(
    name: str,
    sample: Sample,
    answers: _Answers,
    label_N: np.ndarray | None,
    profile: ProfileRecord | None,
) -> dict[str, Any]:
    draws = estimators.draw_statistics(answers.labels_DK, answers.sets_D)
    effective = _clusters_of_draws(draws, answers, len(sample)) if profile is None else profile
    # A headline over all granularities puts corpora in order; kinds are counted at one of them.
    counted = effective if profile is None else profile["granularities"][COUNTED_AT]
    bias = reliability.position_bias(answers.labels_DK)
    rung = {
        "name": name,
        "path": sample.spec,
        "documents": len(sample),
        "fingerprint": sample.fingerprint,
        "cluster_score": estimators.cluster_score(draws).to_json(),
        "effective_clusters": effective,
        "counted": counted,
        "counted_at": None if profile is None else COUNTED_AT,
        "mean_clusters": float(draws.clusters_D.mean()),
        "failed_draws": answers.failed,
        "position_bias": bias.to_json(),
        "known": None,
    }
    if label_N is not None:
        counts = np.bincount(label_N)
        known = exact.true_effective_clusters(counts)
        rung["known"] = {
            "clusters": len(counts),
            "effective_clusters": known,
            "cluster_score": exact.expected_cluster_score(counts, draws.sample_size),
        }
        rung["effective_clusters_error"] = counted["value"] / known - 1
        indices_D = reliability.adjusted_rand(answers.labels_DK, label_N[answers.draws_DK])
        rung["ari"] = bounded_mean(indices_D, -1.0, 1.0, answers.sets_D).to_json()
    return rung


def _clusters_of_draws(
    draws: DrawStatistics, answers: _Answers, documents: int
) -> Mapping[str, Any]:
    """Effective clusters with their interval over documents and draws; that over draws where no
    pair, or every pair, is in one cluster.
    """
    effective = estimators.effective_clusters(draws, documents)
    spread = estimators.document_spread(
        draws.pair_share_D, answers.draws_DK, documents, draws.set_D
    )
    ends = estimators.generator_interval_of_clusters(draws, spread.value, documents, spread.error)
    low, high = ends or (effective.ci_low, effective.ci_high)
    return {**effective.to_json(), "generator_ci_low": low, "generator_ci_high": high}


def _spearman(rungs: Sequence[dict[str, Any]], statistic: str) -> dict[str, Any]:
    return statistics.spearman(range(len(rungs)), [rung[statistic]["value"] for rung in rungs])


def _inversions(rungs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Neighbours whose effective clusters fall where they should rise, beyond the chance of draws
    and documents.

    Where labels say that two neighbours differ by no more than `NUMBER_WITHIN`, they tie.
    """

    def tie(lower: dict[str, Any], upper: dict[str, Any]) -> bool:
        known = [rung["known"]["effective_clusters"] for rung in (lower, upper) if rung["known"]]
        return bool(known) and max(known) <= min(known) * (1 + NUMBER_WITHIN)

    return [
        [lower["name"], upper["name"]]
        for lower, upper in itertools.pairwise(rungs)
        if not tie(lower, upper)
        and upper["effective_clusters"]["generator_ci_high"]
        < lower["effective_clusters"]["generator_ci_low"]
    ]


def _agreement(answers: Sequence[_Answers], truths: Sequence[np.ndarray]) -> EstimateRecord:
    indices = [
        reliability.adjusted_rand(answer.labels_DK, label_N[answer.draws_DK])
        for answer, label_N in zip(answers, truths, strict=True)
    ]
    sets = [answer.sets_D for answer in answers if answer.sets_D is not None]
    return bounded_mean(
        np.concatenate(indices), -1.0, 1.0, np.concatenate(sets) if sets else None
    ).to_json()


def _slope(answers: Sequence[_Answers], truths: Sequence[np.ndarray]) -> dict[str, Any]:
    """Least squares of the agent's C on the true C over all draws, with White's (1980)
    heteroscedastic interval.
    """
    pairs = [
        (
            reliability.number_of_clusters(label_N[answer.draws_DK]),
            reliability.number_of_clusters(answer.labels_DK),
        )
        for answer, label_N in zip(answers, truths, strict=True)
    ]
    true_D, found_D = (np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True))
    centred_D = true_D - true_D.mean()
    spread = float(centred_D @ centred_D)
    if spread == 0:
        return {"value": None, "reason": "every draw holds the same number of true clusters"}
    slope = float(centred_D @ found_D) / spread
    intercept = float(found_D.mean() - slope * true_D.mean())
    residual_D = found_D - intercept - slope * true_D
    error = math.sqrt(float(centred_D**2 @ residual_D**2)) / spread
    half_width = t_quantile(len(true_D) - 2) * error
    return {
        "value": slope,
        "ci_low": slope - half_width,
        "ci_high": slope + half_width,
        "intercept": intercept,
        "draws": len(true_D),
    }


def _repeatability(labels: Sequence[np.ndarray]) -> RetestRecord:
    found = reliability.repeatability(np.concatenate(labels, axis=1))
    result = found.to_json()
    if found.correlation is None:
        result["reason"] = "the agent found the same number of clusters in every draw"
    return result
