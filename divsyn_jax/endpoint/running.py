"""Runs a coroutine that pays for calls, so that SIGTERM loses none of them."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from divsyn_jax.endpoint.request import EndpointStopped

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], runner: asyncio.Runner | None = None) -> T:
    """`asyncio.run` (or, where a client outlives one run, `runner.run`), but SIGTERM cancels `main` alone: the clients inside receive and commit what is in flight.

    A handler that raises inside the loop would have every task cancelled, paid calls included. Raises `EndpointStopped`
    after SIGTERM; SIGINT does the same by asyncio's own means and raises KeyboardInterrupt. Main thread only.
    """

    async def guarded() -> T:
        task, stopped = asyncio.current_task(), asyncio.Event()

        def stop() -> None:
            stopped.set()
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        try:
            return await main
        except asyncio.CancelledError:
            if not stopped.is_set():
                raise
            raise EndpointStopped(
                "stopped by SIGTERM; what was answered is saved, run the same command to continue"
            ) from None

    before = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(guarded()) if runner is None else runner.run(guarded())
    finally:
        signal.signal(signal.SIGTERM, before)
