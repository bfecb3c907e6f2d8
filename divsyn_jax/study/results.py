"""Everything a study found, from the files of its runs and scores: the content of study.json."""

import dataclasses
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax import statistics
from divsyn_jax.base import files
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.hypotheses import paper_claims as hypotheses
from divsyn_jax.study.identity import fingerprint
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.training import recipe_file

# Every metric that performance is set against; effective clusters, the primary one, on a log scale.
METRICS = (
    "effective_clusters",
    "cluster_score",
    "baselines.context_length",
    "baselines.compression_ratio",
    "baselines.ngram_diversity",
    "baselines.self_repetition",
)
PRIMARY_METRIC = METRICS[0]
# What moves together with diversity in the paper; each is held fixed in turn.
CONTROLS = ("length", "unique_tokens", "repetition")


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


def outcomes(study: Study) -> list[Outcome]:
    """Every outcome of a study; the first is the primary one."""
    tests = [f"{domain}/bits_per_byte" for domain in study.recipe["heldout"]]
    if study.recipe["tasks"]:
        tests.insert(0 if study.recipe["primary"] == "tasks" else len(tests), "tasks/mean")
    return [
        Outcome(
            "/".join(filter(None, (size, "" if stage == "pretrain" else stage, test))),
            size,
            stage,
            test,
            test == "tasks/mean",
        )
        for size in study.sizes
        for stage in study.trained_stages
        for test in tests
    ]


def collect(study: Study) -> dict[str, Any]:
    """The content of study.json. Every run must be finished."""
    recipe = study.recipe
    comparison = files.read_json(study.workdir / "scores" / "comparison.json")
    runs = [_run_record(study, run, stage) for stage in study.trained_stages for run in study.runs]
    measured = outcomes(study)
    levels = [_level_record(study, level, comparison, runs, measured) for level in recipe["levels"]]
    items = {outcome.name: _items(study, outcome) for outcome in measured}
    correlations = _correlations(recipe, levels, measured, items)
    first = study.run_dir(study.runs[0])
    environment = files.read_json(first / "environment.json")
    configs = {
        size: files.read_json(
            study.run_dir(dataclasses.replace(study.runs[0], size=size)) / "config.json"
        )
        for size in study.sizes
    }
    equal, unequal = _held_equal(recipe, configs, levels, runs)
    evidence = hypotheses.Evidence(recipe, levels, measured, items, correlations, PRIMARY_METRIC)
    return {
        "name": recipe["name"],
        "kind": recipe["kind"],
        "fingerprint": fingerprint(recipe),
        "recipe": recipe,
        "agent": comparison["agent"],
        "score_settings": comparison["settings"],
        "primary_metric": PRIMARY_METRIC,
        "primary_domain": next(iter(recipe["heldout"])),
        "primary_outcome": measured[0].name,
        "outcomes": [
            dataclasses.asdict(outcome)
            | {
                "noise_floor": statistics.noise_floor(
                    [_by_seed(runs, level, outcome) for level in study.level_names]
                )
            }
            for outcome in measured
        ],
        "levels": levels,
        "runs": runs,
        "heldout": files.read_json(study.workdir / "heldout" / "heldout.json"),
        "correlations": correlations,
        "verdicts": hypotheses.verdicts(evidence),
        "held_equal": equal,
        "not_held_equal": unequal,
        "environment": {
            "commit": _commit(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            **environment,
        },
    }


def _level_record(
    study: Study, level, comparison, runs, measured: Sequence[Outcome]
) -> dict[str, Any]:
    name = level["name"]
    score = files.read_json(study.workdir / "scores" / name / "score.json")
    manifest = files.read_json(study.workdir / "shards" / name / "manifest.json")
    mine = [run for run in runs if run["level"] == name]
    metrics = {
        metric: _metric(metric, score, comparison["metrics"][metric][name]) for metric in METRICS
    }
    epochs = mine[0]["metrics"].get("epochs/synthetic", 0.0)
    return {
        "name": name,
        **{key: level[key] for key in ("topics", "styles", "personas") if key in level},
        "documents": score["corpus"]["documents"],
        "fingerprint": score["corpus"]["fingerprint"],
        "unique_tokens": manifest["tokens"],
        "epochs": epochs,
        "duplicates": score["duplicates"]["exact"],
        "metrics": metrics,
        "controls": {
            "length": manifest["tokens"] / score["corpus"]["documents"],
            "unique_tokens": math.log2(manifest["tokens"]),
            "repetition": epochs,
        },
        "performance": {
            outcome.name: statistics.mean_interval(_by_seed(runs, name, outcome))
            for outcome in measured
        },
    }


def _by_seed(runs: Sequence[Mapping[str, Any]], level: str, outcome: Outcome) -> list[float]:
    """The outcome of every run of a level."""
    of = (level, outcome.size, outcome.stage)
    return [
        run["metrics"][f"eval/{outcome.test}"]
        for run in runs
        if (run["level"], run["size"], run["stage"]) == of
    ]


def _metric(metric: str, score: Mapping[str, Any], estimate: Mapping[str, Any]) -> dict[str, Any]:
    """A score with the interval for the process that wrote the corpus, where there is one:

    a level is such a process.
    """
    own = score.get(metric, {})
    if own.get("generator_ci_low") is None:
        return dict(estimate)
    return {
        "value": own["value"],
        "ci_low": own["generator_ci_low"],
        "ci_high": own["generator_ci_high"],
        "of": "generator",
    }


def _run_record(study: Study, run: Run, stage: str) -> dict[str, Any]:
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
    curve = _curve(lines)
    return {
        **dataclasses.asdict(run),
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


def _items(study: Study, outcome: Outcome) -> dict[str, list[ItemScores]] | None:
    """Results by document or question of every level (C = 1, seeds, items), one entry a task.

    None where a task keeps no number for each of its items (a metric over all of them).
    """
    domain, _, unit = outcome.test.rpartition("/")
    tests = [domain] if unit == "bits_per_byte" else _tasks(study, outcome)
    found = {}
    for level in study.level_names:
        folders = [
            study.run_dir(Run(outcome.size, level, seed), outcome.stage)
            for seed in study.recipe["seeds"]
        ]
        found[level] = []
        for test in tests:
            rows = [files.read_jsonl(folder / "eval" / f"{test}.jsonl") for folder in folders]
            if unit == "bits_per_byte":
                values = [[document["nll"] / math.log(2) for document in row] for row in rows]
                weights = [document["bytes"] for document in rows[0]]
            else:
                values, weights = (
                    [[item["value"] for item in row] for row in rows],
                    [1] * len(rows[0]),
                )
            if not all(isinstance(value, int | float) for row in values for value in row):
                return None
            found[level].append(ItemScores(np.array(values, float)[None], np.array(weights, float)))
    return found


def _tasks(study: Study, outcome: Outcome) -> list[str]:
    """The tasks that a run was evaluated on, `paper` and groups spelled out."""
    folder = study.run_dir(
        Run(outcome.size, study.level_names[0], study.recipe["seeds"][0]), outcome.stage
    )
    return list(files.read_json(folder / "eval.json")["tasks"])


def _correlations(recipe, levels, measured: Sequence[Outcome], items) -> list[dict[str, Any]]:
    """Every metric with every outcome, over corpora, a level each; the null twin is left out."""
    used = [level for level in levels if level["name"] not in recipe["null_control"][1:]]
    rows = []
    for outcome in measured:
        performance = [level["performance"][outcome.name]["value"] for level in used]
        tests = items[outcome.name]
        stacked = tests and [
            ItemScores(
                np.concatenate([level.numerator_CMI for level in of_levels]),
                of_levels[0].denominator_I,
            )
            for of_levels in zip(*(tests[level["name"]] for level in used), strict=True)
        ]
        found = [_correlation(metric, used, outcome, performance, stacked) for metric in METRICS]
        others = [
            row for row in found if row["metric"] != PRIMARY_METRIC and row.get("p") is not None
        ]
        for row, p in zip(others, statistics.holm([row["p"] for row in others]), strict=True):
            row["p_holm"] = p
        rows += found
    return rows


def _correlation(
    metric: str, used, outcome: Outcome, performance, items: list[ItemScores] | None
) -> dict[str, Any]:
    estimates = [level["metrics"][metric] for level in used]
    log2 = metric == PRIMARY_METRIC
    row = {
        "metric": metric,
        "scale": "log2" if log2 else "linear",
        "performance": outcome.name,
        "method": "Pearson, Fisher 95% interval; the unit is the corpus",
    }
    if reason := hypotheses.shared_corpora(used):
        corpora = len({level["fingerprint"] for level in used})
        return {**row, "estimate": None, "reason": reason, "n": corpora, "spearman": None}
    if any(estimate["value"] is None for estimate in estimates):
        return {
            **row,
            "estimate": None,
            "reason": "metric not run",
            "n": len(used),
            "spearman": None,
        }
    x = [math.log2(estimate["value"]) if log2 else estimate["value"] for estimate in estimates]
    errors = [statistics.standard_error(estimate, log2) for estimate in estimates]
    known = None if any(error is None for error in errors) else errors
    return {
        **row,
        **statistics.pearson(x, performance),
        "spearman": statistics.spearman(x, performance),
        "partial": {
            control: statistics.partial(
                x, performance, [level["controls"][control] for level in used]
            )
            for control in CONTROLS
        },
        "leave_one_out": statistics.leave_one_out(
            x, performance, [level["name"] for level in used]
        ),
        "curvature": statistics.curvature(x, performance),
        "noise_free": statistics.noise_free_correlation(x, known, items) if items else None,
    }


def _held_equal(
    recipe, configs: Mapping[str, Mapping[str, Any]], levels, runs
) -> tuple[list[str], list[str]]:
    """What is the same at every level and what is not, in words; `configs`: config.json of a run of
    each size.

    Numbers are equal within 2%. Unique tokens and epochs are those of synthetic corpora: not of
    real text alone."""
    weights = {
        level["name"]: level.get("synthetic_weight", recipe["synthetic_weight"])
        for level in recipe["levels"]
    }
    at = {size: f" ({size})" if size else "" for size in configs}
    tokens = {
        size: run["steps"] * run["global_batch"] * run["seq_len"] for size, run in configs.items()
    }
    equal = [
        (
            "training tokens:"
            f" {', '.join(f'{count:,} a run{at[size]}' for size, count in tokens.items())}"
        ),
        "model, optimizer, schedule, tokenizer, evaluation text and seeds",
    ]
    unequal = []
    real = recipe["real_weight"] if recipe["real"] else 0
    facts = [
        (
            "share of real text",
            [real / (real + weight) for weight in weights.values() if real],
            ".0%",
        )
    ]
    unique = [level["unique_tokens"] for level in levels if weights[level["name"]]]
    facts.append(("unique tokens of the corpora", unique, ","))
    for size in configs:
        of_size = [
            run
            for run in runs
            if (run["stage"], run["size"]) == ("pretrain", size) and weights[run["level"]]
        ]
        facts.append(
            (
                f"epochs over them{at[size]}",
                [run["metrics"]["epochs/synthetic"] for run in of_size],
                ".3g",
            )
        )
    for what, values, form in facts:
        if values:
            ends = dict.fromkeys(format(end, form) for end in (min(values), max(values)))
            (equal if max(values) <= 1.02 * min(values) else unequal).append(
                f"{what}: {' to '.join(ends)}"
            )
    return equal, unequal


def _commit() -> str | None:
    """Commit of the code, with '+' where the tree was changed; None outside a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=recipe_file.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
