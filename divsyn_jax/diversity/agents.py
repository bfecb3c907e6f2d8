"""What an agent is: something that partitions every draw of documents into clusters.

Shapes: D draws, K documents a draw.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from divsyn_jax.diversity.sampling import Sample


@dataclasses.dataclass(frozen=True)
class Partitions:
    """The clusters an agent finds in every draw.

    Attributes:
      labels_DK: the agent's partition of each draw: documents with one label share a cluster; a label means nothing in
        another draw.
      cuts: partitions of the same draws at other granularities, by threshold; empty for an agent that has only one.
    """

    labels_DK: np.ndarray
    cuts: Mapping[float, np.ndarray] = dataclasses.field(default_factory=dict)


class Agent(Protocol):
    """Partitions draws.

    Attributes:
      kind: the agent's name on the command line.
      model: the model behind it, with its version, or None.
    """

    kind: str
    model: str | None

    def settings(self) -> dict[str, Any]:
        """Everything else that determines the answers, as JSON."""

    def partition(self, sample: Sample, draws_DK: np.ndarray) -> Partitions:
        """Partition each draw ([D, K] positions in the sample)."""

    def near_duplicate_share(self, sample: Sample) -> float | None:
        """Share of the sampled documents that nearly repeat an earlier sampled one; None when the agent cannot tell."""
