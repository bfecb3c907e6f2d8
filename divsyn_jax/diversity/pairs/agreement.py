"""Do two annotators agree, and is a judge to be believed?

A judge answers control pairs of known answer among the others: documents beside a copy of
themselves that lacks some words (one kind), and documents beside a passage on a subject of its own
(two kinds). The passages are the project's own, so that the answer is known whatever the corpus
holds, one of a single kind included.

Shapes: A annotators, P pairs.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

CONTROL_PAIRS = 24  # pairs, half of each answer
LEAST_ACCURACY = 0.9  # of the mean over the two answers; chance is 0.5
LEAST_OF_ONE_ANSWER = 0.75  # who always says one thing gets the other wrong
LEAST_ANSWERED = 8  # control pairs of each answer; fewer prove nothing
DROPPED_WORDS = 0.1  # of a copy
CONTROL_PASSAGES = (
    "Let the dough rest under a damp cloth until it has doubled, then fold it twice and bake it on"
    " a hot stone until the crust is dark and the loaf sounds hollow.",
    "The telescope's mirror was cooled overnight so that faint infrared light from the nebula would"
    " not drown in the warmth of the instrument itself.",
    "Tenants may give notice in writing three months before the lease ends; the deposit is returned"
    " once the flat has been inspected and the keys handed over.",
    "In the second half the visitors pressed higher, won the ball back in midfield and equalised"
    " with a header from a corner in the eighty-third minute.",
    "Prune the apple tree in late winter, while it sleeps: take out crossing branches first and"
    " leave the short spurs on which next year's blossom will sit.",
    "The bridge's cables carry the deck's weight to two towers, which pass it on to the bedrock;"
    " wind is held off by a lattice below the roadway.",
    "Violins are tuned in fifths, and a player shifts the left hand along the neck to reach notes"
    " for which the first position has no finger.",
    "The customs officer weighed the crates of tea, compared the seals with the manifest and let"
    " the ship's cargo be landed after the duty was paid.",
)


@dataclasses.dataclass(frozen=True)
class ControlPair:
    """A pair whose answer is known.

    Attributes:
      first: position of the document in the sample.
      text_first, text_second: what is shown.
      same: the answer.
    """

    first: int
    text_first: str
    text_second: str
    same: bool


@dataclasses.dataclass(frozen=True)
class JudgeCheck:
    """What the control pairs say of a judge.

    Attributes:
      accuracy_same, accuracy_different: share answered rightly of the pairs of one kind and of two;
        None where none was answered.
      area: area under the ROC curve of the answers; for answers of yes and no the mean of the two.
      answered: control pairs with an answer.
      enough: whether enough of either answer have one.
      believed: whether the rule holds.
      rule: the rule, in words, with what was found.
    """

    accuracy_same: float | None
    accuracy_different: float | None
    area: float | None
    answered: int
    enough: bool
    believed: bool
    rule: str


def control_pairs(
    texts: Sequence[str], seed: int, controls: int = CONTROL_PAIRS
) -> list[ControlPair]:
    """`controls` pairs of known answer, made from documents of a sample.

    Args:
      texts: of the sample; those that hold a word are used.
      seed: of their choice.
      controls: how many; half of each answer.

    Raises:
      ValueError: no text holds a word.
    """
    rng = np.random.default_rng([seed, len(texts)])
    usable = [index for index, text in enumerate(texts) if text.split()]
    if not usable:
        raise ValueError("no text holds a word")
    chosen = rng.choice(usable, controls, replace=len(usable) < controls)
    passages = rng.permutation(np.resize(np.arange(len(CONTROL_PASSAGES)), controls))
    pairs = []
    for number, (index, passage) in enumerate(zip(chosen, passages, strict=True)):
        same = number % 2 == 0
        second = _copy(texts[index], rng) if same else CONTROL_PASSAGES[passage]
        pairs.append(ControlPair(int(index), texts[index], second, same))
    return pairs


def _copy(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    kept = rng.random(len(words)) >= DROPPED_WORDS
    return " ".join(word for word, stays in zip(words, kept, strict=True) if stays) or text


def check_judge(controls: Sequence[ControlPair], answers: Sequence[bool | None]) -> JudgeCheck:
    """Hold a judge's answers about control pairs against what is known."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for control, answer in zip(controls, answers, strict=True):
        if answer is not None:
            right[control.same].append(bool(answer) == control.same)
    shares = {same: float(np.mean(found)) if found else None for same, found in right.items()}
    answered = sum(map(len, right.values()))
    same, different = shares[True], shares[False]
    area, believed = None, False
    enough = min(map(len, right.values())) >= LEAST_ANSWERED
    if same is not None and different is not None:
        area = (same + different) / 2
        believed = enough and area >= LEAST_ACCURACY and min(same, different) >= LEAST_OF_ONE_ANSWER
    rule = (
        f"{len(right[True])} control pairs of one kind answered, {_percent(same)} rightly, and"
        f" {len(right[False])} of two kinds, {_percent(different)} rightly; asked: {LEAST_ANSWERED}"
        f" of each, {LEAST_ACCURACY:.0%} on average and {LEAST_OF_ONE_ANSWER:.0%} of each"
    )
    return JudgeCheck(same, different, area, answered, enough, believed, rule)


def krippendorff_alpha(answers_AP: np.ndarray) -> float | None:
    """Krippendorff's alpha for nominal answers (Krippendorff 2011, Computing Krippendorff's
    alpha-reliability).

    1 - D_o / D_e over the pairs that two annotators or more answered; 1 where all agree, 0 where
    they agree as chance would; None where no pair has two answers or every answer is the same.

    Args:
      answers_AP: [A, P] 1 or 0; NaN where an annotator gave no answer.
    """
    answers_AP = np.asarray(answers_AP, np.float64)
    answers_AP = answers_AP[:, (~np.isnan(answers_AP)).sum(axis=0) >= 2]
    given_P = (~np.isnan(answers_AP)).sum(axis=0)
    ones_P = np.nansum(answers_AP, axis=0)
    total, ones = float(given_P.sum()), float(ones_P.sum())
    if total == 0 or ones in (0.0, total):
        return None
    observed = float((2 * ones_P * (given_P - ones_P) / (given_P - 1)).sum()) / total
    expected = 2 * ones * (total - ones) / (total * (total - 1))
    return 1 - observed / expected


def _percent(share: float | None) -> str:
    return "none" if share is None or math.isnan(share) else f"{share:.0%}"
