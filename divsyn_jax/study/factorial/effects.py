"""What the factors of a study do: to every outcome, to every metric; and which metric goes with
which outcome."""

from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.diversity.comparison import Comparison
from divsyn_jax.statistics.factorial import (
    Design,
    detectable_effect,
    factorial_effects,
    variance_shares,
)
from divsyn_jax.study.factorial.cells import SHAM, SHAM_VALUES, design_of, scaled, twin_places
from divsyn_jax.study.study_file import (
    FactorialResults,
    MetricPrediction,
    MetricResponse,
    Outcome,
    OutcomeEffects,
    RunRecord,
    values_by_seed,
)


def factorial_results(
    recipe: Mapping[str, Any],
    runs: Sequence[RunRecord],
    measured: Sequence[Outcome],
    comparison: Comparison,
) -> FactorialResults:
    """The factorial part of study.json; the recipe has factors, and every run is finished."""
    design = design_of(recipe)
    names = [level["name"] for level in recipe["levels"]]
    corpora = names[: len(design.rows)]
    metrics = _metrics(comparison, corpora)
    return {
        "factors": {**recipe["factors"], SHAM: list(SHAM_VALUES)},
        "shams": list(design.shams),
        "resolution": recipe.get("resolution", "full"),
        "corpora": {name: list(row) for name, row in zip(corpora, design.rows, strict=True)},
        "outcomes": [
            _outcome_effects(outcome, runs, corpora, design, twin_places(recipe, design))
            for outcome in measured
        ],
        "responses": [_response(name, values, design) for name, values in metrics.items()],
        "predictions": _predictions(metrics, runs, corpora, measured),
    }


def _outcome_effects(
    outcome: Outcome,
    runs: Sequence[RunRecord],
    corpora: Sequence[str],
    design: Design,
    twins: Mapping[int, str],
) -> OutcomeEffects:
    found = factorial_effects(
        [values_by_seed(runs, name, outcome) for name in corpora],
        design,
        {place: values_by_seed(runs, name, outcome) for place, name in twins.items()},
    )
    sd, mains = found["error_sd"], len(design.factors)
    detectable = None
    if sd is not None:
        total = found["corpora"] * found["seeds"]
        detectable = detectable_effect(sd, total, found["degrees_of_freedom"], mains)
    return {**found, "outcome": outcome.name, "detectable": detectable}


def _metrics(comparison: Comparison, corpora: Sequence[str]) -> dict[str, list[float]]:
    """Every metric that has a value for every corpus."""
    found = {}
    for metric, by_corpus in comparison["metrics"].items():
        values = [by_corpus[name]["value"] for name in corpora]
        known = [float(value) for value in values if value is not None]
        if len(known) == len(corpora):
            found[metric] = known
    return found


def _response(metric: str, values: Sequence[float], design: Design) -> MetricResponse:
    on_scale, scale = scaled(values)
    found = factorial_effects([[value] for value in on_scale], design)
    return {
        "metric": metric,
        "scale": scale,
        "low": min(values),
        "high": max(values),
        "shares": variance_shares(on_scale, design),
        "effects": {
            effect["name"]: effect["value"] for effect in found["effects"] if effect["order"] == 1
        },
    }


def _predictions(
    metrics: Mapping[str, Sequence[float]],
    runs: Sequence[RunRecord],
    corpora: Sequence[str],
    measured: Sequence[Outcome],
) -> list[MetricPrediction]:
    """Pearson's r of every metric with every outcome over the design's corpora; p corrected by Holm
    over the metrics of an outcome."""
    found: list[MetricPrediction] = []
    for outcome in measured:
        y = [
            statistics.mean_interval(values_by_seed(runs, name, outcome))["value"]
            for name in corpora
        ]
        rows: list[MetricPrediction] = []
        for metric, values in metrics.items():
            on_scale, scale = scaled(values)
            r = statistics.pearson(on_scale, y)
            if r["estimate"] is None:
                continue
            rows.append(
                {
                    "metric": metric,
                    "outcome": outcome.name,
                    "scale": scale,
                    "r": r["estimate"],
                    "p": r["p"],
                    "p_holm": None,
                    "n": len(corpora),
                    "critical_r": r["critical"],
                }
            )
        tested = [row for row in rows if row["p"] is not None]
        for row, p in zip(
            tested, statistics.holm([row["p"] or 0.0 for row in tested]), strict=True
        ):
            row["p_holm"] = p
        found += rows
    return found
