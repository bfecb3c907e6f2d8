"""What scoring from Python gives:

the content of score.json and comparison.json, to read and show.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import Html, markup, number, p_equals, table
from divsyn_jax.diversity.comparison import COMPARED, Comparison, Measurement, measurement
from divsyn_jax.diversity.reporting.answer import comparable
from divsyn_jax.diversity.score_records import Score

if TYPE_CHECKING:
    import pandas

_LEVEL = 0.05  # of the Holm-corrected p value below which two corpora are told apart
_HEADLINE = "effective_clusters"
_SHORT = {metric.rpartition(".")[2]: metric for metric in COMPARED if "duplicates" not in metric}
_ATTRIBUTES = {
    **_SHORT,
    "exact_duplicates": "duplicates.exact",
    "near_duplicates": "duplicates.near",
}


@dataclasses.dataclass(frozen=True)
class MetricValue:
    """One metric of a corpus.

    Attributes:
      value: the number; None where it could not be had.
      low: lower end of its 95% interval; None without one.
      high: upper end of it.
      note: how the interval was made, or why there is no number.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str | None = None

    def __float__(self) -> float:
        if self.value is None:
            raise ValueError(self.note or "there is no value")
        return float(self.value)

    def __str__(self) -> str:
        if self.value is None:
            return f"- ({self.note})"
        ends = [number(end) for end in (self.low, self.high) if end is not None]
        return number(self.value) + (f" [{', '.join(ends)}]" if ends else "")


class ScoredCorpus(dict[str, Any]):
    """The score of one corpus: a dictionary with the content of score.json, whose metrics are also
    attributes (`.effective_clusters.value`, `.low`, `.high`; tab completion lists them).
    """

    def __init__(self, score: Score | Mapping[str, Any]) -> None:
        super().__init__(score)

    @property
    def name(self) -> str:
        """The corpus's name."""
        return str(self["corpus"]["name"])

    @property
    def documents(self) -> int:
        """Documents in the corpus."""
        return int(self["corpus"]["documents"])

    @property
    def effective_clusters(self) -> MetricValue:
        """The headline with its 95% interval; `["effective_clusters"]` says how it is made."""
        return _value(measurement(self, _HEADLINE))  # type: ignore[arg-type]

    @property
    def cluster_score(self) -> MetricValue:
        """C/S of Chen et al. 2024 (arXiv 2410.15226), with its 95% interval."""
        return _value(measurement(self, "cluster_score"))  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> MetricValue:
        if name in _ATTRIBUTES:
            return _value(measurement(self, _ATTRIBUTES[name]))  # type: ignore[arg-type]
        raise AttributeError(f"a score has no {name!r}; it has {', '.join(_ATTRIBUTES)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_ATTRIBUTES]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, {self.documents:,} documents,"
            f" effective_clusters={self.effective_clusters})"
        )

    def to_dict(self) -> dict[str, Any]:
        """A copy of the content of score.json."""
        return copy.deepcopy(dict(self))

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each metric: value, low, high, meaning. Raises `UserError` without pandas."""
        rows = {
            metric: {**_columns(measurement(self, metric)), "meaning": meaning}  # type: ignore[arg-type]
            for metric, meaning in COMPARED.items()
        }
        return _pandas().DataFrame.from_dict(rows, orient="index").rename_axis("metric")

    def _repr_html_(self) -> str:
        heading = markup("<p><b>{}</b>, {} documents</p>", self.name, number(self.documents))
        rows = [
            [metric, str(value), COMPARED[metric]]
            for metric in COMPARED
            for value in [_value(measurement(self, metric))]  # type: ignore[arg-type]
            if value.value is not None
        ]
        return Html(heading + table(["metric", "value [95% interval]", "meaning"], rows))


class ComparedCorpora(dict[str, Any]):
    """Several corpora compared: a dictionary with the content of comparison.json.

    Attributes: scores: the score of each, by name.
    """

    def __init__(self, compared: Comparison, scores: Mapping[str, ScoredCorpus]) -> None:
        super().__init__(compared)
        self.scores = dict(scores)

    @property
    def verdict(self) -> str:
        """Which corpus is the more diverse, in words, with ratio and certainty."""
        shown = {name: str(_value(each)) for name, each in self["metrics"][_HEADLINE].items()}
        tests = [row for row in self["differences"] if row["metric"] == _HEADLINE]
        if len(shown) == 1:
            ((name, value),) = shown.items()
            return f"{name}: {value} effective clusters."
        # Samples of different sizes are compared at the size of the smallest.
        values, of_each = comparable([self.scores[name] for name in shown])  # type: ignore[misc]
        if of_each:
            shown = {name: number(value) for name, value in values.items()}
        said = [self._of_pair(row, values, shown, of_each) for row in tests]
        if len(values) == 2:
            return " ".join(said)
        ranked = sorted(values, key=lambda name: values[name])
        order = " < ".join(f"{name} ({number(values[name])})" for name in ranked)
        return " ".join([f"From least to most diverse by effective clusters: {order}.", *said])

    def _of_pair(
        self,
        row: Mapping[str, Any],
        values: Mapping[str, float],
        shown: Mapping[str, str],
        of_each: str,
    ) -> str:
        first, second = row["first"], row["second"]
        if row["difference"] is None:
            return f"{first} and {second} are not compared: {row['reason']}."
        p = row["p_value_holm"]
        if p is None or p >= _LEVEL:
            return (
                f"{first} and {second} are not told apart: {shown[first]} and {shown[second]}"
                f" effective clusters{of_each} (Holm-corrected {p_equals(p)})."
            )
        # More pairs of one cluster are less diversity.
        rises = (row["difference"] > 0) != (row["statistic"] == "pair_share")
        more, less = (second, first) if rises else (first, second)
        ends = [row.get("ratio_ci_low"), row.get("ratio_ci_high")]
        known = [end if rises else 1 / end for end in ends if end]
        bounds = f" [{number(min(known))}, {number(max(known))}]" if len(known) == 2 else ""
        return (
            f"{more} is more diverse than {less}: {shown[more]} against {shown[less]} effective"
            f" clusters{of_each}, {values[more] / values[less]:.3g} times as many{bounds}"
            f" (Holm-corrected {p_equals(p)})."
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.verdict})"

    def to_dict(self) -> dict[str, Any]:
        """A copy of the content of comparison.json."""
        return copy.deepcopy(dict(self))

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each metric and corpus: value, low, high. Raises `UserError` without pandas."""
        pandas = _pandas()
        rows = {
            (metric, name): _columns(measured)
            for metric, corpora in self["metrics"].items()
            for name, measured in corpora.items()
        }
        index = pandas.MultiIndex.from_tuples(rows, names=["metric", "corpus"])
        return pandas.DataFrame(list(rows.values()), index=index)

    def _repr_html_(self) -> str:
        names = self["corpora"]
        rows = [
            [metric, *(str(_value(corpora[name])) for name in names)]
            for metric, corpora in self["metrics"].items()
            if any(measured.get("value") is not None for measured in corpora.values())
        ]
        return Html(markup("<p>{}</p>", self.verdict) + table(["metric", *names], rows))


def _value(measured: Measurement | Mapping[str, Any]) -> MetricValue:
    low, high = measured.get("ci_low"), measured.get("ci_high")
    return MetricValue(
        measured.get("value"), low, high, measured.get("reason") or measured.get("method")
    )


def _columns(measured: Measurement | Mapping[str, Any]) -> dict[str, Any]:
    value = _value(measured)
    return {"value": value.value, "low": value.low, "high": value.high}


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UserError("to_frame() needs pandas: pip install pandas") from None
    return pandas
