"""The limiter in virtual time, against a simulated server of a known capacity."""

import asyncio
import random

import pytest

from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.sending.limiter import Limiter
from tests.endpoint.virtual_time import run


class Capacity:
    """A server that works on `capacity` calls at a time, each for about `latency` seconds."""

    def __init__(self, capacity, latency=1.0, retry_after=None):
        self.capacity, self.latency, self.retry_after = capacity, latency, retry_after
        self.active = self.served = self.refused = 0
        self.random = random.Random(0)

    async def call(self, limiter, retry=False):
        """One attempt through the limiter; whether it was served."""
        async with limiter.slot(retry) as slot:
            if self.active >= self.capacity:
                self.refused += 1
                await asyncio.sleep(0.02)
                limiter.refused(slot, self.retry_after)
                return False
            self.active += 1
            await asyncio.sleep(self.latency * self.random.uniform(0.8, 1.2))
            self.active -= 1
            self.served += 1
            limiter.succeeded()
            return True


async def keep_busy(server, limiter, seconds, workers=64):
    """As many callers as it takes, for so long."""
    end = asyncio.get_running_loop().time() + seconds

    async def work():
        attempt = 0
        while asyncio.get_running_loop().time() < end:
            served = await server.call(limiter, retry=attempt > 0)
            attempt = 0 if served else attempt + 1
            if not served:
                await asyncio.sleep(limiter.backoff(attempt - 1))

    await asyncio.gather(*(work() for _ in range(workers)))


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("capacity", [4, 8, 12, 16, 40])
def test_throughput_is_at_least_90_percent_of_what_the_server_admits(capacity, retry_after):
    async def scenario():
        server, limiter = (
            Capacity(capacity, retry_after=retry_after),
            Limiter(16, 0.5, 60.0, seed=0),
        )
        await keep_busy(server, limiter, 600)
        return server

    server = run(scenario())
    admitted = min(capacity, 16) * 600 / server.latency
    assert server.served >= 0.9 * admitted, server.served / admitted
    assert server.refused <= 0.02 * server.served + 16


def test_recovers_when_the_server_does():
    async def scenario():
        server, limiter = Capacity(2), Limiter(16, 0.5, 60.0, seed=0)
        await keep_busy(server, limiter, 120)
        narrow = limiter.limit
        server.capacity = 100
        before = server.served
        await keep_busy(server, limiter, 300)
        return narrow, limiter.limit, server.served - before

    narrow, wide, served = run(scenario())
    assert narrow <= 3
    assert wide == 16
    assert served > 0.5 * 16 * 300


def test_one_wave_of_refusals_counts_once():
    async def scenario():
        limiter = Limiter(16, 0.5, 60.0, seed=0)
        await asyncio.gather(*(Capacity(0).call(limiter) for _ in range(16)))
        return limiter.limit

    assert run(scenario()) == 12


def test_retry_after_pauses_everybody_and_waiting_holds_no_slot():
    async def scenario():
        loop, limiter = asyncio.get_running_loop(), Limiter(4, 0.5, 600.0, seed=0)
        await Capacity(0, retry_after=50.0).call(limiter)
        began = []

        async def call():
            async with limiter.slot(retry=False):
                began.append(loop.time())

        await asyncio.gather(*(call() for _ in range(8)))
        return began

    assert all(time >= 50.0 for time in run(scenario()))


def test_retries_go_before_new_calls():
    async def scenario():
        limiter, order = Limiter(1, 0.5, 60.0, seed=0), []

        async def call(name, retry):
            async with limiter.slot(retry):
                await asyncio.sleep(1)
                order.append(name)

        calls = [call("first", False), *(call("new", False) for _ in range(3)), call("retry", True)]
        await asyncio.gather(*calls)
        return order

    assert run(scenario())[:2] == ["first", "retry"]


def test_a_cancelled_caller_gives_its_slot_back():
    async def scenario():
        limiter = Limiter(1, 0.5, 60.0, seed=0)
        server = Capacity(1)
        running = asyncio.create_task(server.call(limiter))
        waiting = asyncio.create_task(server.call(limiter))
        await asyncio.sleep(0.1)
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        server.active = 0
        return await server.call(limiter)

    assert run(scenario())


def failing(share, seconds):
    """Keep failing at random through a limiter; the loop's time at which it gave up, or None."""

    async def scenario():
        loop, limiter, rng = (
            asyncio.get_running_loop(),
            Limiter(16, 0.5, 10.0, seed=0),
            random.Random(1),
        )

        async def work():
            attempt = 0
            while loop.time() < seconds:
                async with limiter.slot(retry=attempt > 0):
                    await asyncio.sleep(1)
                    failed = rng.random() < share
                    if failed:
                        limiter.failed()
                    else:
                        limiter.succeeded()
                attempt = attempt + 1 if failed else 0
                if failed:
                    await asyncio.sleep(limiter.backoff(attempt))

        try:
            await asyncio.gather(*(work() for _ in range(32)))
        except EndpointStopped as stop:
            return loop.time(), str(stop)
        return None

    return run(scenario())


def test_breaker_trips_on_an_outage_within_a_minute_and_says_so():
    time, message = failing(1.0, 3600)
    assert 30 <= time <= 60
    assert "\n" not in message
    assert "run the same command to continue" in message


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_breaker_does_not_trip_while_some_calls_succeed(share):
    assert failing(share, 900) is None


def test_backoff_is_full_jitter_up_to_a_minute():
    limiter = Limiter(1, 0.5, 60.0, seed=0)
    for attempt, most in ((0, 0.5), (3, 4.0), (30, 60.0)):
        waits = [limiter.backoff(attempt) for _ in range(2000)]
        assert max(waits) <= most
        assert max(waits) > 0.95 * most
        assert min(waits) < 0.05 * most
