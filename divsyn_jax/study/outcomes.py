"""What a study measures of its models, and the results item by item behind each measure."""

import math

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.study_file import Outcome


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


def items_of(study: Study, outcome: Outcome) -> dict[str, list[ItemScores]] | None:
    """Results by document or question of every level (C = 1, seeds, items), one entry a task.

    None where a task keeps no number for each of its items (a metric over all of them).
    """
    domain, _, unit = outcome.test.rpartition("/")
    tests = [domain] if unit == "bits_per_byte" else tasks_of(study, outcome)
    found: dict[str, list[ItemScores]] = {}
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


def tasks_of(study: Study, outcome: Outcome) -> list[str]:
    """The tasks that a run was evaluated on, `paper` and groups spelled out."""
    folder = study.run_dir(
        Run(outcome.size, study.level_names[0], study.recipe["seeds"][0]), outcome.stage
    )
    return list(files.read_json(folder / "eval.json")["tasks"])
