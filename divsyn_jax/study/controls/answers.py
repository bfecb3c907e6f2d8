"""The answers to questions of multiple choice, and the continuous measures of them.

From the log-likelihoods that evaluations store; no model is asked again."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers to one question: log-likelihoods in nats, and bytes (None where not known)."""

    log_likelihoods: Sequence[float]
    answer_bytes: Sequence[int] | None
    right: int


@dataclasses.dataclass(frozen=True)
class AnswerMeasure:
    """A number of one answer among those of its question; more is better.

    Attributes:
      name: in words.
      key: as an outcome of a study (`tasks/<key>`); '' where it is none.
      of: computes it of the answers and the place of one.
      needs_bytes: whether it needs the bytes of the answers.
    """

    name: str
    key: str
    of: Callable[[Answers, int], float]
    needs_bytes: bool


def _log_probability(answers: Answers, answer: int) -> float:
    """log2 of the probability of an answer among the choices."""
    of_all = np.array(answers.log_likelihoods)
    return float((of_all[answer] - np.logaddexp.reduce(of_all)) / math.log(2))


def _probability(answers: Answers, answer: int) -> float:
    return 2.0 ** _log_probability(answers, answer)


def _minus_bits_per_byte(answers: Answers, answer: int) -> float:
    return float(_per_byte(answers)[answer])


def _margin_to_best(answers: Answers, answer: int) -> float:
    of_all = _per_byte(answers)
    return float(of_all[answer] - np.delete(of_all, answer).max())


def _margin_to_mean(answers: Answers, answer: int) -> float:
    of_all = _per_byte(answers)
    return float(of_all[answer] - np.delete(of_all, answer).mean())


def _per_byte(answers: Answers) -> np.ndarray:
    """log2 of the likelihood of each answer, a byte."""
    lengths = np.maximum(np.array(answers.answer_bytes), 1)
    return np.array(answers.log_likelihoods) / math.log(2) / lengths


def _above_chance(answers: Answers, answer: int) -> float:
    """1 for the likeliest answer a byte (acc_norm), less chance, on a scale where chance is 0 and
    always right is 1 (as DCLM's CORE, arXiv 2406.11794)."""
    chance = 1 / len(answers.log_likelihoods)
    return (float(np.argmax(_per_byte(answers)) == answer) - chance) / (1 - chance)


MEASURES = (
    AnswerMeasure("probability among the choices", "probability", _probability, False),
    AnswerMeasure("log2 probability among the choices", "", _log_probability, False),
    AnswerMeasure(
        "minus bits a byte of the answer", "minus_bits_per_byte", _minus_bits_per_byte, True
    ),
    AnswerMeasure("margin to the best other answer, bits a byte", "margin", _margin_to_best, True),
    AnswerMeasure("margin to the mean other answer, bits a byte", "", _margin_to_mean, True),
)
# As an outcome alone: of a wrong answer it says nothing that it does not say of the right one.
ABOVE_CHANCE = AnswerMeasure("accuracy with chance removed", "above_chance", _above_chance, True)
OUTCOME_MEASURES: Mapping[str, AnswerMeasure] = {
    measure.key: measure for measure in (*MEASURES, ABOVE_CHANCE) if measure.key
}


def of_right(measure: AnswerMeasure, answers: Answers) -> float:
    """The measure of the right answer."""
    return measure.of(answers, answers.right)


def of_wrong(measure: AnswerMeasure, answers: Answers) -> float:
    """The control: the mean over the wrong answers, each in the right one's place."""
    wrong = [each for each in range(len(answers.log_likelihoods)) if each != answers.right]
    return sum(measure.of(answers, each) for each in wrong) / len(wrong)


def answers_of(
    records: Sequence[Mapping[str, Any]], lengths: Sequence[Sequence[int]] | None = None
) -> list[Answers]:
    """The answers in the records of eval/<task>.jsonl, none where they are no choice between
    answers with log-likelihoods.

    `lengths`: bytes of each answer by item, for records of before evaluations kept them."""
    found = []
    for record in records:
        answers, target = record.get("answers"), str(record.get("target"))
        if not isinstance(answers, list) or not target.isdigit():
            return []
        if len(answers) < 2 or not all(isinstance(each, list) and each for each in answers):
            return []
        if int(target) >= len(answers):
            return []
        of_item = record.get("answer_bytes")
        if of_item is None and lengths is not None and record["item"] < len(lengths):
            of_item = lengths[record["item"]]
        if of_item is not None and len(of_item) != len(answers):
            of_item = None
        found.append(Answers([float(each[0]) for each in answers], of_item, int(target)))
    return found
