"""The client against a server that fails in every way it knows."""

import asyncio
import contextlib
import sqlite3

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.client import Client, ContentFailure, EndpointStopped
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.outcomes import AttemptFailed
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint import virtual_time
from tests.endpoint.questions import question


def ask(settings, requests, cache=None):
    """Ask all at once; answers or exceptions in order, and the client."""

    async def run():
        async with Client(settings, cache) as client:
            results = await asyncio.gather(*map(client.complete, requests), return_exceptions=True)
        return results, client

    return asyncio.run(run())


def values(results):
    return [answer.value for answer in results]


def test_fault_mixture_gives_the_faultless_answers(serve):
    requests = [question(number) for number in range(150)]
    calm, _ = ask(serve().settings(), requests)
    server = serve(faults=0.3, slow_s=0.2)
    rough, client = ask(server.settings(), requests)
    assert values(rough) == values(calm)
    kinds = {call["fault"] for call in server.calls()}
    assert len(kinds) > 10, kinds  # every kind of fault was met
    counts = client.usage.total
    assert counts.calls == len(server.calls())
    assert counts.re_asks > 0
    assert counts.retries > 0
    assert counts.failed == 0


def test_tokens_of_unusable_answers_are_counted(serve):
    server = serve(always="wrong_keys")
    (failure,), client = ask(server.settings(price_input=1.0, price_output=10.0), [question(0)])
    assert isinstance(failure, ContentFailure)
    assert failure.outcome == "invalid"
    assert failure.problems == [f"the object lacks the key {key!r}" for key in ("a", "b", "note")]
    counts = client.usage.of("cluster")
    assert (counts.calls, counts.re_asks, counts.failed) == (2, 1, 1)
    assert counts.prompt_tokens > 0
    assert client.usage.cost == pytest.approx(
        (counts.prompt_tokens + 10 * counts.completion_tokens) / 1e6
    )


@pytest.mark.parametrize(
    ("always", "outcome", "calls"),
    [
        ("finish:length", "length", 2),
        ("finish:content_filter", "content_filter", 1),
        ("empty", "invalid", 2),
    ],
)
def test_outcomes_have_names(serve, always, outcome, calls):
    server = serve(always=always)
    (failure,), _ = ask(server.settings(), [question(0)])
    assert isinstance(failure, ContentFailure)
    assert failure.outcome == outcome
    assert len(server.calls()) == calls


def test_the_check_is_asked_about_again_in_its_own_words(serve):
    server = serve()
    (failure,), _ = ask(
        server.settings(), [question(0, check=lambda value: ["the note is too dull"])]
    )
    assert isinstance(failure, ContentFailure)
    assert failure.problems == ["the note is too dull"]


def test_one_poisoned_request_is_its_own_failure(serve):
    server = serve(always="status:500", only="number 3.", latency_s=0.05)
    requests = [question(number) for number in range(40)]
    results, _ = ask(server.settings(concurrency=2, deadline_s=0.5), requests)
    assert [number for number, result in enumerate(results) if isinstance(result, Exception)] == [3]
    assert isinstance(results[3], ContentFailure)
    assert results[3].outcome == "unanswered"


@pytest.mark.parametrize(
    ("status", "fragments"),
    [
        (401, ["OPENAI_API_KEY"]),
        (403, ["OPENAI_API_KEY", "--model=test"]),
        (404, ["--model=test", "/v1"]),
    ],
)
def test_a_wrong_key_model_or_address_is_one_line(serve, status, fragments):
    server = serve(always=f"status:{status}")
    results, _ = ask(server.settings(concurrency=1), [question(number) for number in range(5)])
    assert len(server.calls()) == 1  # nobody else tries
    for result in results:
        assert isinstance(result, UserError)
        assert "\n" not in str(result)
        assert all(fragment in str(result) for fragment in fragments)


def test_nobody_at_the_address(serve):
    settings = serve().settings(base_url="http://127.0.0.1:9/v1")
    (error,), _ = ask(settings, [question(0)])
    assert isinstance(error, UserError)
    assert "--base_url=http://127.0.0.1:9/v1" in str(error)


def test_a_server_that_always_fails_stops_the_run_at_the_deadline(serve):
    server = serve(always="500")
    results, _ = ask(server.settings(deadline_s=0.5), [question(number) for number in range(40)])
    assert all(isinstance(result, EndpointStopped) for result in results)


def test_a_long_retry_after_stops_the_run_at_once(serve):
    server = serve(always="429_retry_after", retry_after=3600)
    (stopped,), _ = ask(server.settings(), [question(0)])
    assert isinstance(stopped, EndpointStopped)
    assert "3600 s" in str(stopped)
    assert len(server.calls()) == 1


def test_repeated_run_pays_nothing_and_needs_neither_key_nor_server(serve, tmp_path):
    server = serve()
    requests = [question(number) for number in range(20)]
    first, client = ask(
        server.settings(price_input=1.0, price_output=1.0), requests, tmp_path / "cache.sqlite"
    )
    again, warm = ask(
        server.settings(price_input=1.0, price_output=1.0), requests, tmp_path / "cache.sqlite"
    )
    assert values(again) == values(first)
    assert all(answer.cached for answer in again)
    assert len(server.calls()) == 20
    assert (warm.usage.total.calls, warm.usage.total.cached_calls, warm.usage.cost) == (0, 20, 0.0)
    assert warm.usage.cost_with_cached == client.usage.cost
    assert warm._sender._transport is None


@pytest.mark.parametrize("changed", [{"model": "other"}, {"temperature": 1.0}, {"seed": 1}])
def test_what_determines_an_answer_is_in_the_key(serve, tmp_path, changed):
    server = serve()
    ask(server.settings(), [question(0)], tmp_path / "cache.sqlite")
    (answer,), _ = ask(server.settings(**changed), [question(0)], tmp_path / "cache.sqlite")
    assert not answer.cached
    (answer,), _ = ask(
        server.settings(timeout_s=7.0, concurrency=3), [question(0)], tmp_path / "cache.sqlite"
    )
    assert answer.cached


def test_more_room_to_reason_pays_for_no_answer_again_and_is_within_the_budget(serve, tmp_path):
    server, cache = serve(), tmp_path / "cache.sqlite"
    ask(server.settings(), [question(0)], cache)
    (answer,), _ = ask(server.settings(reasoning_tokens=4000), [question(0)], cache)
    assert answer.cached
    priced = server.settings(
        reasoning_tokens=1_000_000, price_input=1.0, price_output=1.0, max_cost=0.5
    )
    (stopped,), _ = ask(priced, [question(1)], cache)
    assert isinstance(stopped, EndpointStopped)
    assert len(server.calls()) == 1


def test_the_same_question_twice_at_once_is_paid_once_and_another_identity_is_another_question(
    serve,
):
    server = serve(latency_s=0.1)
    other = question(0, identity={"draw": 0, "attempt": 1})
    results, client = ask(server.settings(), [question(0), question(0), other])
    assert len(server.calls()) == 2
    assert values(results[:1]) == values(results[1:2])
    assert client.usage.total.cached_calls == 1


@pytest.mark.parametrize(
    "limit", [{"max_calls": 7}, {"max_cost": 0.0003, "price_input": 1.0, "price_output": 1.0}]
)
def test_budget_stops_and_the_next_run_continues(serve, tmp_path, limit):
    server = serve()
    requests = [question(number) for number in range(20)]
    runs = 0
    while True:
        results, client = ask(
            server.settings(concurrency=4, **limit), requests, tmp_path / "cache.sqlite"
        )
        runs += 1
        if not any(isinstance(result, EndpointStopped) for result in results):
            break
        assert client.usage.total.calls > 0  # every run gets on
        if "max_calls" in limit:
            assert client.usage.total.calls == 7
        else:
            assert client.usage.cost <= 0.0003
    assert runs >= 3
    assert len(server.calls()) == 20


def test_what_is_in_flight_when_the_run_ends_is_committed(serve, tmp_path):
    server = serve(latency_s=0.3)

    async def run():
        async with Client(server.settings(concurrency=4), tmp_path / "cache.sqlite") as client:
            tasks = [asyncio.create_task(client.complete(question(number))) for number in range(10)]
            await asyncio.sleep(0.15)
            for task in tasks:
                task.cancel()

    asyncio.run(run())
    assert len(server.paid()) == 4
    ask(server.settings(), [question(number) for number in range(10)], tmp_path / "cache.sqlite")
    assert len(server.paid()) == 10


class Slow:
    """A transport whose every answer takes `seconds`, the first attempt of question 1 a refusal to
    be repeated later.
    """

    def __init__(self, seconds):
        self.seconds, self.sent = seconds, []

    async def send(self, body, name, timeout_s, count):
        self.sent.append(body["messages"][1]["content"])
        if self.sent[-1].endswith("number 1."):
            raise AttemptFailed("HTTP 429", congested=True, retry_after=500.0)
        await asyncio.sleep(self.seconds)
        return Reply('{"a": 1, "b": 2, "note": "x"}', "stop", False, 100, 10, True, None)

    async def close(self):
        pass


def test_the_longest_call_is_waited_for_when_the_run_ends_and_nothing_else(tmp_path):
    settings = EndpointSettings("http://localhost/v1", "test", timeout_s=200.0)
    slow = Slow(seconds=190.0)

    async def interrupted():
        async with Client(settings, tmp_path / "cache.sqlite") as client:
            client._sender._transport = slow
            tasks = [asyncio.create_task(client.complete(question(number))) for number in range(2)]
            await asyncio.sleep(1)
            for task in tasks:
                task.cancel()
        return asyncio.get_running_loop().time()

    assert virtual_time.run(interrupted()) == pytest.approx(190, abs=1)
    assert len(slow.sent) == 2

    async def known():
        async with Client(settings, tmp_path / "cache.sqlite") as client:
            return [client.cached(question(number)) is not None for number in range(2)]

    assert asyncio.run(known()) == [True, False]


def test_a_damaged_cache_is_one_line(serve, tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(UserError, match="cache.sqlite: the answer cache cannot be used") as raised:
        ask(serve().settings(), [question(0)], path)
    assert "\n" not in str(raised.value)


def test_an_answer_damaged_in_the_cache_is_one_line(serve, tmp_path):
    path, settings = tmp_path / "cache.sqlite", serve().settings()
    ask(settings, [question(0)], path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET value = substr(value, 1, 5)")
    (error,), _ = ask(settings, [question(0)], path)
    assert isinstance(error, UserError)
    assert "cache.sqlite" in str(error)
    assert "\n" not in str(error)
