"""An event loop whose clock jumps to the next timer:

hours of waiting take milliseconds and depend on nothing.
"""

import asyncio


class _JumpingSelector:
    def __init__(self, loop, selector):
        self._loop, self._selector = loop, selector

    def select(self, timeout=None):
        if timeout:
            self._loop.now += timeout
        return self._selector.select(0)

    def __getattr__(self, name):
        return getattr(self._selector, name)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._selector = _JumpingSelector(self, self._selector)

    def time(self):
        return self.now


def run(coroutine):
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
