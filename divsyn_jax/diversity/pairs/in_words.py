"""Calibrated and judged numbers, and diversity within groups, in one line each."""

from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.html import number
from divsyn_jax.diversity.pairs.records import CalibratedRecord, GroupsRecord, JudgedRecord
from divsyn_jax.diversity.score_records import Score


def lines(score: Score) -> list[str]:
    """What there is to say of a score, a line each, warnings after what they warn of."""
    name, effective = score["corpus"]["name"], score["effective_clusters"]
    said = []
    if "calibrated" in effective:
        said += [calibrated(effective["calibrated"]), *_warned(effective["calibrated"])]
    if "judged" in effective:
        said += [judged(effective["judged"]), *_warned(effective["judged"])]
    if "groups" in score:
        said.append(groups(score["groups"]))
    return [f"{name}: {line}" for line in said]


def calibrated(found: CalibratedRecord) -> str:
    """The calibrated number and what it stands on."""
    return f"{_ends(found)} effective clusters, calibrated on {found['kind_of_text']}"


def judged(found: JudgedRecord) -> str:
    """The judged number, or why there is none."""
    who = judge_name(found)
    if found["value"] is None:
        return f"no number from pairs judged by {who}, unusable: {found.get('reason')}"
    line = f"{_ends(found)} effective clusters from {found['pairs']} pairs judged by {who}"
    if "agreement" in found:
        alpha = found["agreement"]
        line += (
            f"; Krippendorff's alpha {number(alpha)} over {found['agreement_pairs']} pairs"
            if alpha is not None
            else f"; agreement is not defined: {found['agreement_pairs']} pairs have two answers or"
            " all answers are the same"
        )
    needed = found["pairs_needed"]
    if needed > found["pairs"]:
        line += (
            f"; {needed:,} pairs would bring what their choice adds to within a fifth either way"
        )
    return line


def groups(found: GroupsRecord) -> str:
    """Mean diversity within groups."""
    kinds = [
        f"{_ends(found[key])} {key.replace('_', ' ')}"
        for key in ("distinct_kinds", "effective_kinds")
    ]
    line = f"within groups of {found['field']}: {', '.join(kinds)}"
    if found["distinct_kinds"]["value"] is None:
        line = f"within groups of {found['field']}: {found['distinct_kinds']['reason']}"
    if found["sizes"]:
        low, high = found["sizes"]
        size = f"{low}" if low == high else f"{low} to {high}"
        line += f", mean over {found['groups']:,} groups of {size} documents"
    if found["single"]:
        line += f"; {found['single']:,} groups of one document are left out"
    if found["left_out"]:
        line += f"; {found['left_out']:,} documents of other groups were not read (--max_documents)"
    return line


def judge_name(found: JudgedRecord) -> str:
    """Who judged."""
    judge = found["judge"]
    if judge["kind"] == "people":
        files = judge["files"]
        return f"{'a reader' if len(files) == 1 else f'{len(files)} readers'} ({', '.join(files)})"
    return str(judge["model"])


def _warned(found: Mapping[str, Any]) -> list[str]:
    return [f"WARNING: {warning}" for warning in found["warnings"]]


def _ends(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "no"
    return f"{number(found['value'])} [{number(found['ci_low'])}, {number(found['ci_high'])}]"
