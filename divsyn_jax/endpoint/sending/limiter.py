"""How many calls are in flight: additive increase, multiplicative decrease, pauses and a circuit
breaker.

A refusal (HTTP 429, 503, 529) multiplies the limit by 0.75, once for all calls that were in flight
together, and pauses
every new call: for the server's Retry-After, else for a jittered, growing moment. 25 successes
raise the limit by one. A level that was refused is tried again only after 250 successes below it,
so that a server with a fixed limit is kept
busy instead of being run into: the sawtooth costs 2% of its throughput instead of 15%."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from divsyn_jax.endpoint.request import EndpointStopped

DECREASE = 0.75
SUCCESSES_PER_INCREASE = 25
SUCCESSES_BEFORE_REFUSED_LEVEL = 250
LONGEST_BACKOFF_S = 60.0
FAILURES_TO_BREAK = 20
# Failures alone do not break the circuit: a server that restarts answers nobody for some seconds.
OUTAGE_S = 30.0
LONGEST_QUIET_S = 120.0


@dataclass(frozen=True)
class CallSlot:
    """The right to have one call in flight, since `began` (loop time)."""

    began: float


class Limiter:
    """Admits calls to an endpoint. Belongs to one event loop, whose clock it uses.

    Args:
      ceiling: calls in flight, at most.
      backoff_s: upper end of the first pause after a refusal without Retry-After.
      timeout_s: longest time an attempt takes; the breaker waits for at least two of them.
      seed: of the jitter.
    """

    def __init__(self, ceiling: int, backoff_s: float, timeout_s: float, seed: int):
        self._ceiling = ceiling
        self._backoff_s = backoff_s
        self._longest_quiet_s = max(LONGEST_QUIET_S, 2 * timeout_s)
        self._random = random.Random(seed)
        self._limit = float(ceiling)
        self._in_flight = 0
        self._retries: deque[asyncio.Future] = deque()
        self._new: deque[asyncio.Future] = deque()
        self._paused_until = 0.0
        self._wake_at: asyncio.TimerHandle | None = None
        self._stopped: BaseException | None = None
        self._ended = asyncio.Event()
        self._successes = 0
        self._refused_level: int | None = None
        self._last_decrease = float("-inf")
        self._refusals_in_a_row = 0
        self._failures_in_a_row = 0
        self._quiet_since: float | None = None
        self.last_success = float("-inf")

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    @property
    def has_succeeded(self) -> bool:
        """Whether any call was ever answered."""
        return self.last_success > float("-inf")

    @contextlib.asynccontextmanager
    async def slot(self, retry: bool) -> AsyncIterator[CallSlot]:
        """Wait for a place among the calls in flight; retries come first, since their deadline is
        running.

        Raises what `stop` was given.
        """
        await self._acquire(self._retries if retry else self._new)
        try:
            now = asyncio.get_running_loop().time()
            if self._quiet_since is None:
                self._quiet_since = now
            yield CallSlot(began=now)
        finally:
            self._in_flight -= 1
            self._admit()

    def backoff(self, attempt: int) -> float:
        """Seconds to wait before repeating for the `attempt`-th time (from 0):

        full jitter, at most a minute.
        """
        return self._random.uniform(
            0, min(LONGEST_BACKOFF_S, self._backoff_s * 2 ** min(attempt, 16))
        )

    async def pause(self, seconds: float) -> None:
        """Wait before repeating a call; `stop` ends the wait."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def succeeded(self) -> None:
        """A call was answered."""
        self.last_success = self._quiet_since = asyncio.get_running_loop().time()
        self._refusals_in_a_row = self._failures_in_a_row = 0
        self._successes += 1
        at_refused_level = self._refused_level is not None and self.limit + 1 == self._refused_level
        if self._successes < (
            SUCCESSES_BEFORE_REFUSED_LEVEL if at_refused_level else SUCCESSES_PER_INCREASE
        ):
            return
        if self._refused_level is not None and self.limit >= self._refused_level:
            self._refused_level = None  # it holds now: the server has recovered
        self._successes = 0
        self._limit = min(self._ceiling, self._limit + 1)
        self._admit()

    def refused(self, slot: CallSlot, retry_after: float | None) -> None:
        """The server asked for fewer calls, perhaps for a pause of `retry_after` seconds."""
        now = asyncio.get_running_loop().time()
        if slot.began > self._last_decrease:
            self._refused_level = max(self.limit, 2)
            self._limit = max(1.0, self._limit * DECREASE)
            self._last_decrease = now
            self._successes = 0
            pause = self.backoff(self._refusals_in_a_row) if retry_after is None else retry_after
            self._refusals_in_a_row += 1
            self._paused_until = max(self._paused_until, now + pause)
        elif retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        self.failed()

    def failed(self) -> None:
        """A call was not answered; trips the breaker when nothing is."""
        self._failures_in_a_row += 1
        quiet = asyncio.get_running_loop().time() - (self._quiet_since or 0.0)
        if quiet >= self._longest_quiet_s or (
            self._failures_in_a_row >= FAILURES_TO_BREAK and quiet >= OUTAGE_S
        ):
            self.stop(
                EndpointStopped(
                    f"the endpoint answered none of the last {self._failures_in_a_row} calls in"
                    f" {quiet:.0f} s; what was answered is saved, run the same command to continue"
                )
            )

    def stop(self, error: BaseException) -> None:
        """Admit no more calls: whoever waits or comes gets `error`.

        Calls in flight end by themselves.
        """
        if self._stopped is None:
            self._stopped = error
            self._ended.set()
        for waiters in (self._retries, self._new):
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(self._stopped)

    def check(self) -> None:
        """Raises what `stop` was given."""
        if self._stopped is not None:
            raise self._stopped

    async def _acquire(self, waiters: deque[asyncio.Future]) -> None:
        self.check()
        waiter = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if (
                waiter.done() and not waiter.cancelled() and waiter.exception() is None
            ):  # admitted, then cancelled
                self._in_flight -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._in_flight < self.limit and (self._retries or self._new):
            if loop.time() < self._paused_until:
                if self._wake_at is None or self._wake_at.when() < self._paused_until:
                    if self._wake_at is not None:
                        self._wake_at.cancel()
                    self._wake_at = loop.call_at(self._paused_until, self._wake)
                return
            waiter = (self._retries or self._new).popleft()
            if not waiter.done():
                self._in_flight += 1
                waiter.set_result(None)

    def _wake(self) -> None:
        self._wake_at = None
        self._admit()
