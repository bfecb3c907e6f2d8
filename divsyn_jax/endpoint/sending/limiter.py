"""How many calls are in flight: additive increase, multiplicative decrease, pauses and a circuit
breaker.

A refusal (HTTP 429, 503, 529) multiplies the limit by 0.75, once for all calls that were in flight
together, and pauses
every new call: for the server's Retry-After, else for a jittered, growing moment. 25 successes
raise the limit by one. A level that was refused is tried again only after 250 successes below it,
so that a server with a fixed limit is kept
busy instead of being run into: the sawtooth costs 2% of its throughput instead of 15%. A time-out
is congestion too: a server that shares one core among all calls answers none of too many in
time."""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from divsyn_jax.endpoint.request import EndpointStopped

DECREASE = 0.75
# A time-out costs --request_timeout and a call's work: half as many calls at once, then.
TIME_OUT_DECREASE = 0.5
SUCCESSES_PER_INCREASE = 25
SUCCESSES_BEFORE_REFUSED_LEVEL = 250
LONGEST_BACKOFF_S = 60.0
FAILURES_TO_BREAK = 20
# Failures alone do not break the circuit: a server that restarts answers nobody for some seconds.
OUTAGE_S = 30.0
LONGEST_QUIET_S = 120.0
ALONE_TO_BREAK = 3  # calls that time out alone, one after another


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
        self._timeout_s = timeout_s
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
        self._alone_in_a_row = 0
        self._says = ""
        # Seconds of the server's work a call, as if it worked on one at a time; None before one was
        # answered or was too slow.
        self._work_s: float | None = None
        self._answered_work = False
        self.last_success = float("-inf")

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Calls that are in flight now."""
        return self._in_flight

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

    def succeeded(self, slot: CallSlot | None = None) -> None:
        """A call was answered; `slot` where the time it took is that of an answer."""
        if slot is not None:
            took = asyncio.get_running_loop().time() - slot.began
            work = took / max(1, self._in_flight)
            known = self._work_s if self._answered_work else None
            self._work_s = work if known is None else 0.8 * known + 0.2 * work
            self._answered_work = True
        self.last_success = self._quiet_since = asyncio.get_running_loop().time()
        self._refusals_in_a_row = self._failures_in_a_row = self._alone_in_a_row = 0
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

    def refused(self, slot: CallSlot, retry_after: float | None, says: str = "") -> None:
        """The server asked for fewer calls, perhaps for a pause of `retry_after` seconds."""
        now = asyncio.get_running_loop().time()
        if slot.began > self._last_decrease:
            self._decrease(DECREASE)
            pause = self.backoff(self._refusals_in_a_row) if retry_after is None else retry_after
            self._refusals_in_a_row += 1
            self._paused_until = max(self._paused_until, now + pause)
        elif retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        self.failed(says)

    def timed_out(self, slot: CallSlot) -> None:
        """The server did not answer in time: perhaps there are too many calls in flight for it.

        No outage while fewer can be tried."""
        if not self._answered_work:  # it takes longer than that, whatever it takes
            took = asyncio.get_running_loop().time() - slot.began
            self._work_s = max(self._work_s or 0.0, took / max(1, self._in_flight))
        # What the server still does for calls given up may delay one that is alone.
        self._alone_in_a_row += self.limit == 1
        if slot.began > self._last_decrease:
            self._decrease(TIME_OUT_DECREASE)
        self._says = f"no answer within {self._timeout_s:g} s"
        if self._alone_in_a_row >= ALONE_TO_BREAK:
            self.failed(self._says)

    def advice(self) -> str:
        """What settings would fit the speed that was measured."""
        work = self._work_s or self._timeout_s
        if not self._answered_work and self._limit < 2:
            # Nothing came from calls one at a time: the speed is known from below only.
            longer = math.ceil(4 * max(self._timeout_s, work))
            return (
                f"one call at a time takes longer than {self._timeout_s:g} s: try --concurrency=1"
                f" --request_timeout={longer} --request_deadline={5 * longer}"
            )
        known = "" if self._answered_work else "at least "
        fits = max(1, min(self._ceiling, int(self._timeout_s / (2 * work))))
        longer = math.ceil(max(self._timeout_s, 2 * work * fits))
        return (
            f"a call takes the server {known}{work:.3g} s of work, so --concurrency={fits} fits"
            f" --request_timeout={longer}, and --concurrency={self._ceiling} would take"
            f" --request_timeout={math.ceil(2 * work * self._ceiling)}"
        )

    def failed(self, says: str = "") -> None:
        """A call was not answered, the endpoint `says` why; trips the breaker when nothing is."""
        self._says = says or self._says
        self._failures_in_a_row += 1
        quiet = asyncio.get_running_loop().time() - (self._quiet_since or 0.0)
        if quiet >= self._longest_quiet_s or (
            self._failures_in_a_row >= FAILURES_TO_BREAK and quiet >= OUTAGE_S
        ):
            said = f" (last: {self._says})" if self._says else ""
            hint = f"; {self.advice()}" if self._says.startswith("no answer within") else ""
            self.stop(
                EndpointStopped(
                    f"the endpoint answered none of the last {self._failures_in_a_row} calls in"
                    f" {quiet:.0f} s{said}{hint}; what was answered is saved, run the same command"
                    " to continue"
                )
            )

    def _decrease(self, factor: float) -> None:
        self._refused_level = max(self.limit, 2)
        self._limit = max(1.0, self._limit * factor)
        self._last_decrease = asyncio.get_running_loop().time()
        self._successes = 0

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
