"""The progress of a writer with an endpoint: what was accepted, in whatever order it came."""

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tqdm import tqdm

from divsyn_jax.endpoint import heartbeat
from divsyn_jax.endpoint.client import Client
from divsyn_jax.synthesis.by_endpoint.run import spent


class AcceptanceBar:
    """Counts accepted answers as they come in.

    Answers are looked at again in the order of their cells, since which of two near duplicates
    stays must not depend on which came first. That look runs far behind the answers, so a count of
    what has passed it stands still for minutes and foretells nothing. Here an answer counts when it
    passes by itself, and is taken back in the rare case that it turns out to repeat an earlier one.
    """

    def __init__(self, bar: Any, clients: Sequence[Client]) -> None:
        self._bar, self._clients = bar, clients
        self._rejected = 0

    def accept(self) -> None:
        """One answer passed whatever can be asked of it alone."""
        self._advance(1)

    def reject(self) -> None:
        """One answer did not."""
        self._rejected += 1
        self._advance(0)

    def take_back(self) -> None:
        """An accepted answer repeats another: it is rejected after all."""
        self._rejected += 1
        self._advance(-1)

    def words(self) -> str:
        """Answers rejected, calls in flight, and what all calls cost, for display."""
        in_flight = sum(client.in_flight for client in self._clients)
        return f"{self._rejected} rejected, {in_flight} in flight, {spent(self._clients)}"

    def _advance(self, count: int) -> None:
        self._bar.set_postfix_str(self.words(), refresh=False)
        self._bar.update(count)


@contextlib.asynccontextmanager
async def acceptance_bar(
    clients: Sequence[Client], total: int | None, name: str, unit: str
) -> AsyncIterator[AcceptanceBar]:
    """Show on standard error how many of `total` answers are accepted while the block runs."""
    with tqdm(total=total, desc=name, unit=unit, mininterval=1, file=sys.stderr) as bar:
        counted = AcceptanceBar(bar, clients)
        async with heartbeat.shown_on(bar, counted.words):
            yield counted
