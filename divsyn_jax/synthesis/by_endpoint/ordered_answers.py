"""Many questions asked side by side, whose outcomes are taken in order."""

import asyncio
import collections
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from divsyn_jax.endpoint.client import Client

_Subject = TypeVar("_Subject")

# Calls prepared for each that may be in flight: an answer that takes long does not leave the others
# without work.
_AHEAD = 16


def ahead(clients: Iterable[Client]) -> int:
    """How many questions to hold prepared or answered, at most."""
    return _AHEAD * sum(client.settings.concurrency for client in clients)


async def in_order(
    items: Iterable[_Subject], start: Callable[[_Subject], "Pending"], most: int
) -> AsyncIterator["Pending"]:
    """Start the work of `items` in order, up to `most` tasks ahead of the one that is yielded.

    Ends what is left, at the end.
    """
    waiting: collections.deque[Pending] = collections.deque()
    left = iter(items)
    try:
        while True:
            while (
                sum(len(pending.tasks) for pending in waiting) < most
                and (item := next(left, None)) is not None
            ):
                waiting.append(start(item))
            if not waiting:
                return
            yield waiting[0]
            waiting.popleft()
    finally:
        tasks = [task for pending in waiting for task in pending.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Pending:
    """The tasks of one item, in order; work may add to them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []
