"""grades.json: its structure, its one writer and its one reader."""

import pathlib
from typing import Any, NotRequired, TypedDict

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.typed_json import as_typed

GRADES_FORMAT = 1


class Grade(TypedDict):
    """One property of a metric as a number, or the reason why it was not measured."""

    value: float | None
    reason: NotRequired[str]


class OrderGrade(Grade):
    """`value`: mean over ladders of Spearman's correlation of the metric, turned so that more is
    more diverse, with the known order; `worst`: the lowest of them."""

    worst: NotRequired[float]
    ladders: NotRequired[dict[str, float]]


class CountGrade(Grade):
    """`value`: median over corpora of |ln(value / known number of kinds)|."""

    largest: NotRequired[float]
    corpora: NotRequired[dict[str, list[float]]]  # the metric's value and the known number


class ResponseGrade(Grade):
    """`shares`: of the variance between factorial corpora that each factor carries, with
    `interactions` and `rest`; `value`, the discriminant share: the largest share of a factor, that
    of `sees`. `scale`: log2 or linear."""

    sees: NotRequired[str]
    shares: NotRequired[dict[str, float]]
    effects: NotRequired[dict[str, float]]
    scale: NotRequired[str]


class PeopleGrade(Grade):
    """`value`: mean over groups of tasks of Spearman's correlation with people's scores of sets;
    `sets`: how many have a value."""

    groups: NotRequired[dict[str, float]]
    sets: NotRequired[int]


class InvarianceGrade(Grade):
    """Shifts in steps: the difference that the metric makes between a narrow and a broad corpus is
    1. `half`, `double`: samples of half and twice the size. `shorter`: documents cut to half their
    words. `shuffled`: other orders. All four: the larger of both corpora, without sign; `value` is
    the largest. `copies`: what copies of half the documents, added to them, do; positive raises
    it."""

    half: NotRequired[float]
    double: NotRequired[float]
    shorter: NotRequired[float]
    shuffled: NotRequired[float]
    copies: NotRequired[float]


class CostGrade(Grade):
    """`value`: CPU-seconds over those of gzip on the same documents; `cpu_seconds`: for 1,000
    documents, embedding them included where `embeds`."""

    cpu_seconds: NotRequired[float]
    embedding_cpu_seconds: NotRequired[float]
    gzip_cpu_seconds: NotRequired[float]
    embeds: NotRequired[bool]


class TrainingGrade(Grade):
    """`value`: Pearson's r over the corpora of a study of the metric with performance, both turned
    so that more is more diverse, and better."""

    outcome: NotRequired[str]
    ci_low: NotRequired[float | None]
    ci_high: NotRequired[float | None]
    p: NotRequired[float | None]
    n: NotRequired[int]
    critical: NotRequired[float | None]


class MetricGrades(TypedDict):
    """All grades of a metric."""

    metric: str
    source: str
    direction: str
    effective_number: bool
    order: OrderGrade
    count: CountGrade
    response: ResponseGrade
    people: PeopleGrade
    invariance: InvarianceGrade
    cost: CostGrade
    training: TrainingGrade


class Grades(TypedDict):
    """The content of grades.json."""

    format: int
    settings: dict[str, Any]
    embedding_model: str | None
    metrics: list[MetricGrades]


def write_grades(grades: Grades, path: pathlib.Path) -> None:
    """Write the grades in one step."""
    files.write_json(path, grades)


def read_grades(path: pathlib.Path) -> Grades:
    """The grades that `write_grades` wrote. Raises `UserError` for a file that holds none."""
    content = files.read_object(path)
    if content.get("format") != GRADES_FORMAT:
        raise UserError(
            f"{path}: no grades of format {GRADES_FORMAT}; write them with grade_metric"
        )
    try:
        return as_typed(Grades, content)
    except ValueError as error:
        raise UserError(f"{path}: {error}; write it again with grade_metric") from None
