"""Effective clusters over granularities as score.json holds them, and what two profiles say of the
order of their corpora.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np

from divsyn_jax.diversity.estimation import all_pairs
from divsyn_jax.diversity.estimation.all_pairs import PairDistances, PairEstimate, Ratio
from divsyn_jax.diversity.estimation.intervals import ERROR_RATE, EstimateRecord, t_quantile
from divsyn_jax.diversity.pairs.records import CalibratedRecord, JudgedRecord

# Granularities over which the order of corpora is said to hold or not: from copies to the coarsest
# reading of a topic. Beyond it nearly all documents of one language join.
ORDER_BAND = (all_pairs.GRANULARITIES["copies"].middle, max(all_pairs.TOPIC_BAND))
_ALIKE = 1e-9  # of a ratio


class GranularityRecord(TypedDict):
    """Effective clusters at one granularity, with the 95% interval over documents."""

    distance: float
    value: float
    ci_low: float
    ci_high: float
    log_error: float | None
    method: str


class RangeRecord(TypedDict):
    """See `all_pairs.GranularityRange`."""

    low: float
    high: float
    coarse: float
    fine: float


class ProfileRecord(EstimateRecord):
    """Effective clusters from all pairs of a sample.

    `value` is the geometric mean over `octaves`, `curve` and `granularities` hold the estimates
    behind the words on a page, `range` that of the named band of topics. `generator_ci` repeats the
    interval: it is over documents, and there are no draws.
    """

    generator_ci_low: float
    generator_ci_high: float
    log_error: float | None
    documents: int
    of: str
    octaves: list[GranularityRecord]
    granularities: dict[str, GranularityRecord]
    curve: list[GranularityRecord]
    range: RangeRecord
    # Where they were asked for (--calibration, --pair_judge, --pairs_in).
    calibrated: NotRequired[CalibratedRecord]
    judged: NotRequired[JudgedRecord]


class OrderRecord(TypedDict):
    """Whether two corpora stand in one order over the band of granularities.

    `same` is True where one has the larger value at every granularity of the band, False where each
    is told to be the larger at some (`first_larger`, `second_larger`: the distances of the joins at
    which the interval of the ratio excludes 1), None where neither holds.
    """

    first: str
    second: str
    same: bool | None
    first_larger: list[float]
    second_larger: list[float]
    fine: float
    coarse: float


def profile_record(distances: PairDistances) -> ProfileRecord:
    """The profile of one corpus."""
    octaves = all_pairs.octave_estimates(distances)
    mean = all_pairs.mean_over_granularities(octaves)
    return {
        "value": mean.value,
        "ci_low": mean.ci_low,
        "ci_high": mean.ci_high,
        "generator_ci_low": mean.ci_low,
        "generator_ci_high": mean.ci_high,
        "log_error": mean.log_error,
        "method": f"{mean.method}, all pairs, {octaves[0].method}",
        "documents": distances.documents,
        "of": "all pairs of the sampled documents, joined at nine granularities; no draws, no K",
        "octaves": [
            _record(middle, found) for middle, found in zip(all_pairs.OCTAVES, octaves, strict=True)
        ],
        "granularities": {
            name: named_granularity(distances, name) for name in all_pairs.GRANULARITIES
        },
        "curve": [_record(middle, found) for middle, found in all_pairs.curve(distances)],
        "range": _range_record(all_pairs.topic_range(distances)),
    }


def named_granularity(distances: PairDistances, name: str) -> GranularityRecord:
    """The estimate at one of `all_pairs.GRANULARITIES`."""
    join = all_pairs.GRANULARITIES[name]
    found = all_pairs.effective_clusters_at(distances, join.at(all_pairs.MIDDLES_B))
    return _record(join.middle, found)


def _record(middle: float, found: PairEstimate) -> GranularityRecord:
    return {
        "distance": middle,
        "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "log_error": found.log_error,
        "method": found.method,
    }


def _range_record(found: all_pairs.GranularityRange) -> RangeRecord:
    return {"low": found.low, "high": found.high, "coarse": found.coarse, "fine": found.fine}


def estimate_at(record: GranularityRecord, documents: int, other: int) -> PairEstimate:
    """An estimate read from a file and made on `documents`, as it is for `other` documents."""
    ends = record["value"], record["ci_low"], record["ci_high"]
    found = PairEstimate(*ends, None, record["log_error"], record["method"])
    return all_pairs.at_documents(found, documents, other)


def mean_at(profile: ProfileRecord, other: int) -> PairEstimate:
    """The headline as it is for `other` documents of the process that wrote the corpus."""
    return all_pairs.mean_over_granularities(
        [estimate_at(octave, profile["documents"], other) for octave in profile["octaves"]]
    )


def ratio_of(first: PairEstimate, second: PairEstimate) -> Ratio:
    """`all_pairs.pair_ratio`, where the wider half of an interval on the log scale stands for an
    error that is not known (no pair, or every pair, is joined).
    """
    return all_pairs.pair_ratio(_with_error(first), _with_error(second))


def _with_error(estimate: PairEstimate) -> PairEstimate:
    if estimate.log_error is not None:
        return estimate
    ends = np.log([estimate.ci_low, estimate.value, estimate.ci_high])
    error = float(np.diff(ends).max()) / t_quantile(float("inf"))
    return dataclasses.replace(estimate, log_error=error)


def orders_over_band(profiles: Mapping[str, ProfileRecord]) -> list[OrderRecord]:
    """Every pair of corpora, at the number of documents of the smallest sample."""
    other = min(profile["documents"] for profile in profiles.values())
    fine, coarse = ORDER_BAND
    points = {
        name: [
            (point["distance"], estimate_at(point, profile["documents"], other))
            for point in profile["curve"]
            if fine <= point["distance"] <= coarse
        ]
        for name, profile in profiles.items()
    }
    return [_order(*names, points) for names in itertools.combinations(profiles, 2)]


def _order(
    first: str, second: str, points: Mapping[str, Sequence[tuple[float, PairEstimate]]]
) -> OrderRecord:
    fine, coarse = ORDER_BAND
    larger: dict[str, list[float]] = {first: [], second: []}
    ratios = []
    for (distance, one), (_, two) in zip(points[first], points[second], strict=True):
        ratio = ratio_of(one, two)
        ratios.append(ratio.value)
        if ratio.p_value is not None and ratio.p_value < ERROR_RATE:
            larger[second if ratio.value > 1 else first].append(distance)
    same: bool | None = None
    if larger[first] and larger[second]:
        same = False
    elif min(ratios) > 1 - _ALIKE or max(ratios) < 1 + _ALIKE:
        same = True
    return {
        "first": first,
        "second": second,
        "same": same,
        "first_larger": larger[first],
        "second_larger": larger[second],
        "fine": fine,
        "coarse": coarse,
    }
