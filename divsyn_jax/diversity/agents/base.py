"""What an agent is: something that partitions every draw of documents into clusters.

Shapes: D draws, K documents a draw.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict, runtime_checkable

import numpy as np

from divsyn_jax.diversity.agents.criteria import CriteriaSet
from divsyn_jax.diversity.agents.kinds import AgentKind
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import AgentRecord, ControlDrawsRecord, UsageRecord
from divsyn_jax.embedding.reading import Reading


@dataclasses.dataclass(frozen=True)
class Draws:
    """Draws of one corpus.

    Attributes: sample: the documents drawn from. documents_DK: positions in the sample, in the
      order in which an agent first sees them. first: number of the first draw among all draws of
      the corpus; it fixes criteria sets and random orders.
    """

    sample: Sample
    documents_DK: np.ndarray
    first: int = 0


class ClusterEvidence(TypedDict):
    """What an agent said of one cluster; `valid` and `verdict` where it was verified."""

    label: int
    name: str
    reason: str
    valid: NotRequired[bool]
    verdict: NotRequired[str]


class DrawEvidence(TypedDict):
    """What an agent said of one draw: of its clusters, or why it failed."""

    criteria_set: int
    clusters: NotRequired[list[ClusterEvidence]]
    failure: NotRequired[list[str]]


@dataclasses.dataclass(frozen=True)
class Partitions:
    """The clusters an agent finds in every draw.

    Attributes: labels_DK: the agent's partition of each draw before any verification: documents
      with one label share a cluster; a label means nothing in another draw. Rows of unanswered
      draws hold -1. cuts: partitions of the same draws at other granularities, by threshold; empty
      for an agent that has only one. valid_DK: whether the cluster of each document passed
      verification; None for an agent that verifies nothing. sets_D: the criteria set each draw was
      judged by; None for an agent without criteria. answered_D: whether there is an answer; None
      when every draw has one. order_DK: the order in which the documents were shown (positions in
      the draw); None for an agent that sees no order. evidence: for each draw what the agent said
      of it (names and reasons of clusters, verdicts), or why it failed.
    """

    labels_DK: np.ndarray
    cuts: Mapping[float, np.ndarray] = dataclasses.field(default_factory=dict)
    valid_DK: np.ndarray | None = None
    sets_D: np.ndarray | None = None
    answered_D: np.ndarray | None = None
    order_DK: np.ndarray | None = None
    evidence: Sequence[DrawEvidence] | None = None


class Agent(Protocol):
    """Partitions draws.

    `kinds.AGENTS` holds all of them, with the function that makes one."""

    @property
    def kind(self) -> AgentKind:
        """What is known of agents of its kind."""

    @property
    def model(self) -> str | None:
        """The model behind it, with its version, or None."""

    @property
    def criteria(self) -> Sequence[CriteriaSet]:
        """The criteria sets it judges by; empty for an agent without criteria."""

    def settings(self) -> dict[str, Any]:
        """Everything else that determines the answers, as JSON."""

    def partition(self, corpora: Sequence[Draws], repetition: int = 0) -> list[Partitions]:
        """Partition each draw of each corpus.

        Another `repetition` asks the same question again, with the documents in another order; an
        agent that is a function of the set of documents gives the same answer."""

    def usage(self) -> UsageRecord:
        """What was asked and spent so far."""

    def close(self) -> None:
        """Release what the agent holds."""


@runtime_checkable
class Embedder(Agent, Protocol):
    """An agent that compares documents by their vectors, so that it can tell near-duplicates."""

    def vectors(self, sample: Sample) -> np.ndarray:
        """[N, E] unit vectors of the sampled documents."""

    def near_duplicate_share(self, sample: Sample) -> float:
        """Share of the sampled documents that nearly repeat an earlier sampled one."""

    def reading(self, sample: Sample) -> Reading:
        """How much of the sampled documents the model can see."""


@runtime_checkable
class ControlledJudge(Agent, Protocol):
    """An agent that is put to draws of known answer among the others."""

    @property
    def control_record(self) -> ControlDrawsRecord | None:
        """What it made of them; None before, or where none were asked for."""


def nothing_used() -> UsageRecord:
    """The usage of an agent that asks nobody."""
    return {
        "calls": 0,
        "cached_calls": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost": 0.0,
    }


def record_of(agent: Agent) -> AgentRecord:
    """Who judged, as result files say it."""
    return {"kind": agent.kind.name, "model": agent.model, "settings": agent.settings()}
