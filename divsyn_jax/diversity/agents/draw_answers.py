"""What an LLM judge said of draws, and the partitions that its answers make.

Shapes: D draws, K documents a draw.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from divsyn_jax.diversity.agents.base import ClusterEvidence, DrawEvidence, Draws, Partitions
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings


@dataclasses.dataclass(frozen=True)
class DrawAnswer:
    """What the endpoint said of one draw: labels, the order shown, and of each label (name, reason)
    and, where it was verified, (valid, reason).
    """

    criteria_set: int
    label_K: np.ndarray
    order_K: np.ndarray
    names: dict[int, tuple[str, str]]
    verdicts: dict[int, tuple[bool, str]]


@dataclasses.dataclass(frozen=True)
class NoDrawAnswer:
    """Why there is no usable answer about one draw."""

    criteria_set: int
    problems: list[str]


def partitions_of(
    draws: Draws, answers: Sequence[DrawAnswer | NoDrawAnswer], judge: JudgeSettings
) -> Partitions:
    """The partitions of the draws, an answer each; rows of unanswered draws hold -1."""
    shape = count, size = draws.documents_DK.shape
    labels_DK = np.full(shape, -1, np.int16)
    valid_DK = np.ones(shape, bool)
    order_DK = np.tile(np.arange(size), (count, 1))
    evidence: list[DrawEvidence] = []
    for row, answer in enumerate(answers):
        if isinstance(answer, NoDrawAnswer):
            evidence.append({"criteria_set": answer.criteria_set, "failure": answer.problems})
            continue
        labels_DK[row], order_DK[row] = answer.label_K, answer.order_K
        clusters: list[ClusterEvidence] = []
        for label in np.unique(answer.label_K):
            name, reason = answer.names[int(label)]
            described: ClusterEvidence = {"label": int(label), "name": name, "reason": reason}
            if int(label) in answer.verdicts:
                valid, why = answer.verdicts[int(label)]
                valid_DK[row, answer.label_K == label] = valid
                described["valid"], described["verdict"] = valid, why
            clusters.append(described)
        evidence.append({"criteria_set": answer.criteria_set, "clusters": clusters})
    return Partitions(
        labels_DK=labels_DK,
        valid_DK=valid_DK if judge.verification else None,
        sets_D=np.array([answer.criteria_set for answer in answers]),
        answered_D=np.array([isinstance(answer, DrawAnswer) for answer in answers]),
        order_DK=order_DK,
        evidence=evidence,
    )
