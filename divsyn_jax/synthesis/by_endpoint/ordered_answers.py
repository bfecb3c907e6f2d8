"""Many questions asked side by side, whose outcomes are taken in order."""

import asyncio
import collections
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Generic, TypeVar

from divsyn_jax.endpoint.client import Client

_Subject = TypeVar("_Subject")
_Outcome = TypeVar("_Outcome")
_Asked = TypeVar("_Asked", bound="Pending[Any]")

# Calls prepared for each that may be in flight: an answer that takes long does not leave the others
# without work.
_AHEAD = 16


def ahead(clients: Iterable[Client]) -> int:
    """How many questions to hold prepared or answered, at most."""
    return _AHEAD * sum(client.settings.side_by_side for client in clients)


async def in_order(
    items: Iterable[_Subject], start: Callable[[_Subject], _Asked], most: int
) -> AsyncGenerator[_Asked, None]:
    """Start the work of `items` in order, up to `most` tasks ahead of the one that is yielded.

    Ends what is left, at the end.
    """
    waiting: collections.deque[_Asked] = collections.deque()
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


class Pending(Generic[_Outcome]):
    """The tasks of one item, in order; work may add to them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Future[_Outcome]] = []
