"""Puts draws of all corpora to the agent, look by look, until each corpus has enough of them.

Shapes: D draws, K documents a draw.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from divsyn_jax.base.commandline import Failure
from divsyn_jax.diversity.agents.base import Agent, Draws, Partitions
from divsyn_jax.diversity.estimation import estimators
from divsyn_jax.diversity.estimation.estimators import DrawStatistics
from divsyn_jax.diversity.estimation.invalid_clusters import labels_by_policy
from divsyn_jax.diversity.estimation.stopping import StoppedRecord, StoppingRule
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import FailedDraw

HEADLINE = "split"  # the policy for invalid clusters behind every number that names no policy


@dataclasses.dataclass(frozen=True)
class Judged:
    """The draws of one corpus with the agent's answers; everything but `failures` speaks of
    answered draws only.

    Attributes: sample: the documents drawn from. draws_DK: positions in the sample. numbers_D:
      number of each draw among all that were asked for. partitions: of those draws; `evidence`
      where the agent gives any. labels: labels [D, K] after each policy for invalid clusters; only
      `split`, the headline, without verification. failures: draws without a usable answer: {draw,
      problems}. asked: draws asked for. stopping: the stopping rule and what it decided; None when
      all draws were asked for at once.
    """

    sample: Sample
    draws_DK: np.ndarray
    numbers_D: np.ndarray
    partitions: Partitions
    labels: Mapping[str, np.ndarray]
    failures: Sequence[FailedDraw]
    asked: int
    stopping: StoppedRecord | None = None

    @property
    def labels_DK(self) -> np.ndarray:
        """The headline labels."""
        return self.labels[HEADLINE]

    def statistics(self, policy: str = HEADLINE) -> DrawStatistics:
        """What the estimators need of the answered draws under one policy."""
        return estimators.draw_statistics(self.labels[policy], self.partitions.sets_D)


def judge(
    agent: Agent,
    samples: Mapping[str, Sample],
    draws: Mapping[str, np.ndarray],
    rule: StoppingRule | None,
) -> dict[str, Judged]:
    """Ask for the draws of every corpus; with a rule, corpora drop out as soon as it is met for
    them.

    Raises `Failure` when so few draws of a corpus were answered that no interval can be made.
    """
    looks = (max(map(len, draws.values())),) if rule is None else rule.looks()
    parts: dict[str, list[Partitions]] = {name: [] for name in samples}
    judged: dict[str, Judged] = {}
    begin = 0
    for look in looks:
        open_names = [name for name in samples if name not in judged]
        asked = [Draws(samples[name], draws[name][begin:look], begin) for name in open_names]
        for name, answered in zip(open_names, agent.partition(asked), strict=True):
            parts[name].append(answered)
        begin = look
        for name in open_names:
            found = _judged(name, samples[name], draws[name][:look], parts[name])
            if rule is None:
                judged[name] = found
                continue
            decision = rule.decide(estimators.cluster_score(found.statistics()), look)
            if decision.stop:
                stopped: StoppedRecord = {
                    **rule.to_json(),
                    "stopped_at": look,
                    "reason": decision.reason,
                }
                judged[name] = dataclasses.replace(found, stopping=stopped)
        if len(judged) == len(samples):
            break
    return {name: judged[name] for name in samples}


def _judged(name: str, sample: Sample, draws_DK: np.ndarray, parts: Sequence[Partitions]) -> Judged:
    whole = _concatenated(parts)
    answered = np.ones(len(draws_DK), bool) if whole.answered_D is None else whole.answered_D
    failures: list[FailedDraw] = [
        {"draw": number, "problems": whole.evidence[number]["failure"] if whole.evidence else []}
        for number in np.flatnonzero(~answered).tolist()
    ]
    kept = _select(whole, answered)
    _require_answers(name, kept, failures)
    labels = {HEADLINE: kept.labels_DK}
    if kept.valid_DK is not None:
        labels = labels_by_policy(kept.labels_DK, kept.valid_DK)
    return Judged(
        sample, draws_DK[answered], np.flatnonzero(answered), kept, labels, failures, len(draws_DK)
    )


def fewest_draws(draws: int, sets_D: np.ndarray | None) -> int:
    """Draws of the criteria set that has fewest; all `draws` for an agent without criteria.

    An interval needs two.
    """
    return draws if sets_D is None else int(np.bincount(sets_D, minlength=1).min())


def _require_answers(name: str, kept: Partitions, failures: Sequence[FailedDraw]) -> None:
    if fewest_draws(len(kept.labels_DK), kept.sets_D) < 2:
        why = f", the first because: {'; '.join(failures[0]['problems'])}" if failures else ""
        raise Failure(
            f"{name}: {len(failures)} draws failed{why}; too few are left for an interval (two a"
            " criteria set). Try another --model, a smaller --sample_size or more --draws"
        )


def _concatenated(parts: Sequence[Partitions]) -> Partitions:
    def joined(name: str) -> np.ndarray | None:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return Partitions(
        labels_DK=np.concatenate([part.labels_DK for part in parts]),
        cuts={cut: np.concatenate([part.cuts[cut] for part in parts]) for cut in parts[0].cuts},
        valid_DK=joined("valid_DK"),
        sets_D=joined("sets_D"),
        answered_D=joined("answered_D"),
        order_DK=joined("order_DK"),
        evidence=None
        if parts[0].evidence is None
        else [row for part in parts for row in part.evidence or ()],
    )


def _select(whole: Partitions, answered: np.ndarray) -> Partitions:
    def some(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[answered]

    evidence = (
        None
        if whole.evidence is None
        else [whole.evidence[number] for number in np.flatnonzero(answered).tolist()]
    )
    return Partitions(
        labels_DK=whole.labels_DK[answered],
        cuts={cut: labels[answered] for cut, labels in whole.cuts.items()},
        valid_DK=some(whole.valid_DK),
        sets_D=some(whole.sets_D),
        order_DK=some(whole.order_DK),
        evidence=evidence,
    )
