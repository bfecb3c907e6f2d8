"""Keeps a progress bar's words current while no answer comes, so that time-outs are seen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

INTERVAL_S = 5.0


@contextlib.asynccontextmanager
async def shown_on(progress: Any, words: Callable[[], str]) -> AsyncIterator[None]:
    """Show `words()` behind the tqdm bar `progress` every few seconds when they have changed."""

    async def beat() -> None:
        before = words()
        while True:
            await asyncio.sleep(INTERVAL_S)
            if (now := words()) != before:
                progress.set_postfix_str(now, refresh=True)
                before = now

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
