"""Agreement with people, who said of sets of texts how diverse they are."""

import collections
import contextlib
import pathlib
import statistics
from typing import TypedDict

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.json_text import parse_json
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.data.readers.lines import TooLong, bounded_lines
from divsyn_jax.data.readers.packed_streams import DAMAGES, open_unpacked
from divsyn_jax.grading.bench import Bench, GradedCorpus
from divsyn_jax.grading.grades import PeopleGrade
from divsyn_jax.grading.order import rank_correlation

_LEAST_SETS = 10  # of a group, for a correlation within it
_LEAST_SHARE = 0.9  # of a group's sets that a metric must have values for


class ScoredSet(TypedDict):
    """A set of texts that people scored: `human`, in the group `test` and `task`."""

    texts: list[str]
    human: float
    test: str
    task: str


def read_scored_sets(path: pathlib.Path) -> list[ScoredSet]:
    """The sets of a JSONL file, perhaps compressed.

    Raises `UserError` naming the line that is no such set, and for a file without one.
    """
    found: list[ScoredSet] = []
    try:
        with contextlib.closing(open_unpacked(str(path))) as stream:
            for number, line in enumerate(bounded_lines(stream), start=1):
                found.append(_scored_set(line, f"{path}:{number}"))
    except DAMAGES as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); fetch it again") from None
    if not found:
        raise UserError(f"{path}: holds no sets of texts")
    return found


def _scored_set(line: bytes | TooLong, where: str) -> ScoredSet:
    if isinstance(line, TooLong):
        raise UserError(f"{where}: too long for a set of texts")
    try:
        found = as_typed(ScoredSet, parse_json(line))
    except ValueError as error:
        raise UserError(
            f"{where}: no set of texts with people's score ({error}); give texts, human, test, task"
        ) from None
    if len(found["texts"]) < 2 or not any(text.strip() for text in found["texts"]):
        raise UserError(f"{where}: texts holds under two texts, or empty ones")
    return found


def agreement_with_people(bench: Bench, sets: list[ScoredSet]) -> dict[str, PeopleGrade]:
    """The grades of every metric, by name."""
    bench.embed((text for each in sets for text in each["texts"]), "people's sets")
    values = [
        bench.values(GradedCorpus(f"set {number}", each["texts"]))
        for number, each in enumerate(sets)
    ]
    members = collections.defaultdict(list)
    for index, each in enumerate(sets):
        members[f"{each['test']} {each['task']}"].append(index)
    grades: dict[str, PeopleGrade] = {}
    for metric in bench.metrics:
        sign = -1 if metric.direction == "down" else 1
        groups: dict[str, float] = {}
        with_value, reason = 0, ""
        for group, indices in members.items():
            found = {
                index: value
                for index in indices
                if (value := values[index][metric.name].value) is not None
            }
            if len(found) < max(_LEAST_SETS, _LEAST_SHARE * len(indices)):
                lacking = [index for index in indices if index not in found]
                first = values[lacking[0]][metric.name].reason if lacking else "too few sets"
                reason = f"{group}: no value for {len(lacking)} of {len(indices)} sets: {first}"
                continue
            with_value += len(found)
            human = [sets[index]["human"] for index in found]
            groups[group] = sign * rank_correlation(list(found.values()), human)
        if reason or not groups:
            grades[metric.name] = {"value": None, "reason": reason or "no groups"}
        else:
            mean = statistics.fmean(groups.values())
            grades[metric.name] = {"value": mean, "groups": groups, "sets": with_value}
    return grades
