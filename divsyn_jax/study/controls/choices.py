"""Continuous measures of multiple choice, each beside the same measure of a wrong answer.

The probability of the right answer, its bits a byte and its margins rise with anything that fits
the wording of the answers, and a wrong answer's do too. What rises for the right answer beyond the
wrong ones of the same question is knowledge; the rest is wording.

Shapes: L levels, M seeds, I items."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from divsyn_jax import statistics
from divsyn_jax.base import files
from divsyn_jax.study.controls.answers import (
    MEASURES,
    AnswerMeasure,
    Answers,
    answers_of,
    of_right,
    of_wrong,
)
from divsyn_jax.study.controls.closeness import items_as_written
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.study_file import ChoiceMeasure, LevelRecord, MeasuredValue

PRIMARY = "effective_clusters"


def choice_measures(study: Study, levels: Sequence[LevelRecord]) -> list[ChoiceMeasure]:
    """Every measure after every stage at every size, where the questions are multiple choice."""
    recipe = study.recipe
    twins = recipe["null_control"][1:]
    used = [level for level in levels if level["name"] not in twins]
    scores = [level["metrics"][PRIMARY]["value"] for level in used]
    known = [math.log2(score) for score in scores if score]
    if not recipe["tasks"] or len(known) < len(used) or np.ptp(known) == 0:
        return []
    names = [level["name"] for level in used]
    found = []
    for size in study.sizes:
        for stage in study.compared_stages:
            answers = answers_by_level(study, size, stage, names, recipe["seeds"])
            if answers:
                found += _measured(answers, known, size, stage)
    return found


def _measured(
    answers: Mapping[str, Sequence[Sequence[Answers]]],
    score: Sequence[float],
    size: str,
    stage: str,
) -> list[ChoiceMeasure]:
    """`answers` by level: seeds, items; `score`: of each level, in doublings."""
    found = []
    every = [item for seeds in answers.values() for items in seeds for item in items]
    has_bytes = all(item.answer_bytes is not None for item in every)
    for measure in MEASURES:
        if measure.needs_bytes and not has_bytes:
            continue
        right_LMI, wrong_LMI = by_item(answers, measure)
        beyond = gain_per_doubling(right_LMI - wrong_LMI, score)
        low = beyond.get("ci_low")
        found.append(
            ChoiceMeasure(
                measure=measure.name,
                size=size,
                stage=stage,
                levels=dict(zip(answers, right_LMI.mean((1, 2)).tolist(), strict=True)),
                right=gain_per_doubling(right_LMI, score),
                wrong=gain_per_doubling(wrong_LMI, score),
                beyond=beyond,
                knowledge=low is not None and low > 0,
            )
        )
    return found


def by_item(
    answers: Mapping[str, Sequence[Sequence[Answers]]], measure: AnswerMeasure
) -> tuple[np.ndarray, np.ndarray]:
    """The measure of the right answers and its control of the wrong ones, each [L, M, I]."""
    every = list(answers.values())
    right_LMI, wrong_LMI = (
        np.array([[[of(measure, item) for item in items] for items in seeds] for seeds in every])
        for of in (of_right, of_wrong)
    )
    return right_LMI, wrong_LMI


def gain_per_doubling(value_LMI: np.ndarray, score_L: Sequence[float]) -> MeasuredValue:
    """Slope of a measure on a score in doublings over these corpora, with its 95% interval over
    items (the same for every run) and seeds (nested in corpora).

    A statement about these corpora, not about others: that would need an interval over corpora.
    Welch-Satterthwaite degrees of freedom; no interval with one seed."""
    centred_L = np.asarray(score_L, float) - np.mean(score_L)
    weight_L = centred_L / (centred_L @ centred_L)
    levels, seeds, items = value_LMI.shape
    of_items_I = np.einsum("l,lmi->i", weight_L, value_LMI) / seeds
    value = float(of_items_I.mean())
    if seeds < 2 or items < 2:
        return MeasuredValue(value=value, reason="one seed: no interval")
    of_seeds_L = value_LMI.mean(-1).var(-1, ddof=1)
    parts = [
        (float(of_items_I.var(ddof=1)) / items, items - 1),
        (float(np.square(weight_L) @ of_seeds_L) / seeds, levels * (seeds - 1)),
    ]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return MeasuredValue(value=value, ci_low=value, ci_high=value)
    freedom = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    half = float(stats.t.ppf((1 + statistics.LEVEL) / 2, freedom)) * math.sqrt(variance)
    return MeasuredValue(value=value, ci_low=value - half, ci_high=value + half)


def answers_by_level(
    study: Study, size: str, stage: str, names: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[list[Answers]]]:
    """By level: seeds, items of all tasks of multiple choice; empty where there are none."""
    lengths = {task: _lengths(study, task) for task in study.recipe["tasks"]}
    found: dict[str, list[list[Answers]]] = {}
    for name in names:
        found[name] = []
        for seed in seeds:
            folder = study.run_dir(Run(size, name, seed), stage)
            items = []
            for task in files.read_json(folder / "eval.json")["tasks"]:
                records = files.read_jsonl(folder / "eval" / f"{task}.jsonl")
                items += answers_of(records, lengths.get(task))
            if not items:
                return {}
            found[name].append(items)
    return found


def _lengths(study: Study, task: str) -> list[list[int]] | None:
    """Bytes of each answer of a task in the simple form, the space before it with it: for runs of
    before evaluations kept them."""
    found = []
    for item in items_as_written(study, task):
        if not isinstance(item.get("choices"), list):
            return None
        found.append([len(f" {choice}".encode()) for choice in item["choices"]])
    return found or None
