"""Everything a study found, from the files of its runs and scores: the content of study.json."""

import dataclasses
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.base import files, recipes
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity.comparison import Comparison, Measurement, read_comparison
from divsyn_jax.diversity.score_file import read_score
from divsyn_jax.diversity.score_records import Score
from divsyn_jax.study import study_file, texts
from divsyn_jax.study.controls.advice import read_advice
from divsyn_jax.study.controls.choices import choice_measures
from divsyn_jax.study.controls.closeness import read_closeness, unlike
from divsyn_jax.study.controls.held_equal import held_equal
from divsyn_jax.study.controls.signals import outcome_signals, record_pilot
from divsyn_jax.study.correlations import CORRELATED_METRICS, PRIMARY_METRIC, correlations
from divsyn_jax.study.exchange_rates import exchange_results
from divsyn_jax.study.factorial.effects import factorial_results
from divsyn_jax.study.hypotheses import listed
from divsyn_jax.study.hypotheses.evidence import Evidence
from divsyn_jax.study.identity import study_fingerprint
from divsyn_jax.study.outcomes import items_of, outcomes, value_of_test
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.study_file import (
    LevelRecord,
    MeasuredValue,
    Outcome,
    OutcomeRecord,
    RunRecord,
    StudyResults,
    values_by_seed,
)


def collect(study: Study) -> StudyResults:
    """The content of study.json. Every run must be finished."""
    recipe = study.recipe
    pilot = record_pilot(study)
    comparison = read_comparison(study.workdir / "scores" / "comparison.json")
    runs = [
        _run_record(study, run, stage) for stage in study.compared_stages for run in study.measured
    ]
    measured = outcomes(study)
    levels = [_level_record(study, level, comparison, runs, measured) for level in recipe["levels"]]
    closeness = read_closeness(study)
    for level in levels:
        level["closeness"] = closeness["corpora"][level["name"]]
    items = {outcome.name: items_of(study, outcome) for outcome in measured}
    families = {level["name"]: level.get("family", "") for level in recipe["levels"]}
    rows = correlations(recipe, levels, measured, bool(unlike(closeness, families)))
    first = study.run_dir(study.runs[0])
    environment = files.read_json(first / "environment.json")
    configs = {
        size: files.read_json(
            study.run_dir(dataclasses.replace(study.runs[0], size=size), study.compared_stages[0])
            / "config.json"
        )
        for size in study.sizes
    }
    equal, unequal = held_equal(recipe, configs, levels, runs)
    factorial = (
        factorial_results(recipe, runs, measured, comparison) if recipe.get("factors") else None
    )
    evidence = Evidence(recipe, levels, measured, items, rows, PRIMARY_METRIC, factorial)
    found: StudyResults = {
        "format": study_file.FORMAT,
        "name": recipe["name"],
        "kind": recipe["kind"],
        "fingerprint": study_fingerprint(recipe),
        "recipe": recipe,
        "agent": comparison["agent"],
        "score_settings": comparison["settings"],
        "primary_metric": PRIMARY_METRIC,
        "primary_domain": next(iter(recipe["heldout"])),
        "primary_outcome": measured[0].name,
        "outcomes": [
            OutcomeRecord(
                name=outcome.name,
                size=outcome.size,
                stage=outcome.stage,
                test=outcome.test,
                higher_is_better=outcome.higher_is_better,
                noise_floor=statistics.noise_floor(
                    [values_by_seed(runs, level, outcome) for level in study.level_names]
                ),
            )
            for outcome in measured
        ],
        "levels": levels,
        "runs": runs,
        "heldout": files.read_json(study.workdir / "heldout" / "heldout.json"),
        "correlations": rows,
        "verdicts": listed.judge_hypotheses(evidence),
        "held_equal": equal,
        "not_held_equal": unequal,
        "environment": {
            "commit": _commit(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            **environment,
        },
        "advice": read_advice(study),
        "divergences": closeness["divergences"],
        "choice_measures": choice_measures(study, levels),
        "signals": outcome_signals(study, recipe["seeds"]),
    }
    exchange = exchange_results(recipe, levels, measured)
    if exchange is not None:
        found["exchange"] = exchange
    if factorial is not None:
        found["factorial"] = factorial
    if pilot is not None:
        found["pilot"] = pilot
    return found


def _level_record(
    study: Study,
    level: Mapping[str, Any],
    comparison: Comparison,
    runs: Sequence[RunRecord],
    measured: Sequence[Outcome],
) -> LevelRecord:
    name = level["name"]
    score = read_score(study.workdir / "scores" / name)
    manifest = files.read_json(study.workdir / "shards" / name / "manifest.json")
    mine = [run for run in runs if run["level"] == name]
    metrics = {
        metric: _metric(metric, score, comparison["metrics"][metric][name])
        for metric in CORRELATED_METRICS
    }
    text = texts.distinct_text(study.workdir / "shards" / name, study.corpus(level), study.options)
    share = text["distinct_bytes"] / text["bytes"] if text["bytes"] else 1.0
    held = min(manifest["tokens"], level.get("unique_tokens", manifest["tokens"]))
    distinct = round(held * share)
    epochs = mine[0]["metrics"].get("epochs/synthetic", 0.0) / (share or 1.0)
    record: LevelRecord = {
        "name": name,
        "documents": score["corpus"]["documents"],
        "fingerprint": score["corpus"]["fingerprint"],
        "tokens": held,
        "unique_tokens": distinct,
        "epochs": epochs,
        "duplicates": 1 - text["distinct_documents"] / max(text["documents"], 1),
        "near_duplicates": score["duplicates"].get("near"),
        "metrics": metrics,
        "controls": {
            "length": manifest["tokens"] / max(text["documents"], 1),
            "unique_tokens": float(distinct),
            "repetition": epochs,
            "bytes_per_token": text["bytes"] / max(manifest["tokens"], 1),
        },
        "performance": {
            outcome.name: statistics.mean_interval(values_by_seed(runs, name, outcome))
            for outcome in measured
        },
    }
    for key in (*("topics", "styles", "personas", "wordings", "formats", "temperature", "family"),):
        if key in level:
            record[key] = level[key]
    return record


def _metric(metric: str, score: Score, estimate: Measurement) -> MeasuredValue:
    """A score with the interval for the process that wrote the corpus, where there is one:

    a level is such a process.
    """
    own = score.get(metric)
    if not isinstance(own, Mapping) or own.get("generator_ci_low") is None:
        return as_typed(MeasuredValue, estimate)
    return {
        "value": own["value"],
        "ci_low": own["generator_ci_low"],
        "ci_high": own["generator_ci_high"],
        "of": "generator",
    }


def _run_record(study: Study, run: Run, stage: str) -> RunRecord:
    workdir = study.run_dir(run, stage)
    lines = files.read_jsonl(workdir / "metrics.jsonl")
    last = lines[-1]
    metrics = {key: value for key, value in last.items() if key.startswith(("share/", "epochs/"))}
    evaluated = files.read_json(workdir / "eval.json")
    for name, domain in evaluated["domains"].items():
        metrics[f"eval/{name}/bits_per_byte"] = domain["bits_per_byte"]
        metrics[f"eval/{name}/loss"] = domain["loss"]
    if study.recipe["tasks"]:
        values = {name: task["value"] for name, task in evaluated["tasks"].items()}
        metrics.update({f"eval/tasks/{name}": value for name, value in values.items()})
        metrics["eval/tasks/mean"] = sum(values.values()) / len(values)
    for key in study.recipe.get("outcomes", ()):
        metrics[f"eval/tasks/{key}"] = value_of_test(workdir, f"tasks/{key}")
    curve = _curve([line for line in lines if "loss" in line])  # a skipped step may have none
    return {
        "size": run.size,
        "level": run.level,
        "seed": run.seed,
        "stage": stage,
        "step": last["step"],
        "metrics": {"train_loss": curve[-1][1], **metrics},
        "curve": curve,
        "seconds": sum(line["seconds"] for line in lines),
    }


def _curve(lines: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """At most 100 points [step, loss] of the lines of metrics.jsonl, each the mean loss since the
    one before.
    """
    stride = -(-len(lines) // 100)
    parts = [lines[start : start + stride] for start in range(0, len(lines), stride)]
    return [[part[-1]["step"], sum(line["loss"] for line in part) / len(part)] for part in parts]


def _commit() -> str | None:
    """Commit of the code, with '+' where the tree was changed; None outside its repository."""
    if not recipes.is_clone():
        return None
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=recipes.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
