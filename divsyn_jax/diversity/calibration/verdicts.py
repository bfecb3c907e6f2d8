"""What a judge may be trusted to do, in words and against stated thresholds."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.diversity.estimation.reliability import POSITION_BIAS_Z

# Spearman's correlation with the known order, and no adjacent pair in the wrong order beyond chance
ORDERED = 0.9
NUMBER_WITHIN = 0.15  # relative error of effective clusters on every rung
AGREEMENT = 0.7  # mean adjusted Rand index against labels
SLOPE = (0.8, 1.2)  # of the agent's number of clusters on the true one
RETEST = (
    0.9  # intraclass correlation; "excellent" from there on (Koo and Li 2016, J Chiropr Med 15:155)
)
_MANY_ORDERS = 120  # of corpora: fewer are said to be few
STEADY = 0.8  # mean adjusted Rand index between orders of one draw


def judge_verdicts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """For each thing a judge may be trusted to do on a ladder: {claim, trusted: true | false |
    null, because}.

    Args: found: an entry of calibration.json's `ladders`, but for the verdicts; null where it says
      nothing of the claim.
    """
    errors = [abs(rung["effective_clusters_error"]) for rung in found["rungs"] if rung["known"]]
    biases = [
        rung["position_bias"]["z"]
        for rung in found["rungs"]
        if rung["position_bias"]["z"] is not None
    ]
    ari, slope = found["ari"].get("value"), found["slope"].get("value")
    retest, order = found["test_retest"], found["order_sensitivity"]
    steady = retest["correlation"] is None or retest["correlation"] >= RETEST
    return [
        _verdict("put corpora in order", *_ordered(found)),
        _verdict(
            "count clusters",
            max(errors) <= NUMBER_WITHIN if errors else None,
            (
                f"effective clusters{_granularity(found)} off by {max(errors):.0%} at worst,"
                f" {NUMBER_WITHIN:.0%} allowed"
                if errors
                else "no labels known"
            ),
        ),
        _verdict(
            "tell which documents belong together",
            None if ari is None else ari >= AGREEMENT,
            (
                "no labels known"
                if ari is None
                else f"mean adjusted Rand index {ari:.2f}, at least {AGREEMENT:g} asked"
            ),
        ),
        _verdict(
            "count in proportion to the true number",
            None if slope is None else SLOPE[0] <= slope <= SLOPE[1],
            found["slope"].get("reason")
            or f"slope of its clusters on the true ones {slope:.2f}, {SLOPE[0]:g} to {SLOPE[1]:g}"
            " asked",
        ),
        _verdict(
            "answer the same when asked again",
            steady and order["adjusted_rand"]["value"] >= STEADY,
            f"test-retest correlation {_two(retest['correlation'])}, at least {RETEST:g} asked;"
            f" agreement between {order['times']} orders {order['adjusted_rand']['value']:.2f}, at"
            f" least {STEADY:g} asked{_never_changed(retest, order)}",
        ),
        _verdict(
            "ignore the order of documents",
            max(map(abs, biases)) <= POSITION_BIAS_Z if biases else None,
            (
                f"position bias |z| {max(map(abs, biases)):.1f} at worst, {POSITION_BIAS_Z:g}"
                " allowed"
                if biases
                else "no draw could show it"
            ),
        ),
    ]


def _ordered(found: dict[str, Any]) -> tuple[bool | None, str]:
    """Whether the judge puts the ladder in order, and why; None where a guess would do as well."""
    rungs = found["rungs"]
    numbers = [rung["effective_clusters"] for rung in rungs]
    if len(rungs) > 2 and len({each["value"] for each in numbers}) == 1:
        return False, f"it reads {numbers[0]['value']:.4g} of every corpus"
    spearman, inversions = found["spearman"]["estimate"], found["inversions"]
    if spearman is None:
        return None, found["spearman"]["reason"]
    because = (
        f"rank correlation of effective clusters with the known order {spearman:.2f} over"
        f" {len(rungs)} corpora, at least {ORDERED:g} asked; {len(inversions)} adjacent pairs in"
        f" the wrong order beyond chance, none allowed{_by_guessing(rungs)}"
    )
    if spearman < ORDERED or inversions:
        return False, because
    if 1 / math.factorial(len(rungs)) > statistics.ALPHA and not _told_apart(numbers):
        return None, f"{because}, and intervals do not part them all"
    return True, because


def _told_apart(numbers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every number's interval over documents lies above that of the one before it."""
    bounds = [(each.get("generator_ci_low"), each.get("generator_ci_high")) for each in numbers]
    return all(
        low is not None and high is not None and high < low
        for (_, high), (low, _) in itertools.pairwise(bounds)
    )


def _by_guessing(rungs: Sequence[Any]) -> str:
    """What an order of few corpora is worth as evidence."""
    orders = math.factorial(len(rungs))
    if orders > _MANY_ORDERS:
        return ""
    return f"; a guess puts {len(rungs)} corpora in order once in {orders:,} times"


def _never_changed(*repeated: dict[str, Any]) -> str:
    """That an agent which computes its answer passes this by how it is made."""
    if any(found["change_of_answer"] for found in repeated):
        return ""
    return "; no answer ever changed, as it must be of a judge that computes (embeddings, labels)"


def _granularity(found: dict[str, Any]) -> str:
    named = {rung.get("counted_at") for rung in found["rungs"]} - {None}
    return "".join(f" at the granularity of {name}" for name in sorted(named))


def _verdict(claim: str, trusted: bool | None, because: str) -> dict[str, Any]:
    return {"claim": claim, "trusted": trusted, "because": because}


def _two(value: float | None) -> str:
    return "none (it never varies)" if value is None else f"{value:.2f}"
