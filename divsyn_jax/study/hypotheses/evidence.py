"""What hypotheses are judged on, and the comparisons that several of them make."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.hypotheses.verdict import Kind, NotTestable, Verdict
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.study_file import CorrelationRow, FactorialResults, LevelRecord, Outcome


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The records of study.json and the per-item results.

    Attributes:
      recipe: the resolved study recipe.
      levels, outcomes, correlations: as in study.json; the first outcome is the primary one.
      items: by outcome and level, one entry a test; None for an outcome without them.
      primary_metric: the metric that performance is set against first.
      factorial: the effects of the factors, of a study that has them.
    """

    recipe: Mapping[str, Any]
    levels: Sequence[LevelRecord]
    outcomes: Sequence[Outcome]
    items: Mapping[str, Mapping[str, Sequence[ItemScores]] | None]
    correlations: Sequence[CorrelationRow]
    primary_metric: str
    factorial: FactorialResults | None = None

    def level(self, name: str) -> LevelRecord:
        """The record of a level. Raises `NotTestable` where the study has none of that name."""
        for level in self.levels:
            if level["name"] == name:
                return level
        raise NotTestable(f"the study has no level {name}")

    def score(self, name: str) -> tuple[float, float, float]:
        """The primary metric of a level: value and the ends of its interval.

        Raises `NotTestable` for a level that is not there or has no such interval."""
        found = self.level(name)["metrics"][self.primary_metric]
        value, low, high = found["value"], found.get("ci_low"), found.get("ci_high")
        if value is None or low is None or high is None:
            raise NotTestable(f"no interval for the score of {name}")
        return value, low, high

    def outcomes_of(self, stage: str) -> list[Outcome]:
        """The first outcome of a stage at each size.

        Raises `NotTestable` where the study has no such stage."""
        found: dict[str, Outcome] = {}
        for outcome in self.outcomes:
            if outcome.stage == stage:
                found.setdefault(outcome.size, outcome)
        if not found:
            raise NotTestable(f"the study has no {stage} stage")
        return list(found.values())

    def outcome(self, name: str) -> Outcome:
        """An outcome by its name. Raises `NotTestable` where the study has none of that name."""
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise NotTestable(f"the study has no outcome {name}")

    def row(self, outcome: str, metric: str | None = None) -> CorrelationRow:
        """The correlation of a metric (the primary one) with an outcome.

        Raises `NotTestable` where the study has no such metric."""
        wanted = (metric or self.primary_metric, outcome)
        for row in self.correlations:
            if (row["metric"], row["performance"]) == wanted:
                return row
        raise NotTestable(f"the study has no metric {wanted[0]}")


@dataclasses.dataclass(frozen=True)
class StudyPart:
    """One comparison of a claim: `value` is positive where it goes as claimed."""

    value: float
    ci_low: float
    ci_high: float
    text: str


def joined(parts: Iterable[StudyPart]) -> Verdict:
    """Intersection-union: supported where every part is (each part at 5%)."""
    parts = list(parts)
    reason = "; ".join(
        f"{part.text} {part.value:+z.3g} [{part.ci_low:+z.3g}, {part.ci_high:+z.3g}]"
        for part in parts
    )
    if any(part.ci_high < 0 for part in parts):
        return Verdict(Kind.NOT_SUPPORTED, reason)
    supported = all(part.ci_low > 0 for part in parts)
    return Verdict(Kind.SUPPORTED if supported else Kind.CANNOT_TELL, reason)


def more_diverse(evidence: Evidence, more: str, less: str) -> StudyPart:
    """log2 of the primary metric of one level less that of another.

    Raises `NotTestable` where a score has no interval."""
    one, other = (evidence.level(name)["metrics"][evidence.primary_metric] for name in (more, less))
    errors = [statistics.standard_error(estimate, log2=True) for estimate in (one, other)]
    if errors[0] is None or errors[1] is None or not one["value"] or not other["value"]:
        raise NotTestable(f"no interval for the scores of {more} and {less}")
    value, half = math.log2(one["value"] / other["value"]), 1.96 * math.hypot(errors[0], errors[1])
    return StudyPart(value, value - half, value + half, f"log2 clusters {more} - {less}")


def better(evidence: Evidence, more: str, less: str, stage: str = "pretrain") -> list[StudyPart]:
    """Performance of one level less that of another at every size, positive where the first is
    better.

    Raises `NotTestable` for a level or stage that is not there, one seed, or no per-item results.
    """
    for name in (more, less):
        evidence.level(name)
    parts = []
    for outcome in evidence.outcomes_of(stage):
        sign = 1 if outcome.higher_is_better else -1
        items = evidence.items[outcome.name]
        if items is None:
            raise NotTestable(f"{outcome_label(outcome.name)} has no per-item results")
        parts.append(
            _difference(
                items[less], items[more], sign, f"{outcome_label(outcome.name)} {more} over {less}"
            )
        )
    return parts


def _difference(
    one: Sequence[ItemScores], two: Sequence[ItemScores], sign: int, text: str
) -> StudyPart:
    """`two` less `one`, times `sign`, with its interval over items and seeds.

    Raises `NotTestable` where there is one seed: an interval over items alone is one of two runs,
    not of two corpora."""
    found = statistics.paired_difference(one, two)
    if "seeds" not in found["over"]:
        raise NotTestable("one seed: a difference of two runs says nothing about their corpora")
    low, high = sorted((sign * found["ci_low"], sign * found["ci_high"]))
    return StudyPart(sign * found["value"], low, high, text)


def ordered(evidence: Evidence, names: Sequence[str]) -> Verdict:
    """Each level is more diverse and better than the next."""
    parts = []
    for more, less in itertools.pairwise(names):
        parts += [more_diverse(evidence, more, less), *better(evidence, more, less)]
    return joined(parts)


def shared_corpora(levels: Sequence[LevelRecord]) -> str | None:
    """Why no correlation can be taken over these levels, None where each has a corpus of its own.

    Levels of one corpus (mixed otherwise, say) are one point of diversity, whatever else sets them
    apart."""
    corpora = len({level["fingerprint"] for level in levels})
    if corpora == len(levels):
        return None
    return (
        f"the study has {corpora} corpora in {len(levels)} levels, and the unit of a correlation is"
        " the corpus"
    )
