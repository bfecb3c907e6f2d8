"""What a study should be told before it trains: whether it can decide anything, and what besides
diversity sets its corpora apart.

Printed before any training starts, kept in advice.json and shown on the page: of the recipe alone
at once, of the texts when they are prepared."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.base import files
from divsyn_jax.statistics.association import RIVAL_RANGE
from divsyn_jax.study.controls.closeness import (
    TASKS,
    UNLIKE_DIVERGENCE,
    Closeness,
    read_closeness,
    unlike,
)
from divsyn_jax.study.outcomes import outcomes
from divsyn_jax.study.recipe import Study
from divsyn_jax.study.texts import TextAmount, distinct_text

# Fewer residual degrees of freedom than three decide nothing; one family leaves n - 2.
_LEAST_CORPORA = 5


def read_advice(study: Study) -> list[str]:
    """What the study was told before it trained, or would have been where it was not."""
    record = study.workdir / "advice.json"
    if not record.exists():
        write_advice(study, ())
    found: list[str] = files.read_json(record)
    return found


def write_advice(study: Study, arguments: Sequence[str]) -> list[str]:
    """Take the advice, write it, and return it; `arguments`: of the study's command.

    What is said of the texts is lacking until they are prepared."""
    found = of_numbers(study, arguments)
    if (study.workdir / "tokenizer").exists():
        shards = study.workdir / "shards"
        amounts = {
            level["name"]: distinct_text(shards / level["name"], study.corpus(level), study.options)
            for level in study.recipe["levels"]
        }
        found += of_texts(study.recipe, read_closeness(study), amounts)
    files.write_json(study.workdir / "advice.json", found)
    return found


def of_numbers(study: Study, arguments: Sequence[str]) -> list[str]:
    """Whether so many corpora and seeds can decide anything, and the effect that they can see."""
    recipe = study.recipe
    if not _asks_for_a_correlation(recipe):
        return []
    used = [level for level in recipe["levels"] if level["name"] not in recipe["null_control"][1:]]
    distinct = {level.get("fingerprint") or str(sorted(level.items())) for level in used}
    if len(distinct) < len(used):
        return []  # the study asks something else of fewer corpora, and its report says so
    n, families = len(used), len({level.get("family", "") for level in used})
    least = _LEAST_CORPORA + families - 1
    tests = len(outcomes(study))
    found = []
    if n < least:
        within = f" in {families} families" if families > 1 else ""
        standing = "no interval of a correlation" if n < 4 else "a description alone"
        found.append(
            f"{n} corpora{within} decide nothing about diversity: they give {standing}, whatever is"
            f" measured. {least} are the least{within}, and they find a true |r| of"
            f" {_detectable(least, families, 1)} in 80% of such studies; {2 * least} find"
            f" {_detectable(2 * least, families, 1)}. {_remedy(least - n, arguments)}"
        )
    else:
        needed = statistics.critical_r(n, families - 1)
        several = (
            f" (one of {tests} outcomes alone, which is tested at 5%/{tests}:"
            f" {_detectable(n, families, tests)})"
            if tests > 1
            else ""
        )
        found.append(
            f"{n} corpora decide what shows at |r| = {needed:.2f} or more: they find a true |r| of"
            f" {_detectable(n, families, 1)} in 80% of such studies{several}"
        )
    if len(recipe["seeds"]) < 2:
        found.append(
            "one seed leaves unknown what two runs on one corpus differ by; add seeds:"
            " --config.seeds='(0, 1, 2)'"
        )
    return found


def of_texts(
    recipe: Mapping[str, Any], closeness: Closeness, amounts: Mapping[str, TextAmount]
) -> list[str]:
    """What the texts have against a comparison by diversity alone."""
    families = {level["name"]: level.get("family", "") for level in recipe["levels"]}
    far = unlike(closeness, families)
    found = []
    if far and recipe["kind"] != "positive_control":
        pair = far[0]
        found.append(
            f"the corpora are of unlike kinds, {pair['first']} and {pair['second']} the most (their"
            f" token frequencies diverge by {pair['divergence']:.2f} bits; corpora of one kind stay"
            f" under {UNLIKE_DIVERGENCE}): which of them does best on a text says which suits it,"
            " not what diversity does. Compare corpora of one kind, or give each level of a recipe"
            " its `family`"
        )
    found += _nearness(closeness)
    sizes = {name: amount["distinct_bytes"] for name, amount in amounts.items()}
    low, high = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if sizes[high] > (1 + RIVAL_RANGE) * sizes[low] and not recipe["equal_text"]:
        found.append(
            f"the corpora hold {sizes[low]:,} ({low}) to {sizes[high]:,} ({high}) bytes of distinct"
            " text, so that equal training repeats them unequally; cut them to equal text with"
            " --config.equal_text=True"
        )
    return found


def _nearness(closeness: Closeness) -> list[str]:
    """Evaluation texts that are near one corpus."""
    found = []
    for domain in next(iter(closeness["corpora"].values()))["of_evaluation"]:
        bits = sorted(
            (each["of_evaluation"][domain], name) for name, each in closeness["corpora"].items()
        )
        if bits[1][0] > (1 + RIVAL_RANGE) * bits[0][0]:
            what = "the questions are" if domain == TASKS else f"evaluation text {domain} is"
            found.append(
                f"{what} near {bits[0][1]}: {bits[0][0]:.2f} bits a byte under an n-gram model of"
                f" it, {bits[1][0]:.2f} to {bits[-1][0]:.2f} under the others"
            )
    return found


def _asks_for_a_correlation(recipe: Mapping[str, Any]) -> bool:
    """Whether a hypothesis of the recipe is about a correlation with diversity."""
    asked = recipe.get("hypotheses", ("predicts",))
    return any(
        entry == "predicts" or (isinstance(entry, Mapping) and entry.get("test") == "correlates")
        for entry in asked
    )


def _detectable(n: int, families: int, tests: int) -> str:
    found = statistics.detectable_r(n, families - 1, tests)
    return "none" if found is None else f"{found:.2f}"


def _remedy(lacking: int, arguments: Sequence[str]) -> str:
    """The command that adds the corpora that lack."""
    if not arguments:
        return f"Repeat the study's command with {lacking} or more added to --corpora"
    more = " ".join(f"ANOTHER_{index}.jsonl" for index in range(1, lacking + 1))
    given = [re.sub("^-+", "--", argument) for argument in arguments]
    place = next((i for i, each in enumerate(given) if re.match("--corpora(=|$)", each)), None)
    if place is None:
        given.append(f"--corpora={more}")
    else:
        if given[place] == "--corpora" and place + 1 < len(given):
            given[place] += f"={given.pop(place + 1)}"
        given[place] = f"{given[place]} {more}"
    return f"Add {lacking} or more: {shlex.join(['python', '-m', 'divsyn_jax.study', *given])}"
