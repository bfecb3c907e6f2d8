"""The hypotheses that a study recipe lists: known ones by name, and its own as values.

`hypotheses` of a recipe holds
  'predicts'       more diverse corpora train better models, once for each outcome
  'null_control'   the recipe's null control, where it names one
  'factors'        each factor of a factorial study helps on text that is new on its axis (where
                   there is none, on the primary outcome); the sham changes nothing
  'paper'          every claim of Chen et al. 2024, or the id of one ('templates', 'linear', ...)
  'module:NAME'    a `Hypothesis` (or a sequence of them) in an importable Python module
  {'id': ..., 'statement': ..., 'test': ..., **arguments}   one of the recipe's own, where `test` is
      'correlates'  of `metric` (default: the primary one) with the outcome `outcome` (the first)
      'ordered'     `levels`: each is more diverse and better than the next
      'better'      the level `more` trains better models than `less`, after `stage` (pretrain)
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.study.hypotheses.evidence import Evidence, better, joined, ordered
from divsyn_jax.study.hypotheses.factor_hypotheses import factor_hypotheses
from divsyn_jax.study.hypotheses.paper_claims import PAPER_CLAIMS
from divsyn_jax.study.hypotheses.study_hypotheses import correlates, null_control, predictions
from divsyn_jax.study.hypotheses.verdict import Hypothesis, JudgedHypothesis, Verdict
from divsyn_jax.study.study_file import Outcome

DEFAULT = ("predicts", "null_control", "paper")
_CLAIMS = {claim.id: claim for claim in PAPER_CLAIMS}
_KNOWN = (*DEFAULT, "factors", *_CLAIMS)


def _correlates(evidence: Evidence, metric: str | None = None, outcome: str = "") -> Verdict:
    found = evidence.outcome(outcome) if outcome else evidence.outcomes[0]
    return correlates(evidence, found, metric)


def _better(evidence: Evidence, more: str, less: str, stage: str = "pretrain") -> Verdict:
    return joined(better(evidence, more, less, stage))


def _ordered(evidence: Evidence, levels: Sequence[str]) -> Verdict:
    return ordered(evidence, levels)


# By name: the test, the arguments it needs, and those it may be given.
_TESTS: dict[str, tuple[Callable[..., Verdict], frozenset[str], frozenset[str]]] = {
    "correlates": (_correlates, frozenset(), frozenset({"metric", "outcome"})),
    "ordered": (_ordered, frozenset({"levels"}), frozenset()),
    "better": (_better, frozenset({"more", "less"}), frozenset({"stage"})),
}


def judge_hypotheses(evidence: Evidence) -> list[JudgedHypothesis]:
    """Every hypothesis of the study's recipe with its verdict, in the recipe's order."""
    found = listed(evidence.recipe, evidence.outcomes)
    return [hypothesis.judge(evidence) for hypothesis in found]


def listed(recipe: Mapping[str, Any], outcomes: Sequence[Outcome]) -> list[Hypothesis]:
    """The hypotheses that a recipe lists, all known ones where it lists none (as in 0.1.0).

    Raises `UserError` for one that is not known, that lacks something, or whose id is taken."""
    found: list[Hypothesis] = []
    for place, entry in enumerate(recipe.get("hypotheses", DEFAULT)):
        found += _of(entry, f"config.hypotheses[{place}]", recipe, outcomes)
    for hypothesis in found:
        if sum(other.id == hypothesis.id for other in found) > 1:
            raise UserError(
                f"config.hypotheses: two are called {hypothesis.id!r}; list each once, or give one"
                " another id"
            )
    return found


def _of(
    entry: Any, place: str, recipe: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> Iterable[Hypothesis]:
    if isinstance(entry, Mapping):
        return [_own(entry, place)]
    if entry == "predicts":
        return predictions(outcomes)
    if entry == "null_control":
        return [null_control(*recipe["null_control"])] if recipe["null_control"] else []
    if entry == "factors":
        return factor_hypotheses(recipe)
    if entry == "paper":
        return PAPER_CLAIMS
    if entry in _CLAIMS:
        return [_CLAIMS[entry]]
    if isinstance(entry, str) and ":" in entry:
        return _imported(entry, place)
    raise UserError(
        f"{place}: {entry!r} is no hypothesis; known are {', '.join(_KNOWN)}, 'module:NAME', or"
        " a value with id, statement and test"
    )


def _own(entry: Mapping[str, Any], place: str) -> Hypothesis:
    for key in ("id", "statement", "test"):
        if not isinstance(entry.get(key), str):
            raise UserError(f"{place}.{key}: missing; give id, statement and test, as text")
    if entry["test"] not in _TESTS:
        raise UserError(f"{place}.test: {entry['test']!r} is none of {', '.join(_TESTS)}")
    test, needed, allowed = _TESTS[entry["test"]]
    arguments = {
        key: value for key, value in entry.items() if key not in ("id", "statement", "test")
    }
    if lacking := sorted(needed - set(arguments)):
        raise UserError(f"{place}.{lacking[0]}: missing; test {entry['test']!r} needs it")
    if unknown := sorted(set(arguments) - needed - allowed):
        known = ", ".join(sorted(needed | allowed))
        raise UserError(f"{place}.{unknown[0]}: unknown key; {entry['test']!r} takes {known}")
    return Hypothesis(
        entry["id"], "recipe", entry["statement"], lambda evidence: test(evidence, **arguments)
    )


def _imported(entry: str, place: str) -> Iterable[Hypothesis]:
    module, _, name = entry.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{place}: {entry!r} cannot be imported ({error})") from None
    several = [found] if isinstance(found, Hypothesis) else found
    if not isinstance(several, Sequence) or not all(
        isinstance(each, Hypothesis) for each in several
    ):
        raise UserError(f"{place}: {entry!r} holds something that is no Hypothesis")
    return several
