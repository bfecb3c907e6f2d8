"""The hypotheses of a factorial study: each kind of diversity helps, and the sham does nothing."""

import functools
from collections.abc import Mapping
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.base.html import p_equals
from divsyn_jax.statistics.factorial import EffectRecord
from divsyn_jax.study.factorial.cells import SHAM, SHAM_VALUES
from divsyn_jax.study.hypotheses.evidence import Evidence
from divsyn_jax.study.hypotheses.verdict import Hypothesis, Kind, NotTestable, Verdict
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.study_file import Outcome


def factor_hypotheses(recipe: Mapping[str, Any]) -> list[Hypothesis]:
    """'factors': a hypothesis a factor, about the held-out text that is new on its axis where the
    study has one, else about the primary outcome; none without factors."""
    found = [
        Hypothesis(
            f"factor:{name}",
            "study",
            f"{name} {high} in place of {low} trains better models, all else equal"
            + f" (on text of unseen {name})" * (f"unseen_{name}" in recipe["heldout"])
            + f" (on the text most unlike in {name})" * (f"unlike_{name}" in recipe["heldout"]),
            functools.partial(_helps, factor=name),
        )
        for name, (low, high) in recipe.get("factors", {}).items()
    ]
    if found:
        found.append(
            Hypothesis(
                f"factor:{SHAM}",
                "study",
                f"The sham factor (documents {SHAM_VALUES[1]} in place of {SHAM_VALUES[0]}) changes"
                " nothing that can be told",
                _sham_is_null,
            )
        )
    return found


def _outcome(evidence: Evidence, factor: str) -> Outcome:
    """The outcome that a factor is judged by."""
    own_text = (f"unseen_{factor}/", f"unlike_{factor}/")
    own = [outcome for outcome in evidence.outcomes if outcome.test.startswith(own_text)]
    return own[0] if own else evidence.outcomes[0]


def _effect(evidence: Evidence, factor: str) -> tuple[EffectRecord, str]:
    """The effect on that outcome, and what it rests on."""
    if evidence.factorial is None:
        raise NotTestable("the study has no factors")
    name = _outcome(evidence, factor).name
    of_outcome = next(each for each in evidence.factorial["outcomes"] if each["outcome"] == name)
    found = next(each for each in of_outcome["effects"] if each["name"] == factor)
    if found["ci_low"] is None or found["p_holm"] is None:
        raise NotTestable(f"there is no error to judge effects by ({of_outcome['error_of']})")
    mains = sum(effect["order"] == 1 for effect in of_outcome["effects"])
    unit = " bits a byte" if name.endswith("/bits_per_byte") else ""
    reason = (
        f"{found['value']:+z.4f} [{found['ci_low']:+z.4f}, {found['ci_high']:+z.4f}]{unit} on"
        f" {outcome_label(name)}, {p_equals(found['p_holm'])} corrected for {mains} main effects;"
        f" the error is that of {of_outcome['error_of']}"
    )
    return found, reason


def _helps(evidence: Evidence, factor: str) -> Verdict:
    effect, reason = _effect(evidence, factor)
    if effect["p_holm"] is None or effect["p_holm"] >= statistics.ALPHA:
        return Verdict(Kind.CANNOT_TELL, reason)
    better = (effect["value"] > 0) == _outcome(evidence, factor).higher_is_better
    return Verdict(Kind.SUPPORTED if better else Kind.OPPOSITE, reason)


def _sham_is_null(evidence: Evidence) -> Verdict:
    """Supported is what a null control can be: it shows no difference."""
    effect, reason = _effect(evidence, SHAM)
    told = effect["p_holm"] is not None and effect["p_holm"] < statistics.ALPHA
    return Verdict(Kind.NOT_SUPPORTED if told else Kind.SUPPORTED, reason)
