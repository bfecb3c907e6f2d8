"""study.json: its structure, its one writer and its one reader.

A study's results are written once, by `write`, and read back by `read`, which also takes the files
of version 0.1.0. Everything in between (correlations, hypotheses, report, figures) handles these
types, never the file.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.statistics.exchange import ExchangeRecord
from divsyn_jax.statistics.factorial import FactorialRecord
from divsyn_jax.statistics.intervals import MeanInterval, NoiseFloor
from divsyn_jax.study.hypotheses.verdict import JudgedHypothesis

FORMAT = 2  # 0.1.0 wrote no number


class MeasuredValue(TypedDict, total=False):
    """A value with its 95% interval; value None with a reason where it was not measured."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    of: str  # 'generator': the interval is for the process that wrote the corpus
    method: str | None
    warning: str | None
    reason: str | None


# The mean over the seeds of a level, with its t interval where there are two or more.
Performance = MeanInterval


class CorpusCloseness(TypedDict):
    """A corpus against every evaluation text, bits a byte; see `controls.closeness`.

    `of_evaluation`: of the text under a model of the corpus; `of_corpus`: of the corpus under a
    model of the text."""

    of_evaluation: dict[str, float]
    of_corpus: dict[str, float]


class Divergence(TypedDict):
    """How far apart the token frequencies of two corpora lie: Jensen-Shannon, bits."""

    first: str
    second: str
    divergence: float


class ChoiceMeasure(TypedDict):
    """A measure of the questions beside its control; see `controls.choices`."""

    measure: str
    size: str
    stage: str
    levels: dict[str, float]
    right: MeasuredValue
    wrong: MeasuredValue
    beyond: MeasuredValue
    knowledge: bool


class LevelRecord(TypedDict):
    """A corpus of the study: what it holds, its scores and what its models do."""

    name: str
    documents: int
    fingerprint: str
    tokens: NotRequired[int]  # that training may read, repeated documents included
    unique_tokens: int  # tokens of distinct documents, by their share of the bytes
    epochs: float  # tokens read in pre-training over `unique_tokens`
    duplicates: float  # share of documents whose text came before, white space and case aside
    near_duplicates: NotRequired[float | MeasuredValue | None]  # of the sample that was scored
    metrics: dict[str, MeasuredValue]
    controls: dict[str, float]
    performance: dict[str, Performance]
    family: NotRequired[str]
    closeness: NotRequired[CorpusCloseness]  # lacking in files of 0.1.0
    topics: NotRequired[int]
    styles: NotRequired[int]
    personas: NotRequired[int]
    temperature: NotRequired[float]
    wordings: NotRequired[int]
    formats: NotRequired[int]


class RunRecord(TypedDict):
    """A trained model after one stage."""

    size: str
    level: str
    seed: int
    stage: str
    step: int
    metrics: dict[str, float]
    curve: list[list[float]]  # [step, loss]
    seconds: float


class OutcomeRecord(TypedDict):
    """A measure of performance, as `Outcome`, with what seeds alone make of it."""

    name: str
    size: str
    stage: str
    test: str
    higher_is_better: bool
    noise_floor: NoiseFloor | None


class HeldoutRecord(TypedDict):
    """How a held-out text was chosen."""

    candidates: int
    in_training: int
    documents: int
    fingerprint: str


class ExchangeResults(TypedDict):
    """What a doubling of breadth is worth in doublings of unique text, by outcome; or why it cannot
    be said."""

    rates: dict[str, ExchangeRecord]
    reason: str | None


class OutcomeSignal(TypedDict):
    """How far an outcome tells corpora apart; see `statistics.signal_to_noise`.

    `beyond_wrong`: the ratio of what the right answer has beyond wrong ones; null where there are
    none. `counts`: both ratios are enough (`controls.signals.LEAST_SIGNAL`)."""

    outcome: str
    signal: float
    noise: float
    ratio: float | None
    by_level: dict[str, float | None]
    equal_noise_p: float | None
    beyond_wrong: float | None
    counts: bool


class PilotRecord(TypedDict):
    """How pilot seeds chose the primary outcome: before, and apart from, the study's own seeds."""

    seeds: list[int]
    rule: str
    primary: str
    signals: list[OutcomeSignal]


class OutcomeEffects(FactorialRecord):
    """The effects of the factors on one outcome. `detectable`: the main effect that 80% of such
    studies find, corrected for the main effects; null without an error."""

    outcome: str
    detectable: float | None


class MetricResponse(TypedDict):
    """What a metric sees: the share of its variance between corpora that each factor carries (with
    `interactions` and `rest`; null where it is the same for all), and the main effects on it, on
    its `scale` (`log2`: doublings)."""

    metric: str
    scale: str
    low: float
    high: float
    shares: dict[str, float] | None
    effects: dict[str, float]


class MetricPrediction(TypedDict):
    """Pearson's r of a metric with an outcome over the corpora of the design."""

    metric: str
    outcome: str
    scale: str
    r: float
    p: float | None
    p_holm: float | None
    n: int
    critical_r: float | None


class FactorialResults(TypedDict):
    """The factorial part of a study. `corpora`: the sign of every factor, by corpus."""

    factors: dict[str, list[Any]]
    shams: list[str]
    resolution: str
    corpora: dict[str, list[int]]
    outcomes: list[OutcomeEffects]
    responses: list[MetricResponse]
    predictions: list[MetricPrediction]


# A row of `correlations` holds what divsyn_jax.statistics found, whose functions say its keys.
CorrelationRow = dict[str, Any]


class StudyResults(TypedDict):
    """The content of study.json."""

    format: int
    name: str
    kind: str
    fingerprint: str
    recipe: Mapping[str, Any]
    agent: Mapping[str, Any]
    score_settings: Mapping[str, Any]
    primary_metric: str
    primary_domain: str
    primary_outcome: str
    outcomes: list[OutcomeRecord]
    levels: list[LevelRecord]
    runs: list[RunRecord]
    heldout: dict[str, HeldoutRecord]
    correlations: list[CorrelationRow]
    verdicts: list[JudgedHypothesis]
    held_equal: list[str]
    not_held_equal: list[str]
    environment: dict[str, Any]
    advice: NotRequired[list[str]]  # given before training; lacking in files of 0.1.0
    divergences: NotRequired[list[Divergence]]
    choice_measures: NotRequired[list[ChoiceMeasure]]
    exchange: NotRequired[ExchangeResults]  # of levels with `unique_tokens`
    signals: NotRequired[list[OutcomeSignal]]
    pilot: NotRequired[PilotRecord]
    factorial: NotRequired[FactorialResults]  # of a recipe with factors


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One measure of performance: a test, after a stage, at a size.

    Attributes:
      name: [size/][sft/]test, the `performance` of a correlation.
      size, stage: which run directory it is read from.
      test: `<domain>/bits_per_byte` or `tasks/mean`.
      higher_is_better: False for bits per byte.
    """

    name: str
    size: str
    stage: str
    test: str
    higher_is_better: bool


def write(study: StudyResults, path: pathlib.Path) -> None:
    """Write the results in one step."""
    files.write_json(path, {**study, "verdicts": [each.to_json() for each in study["verdicts"]]})


def read_study(path: pathlib.Path) -> StudyResults:
    """The results that `write` wrote, or version 0.1.0 did.

    Raises `UserError` for a file that holds no results of a study."""
    content = files.read_json(path)
    lacking = [key for key in StudyResults.__required_keys__ - {"format"} if key not in content]
    if lacking:
        raise UserError(
            f"{path}: no results of a study ({sorted(lacking)[0]!r} is missing); write them with"
            " python -m divsyn_jax.study ... --part=report"
        )
    verdicts = [JudgedHypothesis.from_json(each) for each in content["verdicts"]]
    found: Any = {**content, "format": content.get("format", 1), "verdicts": verdicts}
    return found


def values_by_seed(runs: Sequence[RunRecord], level: str, outcome: Outcome) -> list[float]:
    """The outcome of every run of a level."""
    of = (level, outcome.size, outcome.stage)
    return [
        run["metrics"][f"eval/{outcome.test}"]
        for run in runs
        if (run["level"], run["size"], run["stage"]) == of
    ]
