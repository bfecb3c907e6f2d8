"""What a study measures of its models, and the results item by item behind each measure."""

import math
import pathlib

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES, answers_of, of_right
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.study_file import Outcome

_TASKS = "tasks/"


def outcomes(study: Study) -> list[Outcome]:
    """Every outcome of a study; the first is the primary one."""
    tests = [f"{domain}/bits_per_byte" for domain in study.recipe["heldout"]]
    if study.recipe["tasks"]:
        tests.insert(0 if study.recipe["primary"] == "tasks" else len(tests), "tasks/mean")
        tests += [f"{_TASKS}{key}" for key in study.recipe.get("outcomes", ())]
    found = [
        Outcome(
            "/".join(filter(None, (size, "" if stage == "pretrain" else stage, test))),
            size,
            stage,
            test,
            test.startswith(_TASKS),
        )
        for size in study.sizes
        for stage in study.compared_stages
        for test in tests
    ]
    return sorted(found, key=lambda outcome: outcome.name != _chosen(study))


def _chosen(study: Study) -> str | None:
    """The primary outcome that pilot seeds chose; None before they did, or where none should."""
    record = study.workdir / "pilot.json"
    if study.recipe["primary"] != "pilot" or not record.exists():
        return None
    chosen: str = files.read_json(record)["primary"]
    return chosen


def answer_measure(test: str) -> str | None:
    """Which of `OUTCOME_MEASURES` a test is the mean of; None for none."""
    key = test.removeprefix(_TASKS)
    return key if test != key and key in OUTCOME_MEASURES else None


def value_of_test(folder: pathlib.Path, test: str) -> float:
    """The value of a test in an evaluated run directory: bits per byte of a domain, the mean of the
    tasks, or of a measure of their answers.

    Raises `UserError` for answers that no such measure can be taken of."""
    evaluated = files.read_json(folder / "eval.json")
    domain, _, unit = test.rpartition("/")
    if unit == "bits_per_byte":
        return float(evaluated["domains"][domain][unit])
    key = answer_measure(test)
    if key is None:
        values = [task["value"] for task in evaluated["tasks"].values()]
    else:
        values = [np.mean(_of_answers(folder, task, key)) for task in evaluated["tasks"]]
    return float(sum(values) / len(values))


def _of_answers(folder: pathlib.Path, task: str, key: str) -> list[float]:
    """A measure of the right answer to every question of a task."""
    measure, path = OUTCOME_MEASURES[key], folder / "eval" / f"{task}.jsonl"
    answers = answers_of(files.read_jsonl(path))
    lacking = measure.needs_bytes and any(each.answer_bytes is None for each in answers)
    if not answers or lacking:
        raise UserError(
            f"{path}: {_TASKS}{key} needs the log-likelihoods of the answers to each question"
            f"{' and their bytes' * lacking}; leave it out of config.outcomes, or evaluate again"
        )
    return [of_right(measure, each) for each in answers]


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
            key = answer_measure(outcome.test)
            if key is not None:
                of_run = np.array([_of_answers(folder, test, key) for folder in folders])
                found[level].append(ItemScores(of_run[None], np.ones(of_run.shape[1])))
                continue
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
