"""A server of one core's speed: what it works on is shared by all calls in flight."""

import asyncio

import pytest

from divsyn_jax.endpoint.client import Client, EndpointStopped
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.outcomes import AttemptFailed
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint import virtual_time
from tests.endpoint.questions import question


class OneCore:
    """A transport to a server that needs `work` seconds a call, with one core for all of them.

    It goes on with calls whose client has gone when `stubborn`."""

    def __init__(self, work, stubborn=False):
        self.work, self.stubborn = work, stubborn
        self.left, self.most, self.sent = {}, 0, 0

    async def serve(self):
        step = self.work / 20
        while True:
            await asyncio.sleep(step)
            for call in list(self.left):
                self.left[call] -= step / len(self.left)
            self.left = {call: left for call, left in self.left.items() if left > 0}

    async def send(self, body, name, timeout_s, count):
        self.sent += 1
        call = object()
        self.left[call] = self.work
        self.most = max(self.most, len(self.left))
        waited, step = 0.0, self.work / 20
        while call in self.left:
            if waited >= timeout_s:
                if not self.stubborn:
                    del self.left[call]
                raise AttemptFailed(
                    f"no answer within {timeout_s:g} s", congested=True, timed_out=True
                )
            await asyncio.sleep(step)
            waited += step
        return Reply('{"a": 1, "b": 2, "note": "x"}', "stop", False, 100, 10, True, None)

    async def close(self):
        pass


def ask(core, documents=20, **changes):
    settings = EndpointSettings("http://localhost/v1", "test", **changes)

    async def run():
        serving = asyncio.create_task(core.serve())
        async with Client(settings, None) as client:
            client._sender._transport = core
            answers = await asyncio.gather(
                *(client.complete(question(number)) for number in range(documents)),
                return_exceptions=True,
            )
            shown = client.usage.spent()
        serving.cancel()
        return answers, client, shown

    return virtual_time.run(run())


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("work", [1.0, 10.0, 25.0])
def test_the_defaults_finish_twenty_documents(work, stubborn):
    answers, client, _ = ask(OneCore(work, stubborn))
    assert not [each for each in answers if isinstance(each, Exception)]
    assert client.usage.total.failed == 0


def test_time_outs_lower_the_calls_in_flight():
    core = OneCore(1.0)
    answers, client, _ = ask(core, timeout_s=12.0, deadline_s=60.0)
    assert not [each for each in answers if isinstance(each, Exception)]
    assert core.most == 16
    assert client._sender._limiter.limit <= 8
    assert core.sent < 60


def test_a_call_that_takes_too_long_alone_ends_with_the_flags_that_would_fit():
    answers, _, shown = ask(OneCore(500.0), documents=4)
    assert all(isinstance(each, EndpointStopped) for each in answers)
    for part in ("no answer within 120 s", "--concurrency=1", "--request_timeout="):
        assert part in str(answers[0])
    assert "\n" not in str(answers[0])
    assert "repeated" in shown
    assert "last: no answer within" in shown
    longer = float(str(answers[0]).split("--request_timeout=")[1].split()[0].rstrip(";,"))
    again, *_ = ask(
        OneCore(500.0), documents=4, concurrency=1, timeout_s=4 * longer, deadline_s=20 * longer
    )
    assert not [each for each in again if isinstance(each, Exception)]
