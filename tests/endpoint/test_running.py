"""Coroutines that pay for calls, run from programs with a life of their own."""

import asyncio
import signal

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import running


async def seven():
    return 7


def test_the_hosts_handler_outlives_the_loop():
    def handler(*_):
        pass

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with asyncio.Runner() as runner:
            assert running.run_stoppable(seven(), runner) == 7
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_running_event_loop_is_one_line_with_a_remedy_that_works():
    async def notebook():
        with pytest.raises(UserError, match="inside a running event loop") as raised:
            running.run_stoppable(seven())
        assert "\n" not in str(raised.value)
        return await asyncio.to_thread(running.run_stoppable, seven())

    assert asyncio.run(notebook()) == 7
