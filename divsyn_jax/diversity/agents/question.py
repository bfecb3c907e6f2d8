"""A question about the documents of one draw, put in fresh orders until its answer is usable.

Shapes: K documents a draw.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from divsyn_jax.endpoint.client import Client, ContentFailure, Request
from divsyn_jax.endpoint.fence import Fenced, fence

_ORDERS = 2  # a draw is asked in this many orders before it counts as failed


class Question:
    """The documents of one draw, asked about in one order after another until an answer is
    usable.
    """

    def __init__(
        self,
        client: Client,
        texts: list[str],
        identity: dict[str, Any],
        rng: np.random.Generator,
        seed: int,
        characters: int,
    ) -> None:
        self._client, self._texts, self._identity, self._rng = client, texts, identity, rng
        self._seed, self._characters = seed, characters

    async def answer(
        self,
        purpose: str,
        order_K: np.ndarray,
        request: Callable[[Fenced, np.ndarray, dict[str, Any]], Request],
    ) -> tuple[dict[str, Any], np.ndarray, Sequence[str]]:
        """(value, order it was given for, tags in that order). Raises the last `ContentFailure`.

        An answer that a fresh order gave in an earlier run counts before the first order is asked
        anew."""
        orders = [order_K, *(self._rng.permutation(len(self._texts)) for _ in range(1, _ORDERS))]
        asked = []
        for attempt, order_K in enumerate(orders):
            identity = {**self._identity, "attempt": attempt}
            shown = fence(
                [self._texts[place] for place in order_K],
                f"{self._seed} {purpose} {sorted(identity.items())}",
                self._characters,
            )
            asked.append((request(shown, order_K, identity), order_K, shown.tags))
        for question, order_K, tags in reversed(asked):
            if (known := self._client.cached(question)) is not None:
                return known.value, order_K, tags
        for question, order_K, tags in asked:
            try:
                return (await self._client.complete(question)).value, order_K, tags
            except ContentFailure as failure:
                last = failure
        raise last
