"""Files of requests and results: what is written, what is taken, and what is foreign."""

import asyncio
import json
import os

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.client import Client, ContentFailure, EndpointStopped
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint.questions import question

SECRET = "sk-very-secret-0123456789"


def ask(folder, count=4, **settings):
    """Answers to `count` questions, or (failure of each) where they fail, and the usage."""
    settings = {"base_url": "https://nowhere.example/v1", "model": "test", **settings}

    async def work():
        async with Client(EndpointSettings(**settings), folder / "cache.sqlite") as client:
            found = await asyncio.gather(
                *(client.complete(question(number)) for number in [*range(count), 0]),
                return_exceptions=True,
            )
            client.settle()
            return found[:-1], client.usage.total

    found, usage = asyncio.run(work())
    for each in found:
        if isinstance(each, EndpointStopped | UserError):
            raise each
    return found, usage


def written(folder, **settings):
    """The requests of the next stage."""
    with pytest.raises(EndpointStopped) as stop:
        ask(folder, batch_out=folder / "requests.jsonl", **settings)
    lines = (folder / "requests.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], str(stop.value)


def answer_to(request, **changes):
    """A line of results that answers a request as its schema asks."""
    schema = request["body"]["response_format"]["json_schema"]["schema"]
    value = {
        key: each["enum"][0] if "enum" in each else {"integer": 3}.get(each["type"], "yes")
        for key, each in schema["properties"].items()
    }
    message = {"role": "assistant", "content": json.dumps(value)}
    body = {
        "id": "chat-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 7},
    }
    line = {"custom_id": request["custom_id"], "error": None}
    return {**line, "response": {"status_code": 200, "body": body}, **changes}


def results_of(folder, *lines, name="results.jsonl"):
    text = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / name).write_bytes(b"".join(line + b"\n" for line in text))
    return {"batch_in": (str(folder / name),)}


def test_requests_are_the_bodies_of_calls_each_once_and_the_same_in_every_run(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    requests, said = written(tmp_path)
    assert "4 requests to answer" in said
    assert "--batch_in=RESULTS" in said
    assert [set(request) for request in requests] == [{"custom_id", "method", "url", "body"}] * 4
    assert len({request["custom_id"] for request in requests}) == 4
    first = requests[0]
    assert (first["method"], first["url"]) == ("POST", "/v1/chat/completions")
    assert {"model", "messages", "temperature", "max_tokens", "seed", "response_format"} == set(
        first["body"]
    )
    before = (tmp_path / "requests.jsonl").read_bytes()
    assert SECRET.encode() not in before
    again, said = written(tmp_path)
    assert (tmp_path / "requests.jsonl").read_bytes() == before
    assert "asked again: 4 missing" in said
    (tmp_path / "elsewhere").mkdir()
    assert written(tmp_path / "elsewhere")[0] == requests == again
    assert sorted(path.name for path in tmp_path.iterdir() if "cache" not in path.name) == [
        "elsewhere",
        "requests.jsonl",
    ]


def test_answers_are_taken_once_counted_once_and_paid_by_no_call(tmp_path):
    requests, _ = written(tmp_path)
    files = results_of(tmp_path, *map(answer_to, requests))
    found, usage = ask(tmp_path, **files)
    assert all(answer.request_id == "chat-1" for answer in found)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (4, 4000, 28)
    found, usage = ask(tmp_path, **files)  # the same command again
    assert all(answer.cached for answer in found)
    assert (usage.calls, usage.cached_prompt_tokens) == (0, 5000)  # one of them is asked for twice


def test_missing_failed_and_malformed_lines_are_asked_again_and_counted(tmp_path, capsys):
    requests, _ = written(tmp_path, count=9)
    ids = [request["custom_id"] for request in requests]
    failed = {"response": {"status_code": 500, "body": {"error": {"message": "out of memory"}}}}
    expired = {"response": None, "error": {"code": "batch_expired", "message": "too late"}}
    deep = b'{"custom_id": "%s", "response": ' % ids[4].encode() + b"[" * 100_000
    endless = b'{"custom_id": "%s", "x": "' % ids[5].encode() + b"x" * (5 << 20) + b'"}'
    files = results_of(
        tmp_path,
        answer_to(requests[0]),
        {**answer_to(requests[1]), **failed},
        {**answer_to(requests[2]), **expired},
        b"<html>one moment</html>",
        deep,
        endless,
        {**answer_to(requests[6]), "response": {"status_code": 200, "body": "<html>"}},
        {**answer_to(requests[7]), "response": {"status_code": 200, "body": {"usage": 1e999}}},
        {**answer_to(requests[3]), "custom_id": "cluster-\x1b[2J-nobody"},
        {**answer_to(requests[3]), "custom_id": 7},
        b"[]",
        b"\xff\xfe",
        b"null",
    )
    capsys.readouterr()
    again, said = written(tmp_path, count=9, **files)
    assert [request["custom_id"] for request in again] == ids[1:]
    assert "asked again: 3 failed, 5 missing" in said
    words = capsys.readouterr().err
    for part in (
        "1 answers taken",
        "3 failed and asked again (first: line 2: HTTP 500: out of memory)",
        "8 malformed, not taken (first: line 4: ",
        "1 with a custom_id that was not asked, not taken (first: line 9: 'cluster-",
    ):
        assert part in words
    assert "\x1b" not in words
    # What was taken stays taken, without the file.
    assert [request["custom_id"] for request in written(tmp_path, count=9)[0]] == ids[1:]


def test_an_unusable_answer_is_asked_again_with_its_problems(tmp_path):
    (request, *_), _ = written(tmp_path, count=1)
    broken = answer_to(request)
    broken["response"]["body"]["choices"][0]["message"]["content"] = "I cannot say."
    (again,), _ = written(tmp_path, count=1, **results_of(tmp_path, broken))
    assert again["custom_id"] != request["custom_id"]
    assert "An earlier answer to this was unusable" in again["body"]["messages"][-1]["content"]
    broken["custom_id"] = again["custom_id"]
    (failure,), usage = ask(tmp_path, count=1, **results_of(tmp_path, broken, name="2.jsonl"))
    assert isinstance(failure, ContentFailure)
    assert failure.outcome == "invalid"
    # The first of the two was counted by the run that took it in.
    assert (usage.calls, usage.prompt_tokens, usage.failed) == (1, 1000, 1)
    assert usage.cached_prompt_tokens == 1000


def test_what_the_server_refuses_is_refused_as_live_and_fails_at_last(tmp_path):
    requests, _ = written(tmp_path, count=3)

    def status(request, code, message):
        body = {"error": {"message": message}}
        return {**answer_to(request), "response": {"status_code": code, "body": body}}

    taken = results_of(
        tmp_path,
        answer_to(requests[0]),
        status(requests[1], 400, "flagged by the content_filter"),
        status(requests[2], 500, "cannot compile the grammar"),
    )
    for attempt in range(4):
        (again,), said = written(tmp_path, count=3, **taken)
        assert again["custom_id"] == requests[2]["custom_id"]
        assert "asked again: 1 failed" in said
        line = {"id": f"attempt {attempt}", **status(again, 500, "cannot compile the grammar")}
        taken = results_of(tmp_path, line, name=f"{attempt}.jsonl")
    (_, filtered, failed), usage = ask(tmp_path, count=3, **taken)
    assert filtered.outcome == "content_filter"
    assert failed.outcome == "unanswered"
    assert "cannot compile the grammar" in str(failed)
    assert usage.failed == 2


def test_a_form_that_is_rejected_is_put_otherwise(tmp_path):
    requests, _ = written(tmp_path, count=2)
    body = {"error": {"message": "Unsupported parameter: 'seed'"}}
    lines = [{**answer_to(r), "response": {"status_code": 400, "body": body}} for r in requests]
    again, _ = written(tmp_path, count=2, **results_of(tmp_path, *lines))
    assert all("seed" not in request["body"] for request in again)
    files = results_of(tmp_path, *map(answer_to, again), name="2.jsonl")
    found, _ = ask(tmp_path, count=2, **files)
    assert all(answer.mode == "json_schema" for answer in found)


def test_a_budget_bounds_a_file(tmp_path):
    requests, said = written(tmp_path, count=9, max_calls=2)
    assert len(requests) == 2
    assert "stopped at --max_calls=2, the others come later" in said
    rest, _ = written(tmp_path, count=9, **results_of(tmp_path, *map(answer_to, requests)))
    assert len(rest) == 7
    prices = {"price_input": 1.0, "price_output": 1.0}
    with pytest.raises(EndpointStopped, match=r"stopped at --max_cost=1e-09: no request was"):
        ask(tmp_path, count=9, batch_out=tmp_path / "none.jsonl", max_cost=1e-9, **prices)
    assert not (tmp_path / "none.jsonl").exists()


def test_files_that_cannot_be_used_are_named(tmp_path):
    requests, _ = written(tmp_path)
    results_of(tmp_path, *map(answer_to, requests))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "requests.jsonl")
    os.mkfifo(tmp_path / "pipe")
    strange = [{**answer_to(requests[0]), "custom_id": "x"}, b"{"]
    results_of(tmp_path, *strange, name="strange.jsonl")
    for settings, said in (
        ({"batch_in": (str(tmp_path / "none"),)}, "none: cannot be read"),
        ({"batch_in": (str(tmp_path / "folder"),)}, "is not a file"),
        ({"batch_in": (str(tmp_path / "pipe"),)}, "is not a file"),
        ({"batch_in": (str(tmp_path / "requests.jsonl"),)}, "is a file of requests"),
        ({"batch_in": (str(tmp_path / "strange.jsonl"),)}, "none of its requests was asked"),
        ({"batch_out": tmp_path / "results.jsonl"}, "holds something else than requests"),
        ({"batch_out": tmp_path / "folder"}, "is not a file"),
        ({"batch_out": tmp_path / "link"}, "is not a file"),
        ({"batch_out": tmp_path / "no" / "x.jsonl"}, "there is no folder"),
    ):
        with pytest.raises(UserError, match=said) as error:
            ask(tmp_path, **settings)
        assert "\n" not in str(error.value)
    same = {"batch_in": (str(tmp_path / "a"),), "batch_out": tmp_path / "a"}
    with pytest.raises(UserError, match="is also --batch_out"):
        ask(tmp_path, **same)


def test_a_key_that_a_server_echoes_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    (request,), _ = written(tmp_path, count=1)
    line = answer_to(request)
    line["response"]["body"]["choices"][0]["message"]["content"] += f" {SECRET}"
    ask(tmp_path, count=1, **results_of(tmp_path, line))
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("cache.sqlite*"))
    assert SECRET.encode() not in kept
