"""What a run may still spend:

calls are counted before they are sent, cost is reserved at its upper end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.usage import Usage


class Budget:
    """Admits a call while --max_calls and --max_cost allow it. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings, usage: Usage):
        self._settings = settings
        self._usage = usage
        self._calls = 0
        # One entry a call in flight: what is left of a sum after subtracting its parts is not
        # always 0, and a call that waits for it to be would wait for ever.
        self._held: list[float] = []
        self._settled = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def call(self, prompt_tokens: int, completion_tokens: int) -> AsyncIterator[None]:
        """Hold the price of a call of at most so many tokens while it is in flight.

        Waits for calls in flight to turn out cheaper; raises `EndpointStopped` when nothing more
        can come of that."""
        settings = self._settings
        if settings.max_calls is not None and self._calls >= settings.max_calls:
            raise self._exhausted(f"--max_calls={settings.max_calls}")
        self._calls += 1
        most = settings.cost(prompt_tokens, completion_tokens) or 0.0
        if settings.max_cost is not None:
            async with self._settled:
                while (self._usage.cost or 0.0) + sum(self._held) + most > settings.max_cost:
                    if not self._held:
                        self._calls -= 1
                        raise self._exhausted(f"--max_cost={settings.max_cost:g}")
                    await self._settled.wait()
                self._held.append(most)
        try:
            yield
        finally:
            if settings.max_cost is not None:
                async with self._settled:
                    self._held.remove(most)
                    self._settled.notify_all()

    def _exhausted(self, limit: str) -> EndpointStopped:
        spent = f"{self._calls} calls" + (
            f", cost {self._usage.cost:.4f}" if self._usage.cost is not None else ""
        )
        return EndpointStopped(
            f"stopped at {limit} ({spent} in this run); what was answered is saved, run the same"
            " command to continue"
        )
