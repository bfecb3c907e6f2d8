"""Runs a coroutine that pays for calls, so that SIGTERM loses none of them."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.request import EndpointStopped

_Result = TypeVar("_Result")


def run_stoppable(
    main: Coroutine[Any, Any, _Result], runner: asyncio.Runner | None = None
) -> _Result:
    """`asyncio.run` (or, where a client outlives one run, `runner.run`), but SIGTERM cancels `main`
    alone: the clients inside receive and commit what is in flight.

    A handler that raises inside the loop would have every task cancelled, paid calls included.
    Raises `EndpointStopped` after SIGTERM; SIGINT does the same by asyncio's own means and raises
    KeyboardInterrupt. Signals reach the main thread only; in another one neither is handled. Raises
    `UserError` inside a running event loop."""
    if _inside_a_loop():
        main.close()
        raise UserError(
            "an endpoint cannot be asked from inside a running event loop (a notebook): run it in a"
            " thread, e.g. await asyncio.to_thread(score, ...)"
        )
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(main) if runner is None else runner.run(main)

    async def guarded() -> _Result:
        task, stopped = asyncio.current_task(), asyncio.Event()
        assert task is not None  # a runner makes a task of the coroutine that it is given

        def stop() -> None:
            stopped.set()
            task.cancel()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop)
        try:
            return await main
        except asyncio.CancelledError:
            if not stopped.is_set():
                raise
            raise EndpointStopped(
                "stopped by SIGTERM; what was answered is saved, run the same command to continue"
            ) from None
        finally:
            # Here: a loop that is closed with a handler of its own resets the signal, whoever
            # handles it by then.
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, before)

    before = signal.getsignal(signal.SIGTERM)
    return asyncio.run(guarded()) if runner is None else runner.run(guarded())


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
