"""When enough draws have been made: sequential stopping at a target half-width.

Looks double, and the interval at the stopping time is the nominal one: fixed-width intervals keep
their coverage as the target falls (Chow and Robbins 1965), and
tools/benchmarks/simulate_intervals.py shows how well they do here."""

import dataclasses
from typing import TypedDict

from divsyn_jax.diversity.estimation.intervals import Estimate


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether to stop, and why:

    `target reached`, `draws spent`, `criteria sets dominate` or `continue`.
    """

    stop: bool
    reason: str


class StoppingRecord(TypedDict):
    """A `StoppingRule` in a file."""

    target_half_width: float
    looks: list[int]
    rule: str


class StoppedRecord(StoppingRecord):
    """A rule, and what it decided."""

    stopped_at: int
    reason: str


@dataclasses.dataclass(frozen=True)
class StoppingRule:
    """Stop at the first look at which the half-width that draws can remove is at most the target.

    Without criteria sets that is the half-width of the interval. With several it is the draws' part
    of it
    (`SetSpread.draws_half_width`): more draws remove no other, and a decision by the few set means
    themselves would pick the moments at which these happen to agree. Sets dominate when what they
    alone leave exceeds both the target and three times the draws' part, so that endless draws would
    narrow the interval by less than a twentieth.

    Attributes:
      target_half_width: in the units of the estimate.
      first_look: draws before any decision (`first_look` of the agent).
      draws: the most to make.

    Raises:
      ValueError: the target is not positive.
    """

    target_half_width: float
    first_look: int
    draws: int

    def __post_init__(self) -> None:
        if not self.target_half_width > 0:
            raise ValueError(f"target half-width {self.target_half_width}; give a positive number")

    def looks(self) -> tuple[int, ...]:
        """Numbers of draws at which to decide: the first look, doubled until all draws are made."""
        looks = []
        look = self.first_look
        while look < self.draws:
            looks.append(look)
            look *= 2
        return (*looks, self.draws)

    def decide(self, estimate: Estimate, draws: int) -> Decision:
        """Decide for one corpus.

        Args:
          estimate: of a mean over its draws so far (see `intervals.bounded_mean`).
          draws: draws asked for so far, failed ones included.
        """
        half_width, criteria = estimate.half_width, estimate.criteria
        sets_half_width = None
        if criteria is not None and criteria.sets_half_width is not None:
            half_width, sets_half_width = criteria.draws_half_width, criteria.sets_half_width
        if half_width is None:
            raise ValueError("the interval of the estimate is not symmetric: it has no half-width")
        if half_width <= self.target_half_width:
            return Decision(True, "target reached")
        if draws >= self.draws:
            return Decision(True, "draws spent")
        if sets_half_width is not None and sets_half_width > max(
            self.target_half_width, 3 * half_width
        ):
            return Decision(True, "criteria sets dominate")
        return Decision(False, "continue")

    def to_json(self) -> StoppingRecord:
        """The rule, for the record."""
        return {
            "target_half_width": self.target_half_width,
            "looks": list(self.looks()),
            "rule": (
                "stop at the first look whose half-width (with criteria sets: the draws' part of"
                " it) is at most the target; the interval is the nominal one at that look"
            ),
        }
