"""Records of judged pairs, whoever judged them."""

from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.diversity.pairs.agreement import JudgeCheck
from divsyn_jax.diversity.pairs.estimate import WANTED_ERROR, JudgedEstimate, pairs_needed
from divsyn_jax.diversity.pairs.records import ControlRecord, JudgedRecord, StratumRecord


def control_record(check: JudgeCheck, believed: bool | None) -> ControlRecord:
    """What control pairs say, for a file."""
    return {
        "believed": believed,
        "answered": check.answered,
        "accuracy_same": check.accuracy_same,
        "accuracy_different": check.accuracy_different,
        "rule": check.rule,
    }


def judged_record(
    found: JudgedEstimate,
    judge: Mapping[str, Any],
    controls: Sequence[ControlRecord],
    warnings: Sequence[str] = (),
) -> JudgedRecord:
    """The estimate, who judged, and what speaks for and against it."""
    strata: list[StratumRecord] = [
        {
            "distance": each.distance,
            "pairs": each.pairs,
            "asked": each.asked,
            "same": float(each.same),
        }
        for each in found.strata
    ]
    said = list(warnings)
    if found.unanswered:
        said.append(f"{found.unanswered} of {found.judged + found.unanswered} pairs have no answer")
    return {
        "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "method": found.method,
        "share": found.share,
        "log_error": found.log_error,
        "pairs_log_error": found.pairs_log_error,
        "documents_log_error": found.documents_log_error,
        "pairs": found.judged,
        "unanswered": found.unanswered,
        "pairs_needed": pairs_needed(found.pairs_log_error, found.judged, WANTED_ERROR),
        "strata": strata,
        "controls": list(controls),
        "judge": dict(judge),
        "warnings": said,
    }


def nothing_judged(
    reason: str, judge: Mapping[str, Any], controls: Sequence[ControlRecord]
) -> JudgedRecord:
    """No number, and why."""
    return {
        "value": None,
        "reason": reason,
        "pairs": 0,
        "unanswered": 0,
        "strata": [],
        "controls": list(controls),
        "judge": dict(judge),
        "warnings": [],
    }
