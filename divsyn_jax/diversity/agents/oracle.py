"""The agent that knows: documents with equal labels share a cluster. For calibration and tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.agents import kinds
from divsyn_jax.diversity.agents.base import Agent, Draws, Partitions, nothing_used
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import UsageRecord
from divsyn_jax.diversity.settings import ScoreSettings


def make_oracle_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Agent:
    """See `base.Agent`."""
    return OracleAgent(settings.label_field)


class OracleAgent:
    """Clusters by a field of the records."""

    kind = kinds.ORACLE
    model = None
    criteria = ()

    def __init__(self, label_field: str | None) -> None:
        if not label_field:
            raise UserError(
                "--agent=oracle needs the field that holds the labels, e.g. --label_field=topic"
            )
        self.label_field = label_field

    def settings(self) -> dict[str, Any]:
        return {"label_field": self.label_field}

    def partition(self, corpora: Sequence[Draws], repetition: int = 0) -> list[Partitions]:
        """Partition each draw by label.

        Samples must have been read with this agent's `label_field`.
        """
        return [Partitions(label_numbers(draws.sample)[draws.documents_DK]) for draws in corpora]

    def usage(self) -> UsageRecord:
        return nothing_used()

    def close(self) -> None:
        pass


def label_numbers(sample: Sample) -> np.ndarray:
    """[N] a number for each document's label; equal labels have equal numbers."""
    return np.unique(np.array(sample.labels, dtype=object), return_inverse=True)[1]
