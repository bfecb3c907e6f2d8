"""Servers that say what is wrong in places of their own: inside HTTP 200, inside HTTP 500, beside
the content.
"""

import asyncio
import json
import time

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.client import Client, ContentFailure, EndpointStopped
from divsyn_jax.endpoint.sending import canary, outcomes, transport
from divsyn_jax.endpoint.sending import completion as sent
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint.questions import question
from tests.endpoint.server_words import completion, prompt_tokens, right_answer, serving

GOOD = {"a": 1, "b": 2, "note": "as it is"}


def ask(answer, questions=1, probe=False, **changes):
    """Answers or exceptions to some questions, the client, the probe's result, the server."""
    with serving(answer) as server:
        settings = EndpointSettings(
            **{
                "base_url": server.url,
                "model": "m",
                "backoff_s": 0.01,
                "deadline_s": 60.0,
                **changes,
            }
        )

        async def run():
            async with Client(settings, None) as client:
                shown = await canary.probe(client, 3, 600) if probe else None
                asked = [client.complete(question(number)) for number in range(questions)]
                return await asyncio.gather(*asked, return_exceptions=True), client, shown

        return *asyncio.run(run()), server


def is_about(body, number):
    return f"number {number}." in body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "Provider returned error", "metadata": {"raw": "model loading"}}, 200),
        ({"message": "Provider returned error: model loading", "code": 502}, 200),
        ("upstream says: model loading", 200),
        ({"message": {"detail": [{"msg": "model loading"}]}}, 500),
        ({"message": "model loading\n\u0007now", "code": "server_error"}, 500),
    ],
)
def test_the_words_of_a_server_are_in_the_message(error, status):
    (stopped,), client, _, server = ask(lambda body, n: (status, {"error": error}), deadline_s=8.0)
    assert isinstance(stopped, EndpointStopped)
    assert "model loading" in str(stopped)
    assert str(stopped).isprintable()
    assert len(server.bodies) == client.usage.total.calls


def test_words_are_cut_and_hold_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    said = {"error": {"message": "sk-secret-0123456789 " + "word " * 500, "code": 500}}
    (stopped,), *_ = ask(lambda body, n: (200, said), deadline_s=8.0)
    assert "[API key] word word" in str(stopped)
    assert "sk-secret" not in str(stopped)
    assert len(str(stopped)) < 600


@pytest.mark.parametrize("code", [429, "429", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"])
def test_a_refusal_inside_another_status_slows_the_limiter(code):
    found = {}
    for status in (200, 500):

        def answer(body, number, status=status):
            if number <= 4:
                return status, {"error": {"message": "slow down", "code": code}}
            return 200, completion(body)

        with serving(answer) as server:

            async def run(url=server.url):
                settings = EndpointSettings(url, "m", backoff_s=0.01)
                async with Client(settings, None) as client:
                    answers = await asyncio.gather(
                        *(client.complete(question(number)) for number in range(8))
                    )
                    found["limit"] = client._sender._limiter.limit
                return answers

            assert [each.value for each in asyncio.run(run())] == [GOOD] * 8
        assert found["limit"] < 16


@pytest.mark.parametrize(
    ("code", "kind", "fragment"),
    [
        (402, EndpointStopped, "quota is spent"),
        ("insufficient_quota", EndpointStopped, "quota is spent"),
        (401, UserError, "API key"),
        (404, UserError, "--model=m"),
        (403, UserError, "forbids"),
        (400, UserError, "rejects every form"),
    ],
)
def test_a_code_inside_http_200_acts_like_the_status(code, kind, fragment):
    said = {"error": {"message": "so it is", "code": code}}
    (error,), *_ = ask(lambda body, n: (200, said))
    assert isinstance(error, kind)
    assert fragment in str(error)
    assert "so it is" in str(error)


FILTERED = [
    (200, {"error": {"message": "stopped", "code": "content_filter"}}),
    (400, {"error": {"message": "The response was filtered: content management policy"}}),
    (403, {"error": {"message": "your input was flagged", "code": 403}}),
    (200, {"choices": [{"index": 0, "message": None, "finish_reason": "content_filter"}]}),
    (200, {"choices": [{"index": 0, "message": {"content": None}, "finish_reason": "SAFETY"}]}),
    (200, {"choices": [], "promptFeedback": {"blockReason": "OTHER"}}),
]


@pytest.mark.parametrize(("status", "said"), FILTERED)
def test_a_filtered_prompt_costs_itself_only(status, said):
    def answer(body, number):
        return (status, said) if is_about(body, 3) else (200, completion(body))

    answers, _, _, server = ask(answer, questions=6)
    assert [isinstance(each, ContentFailure) for each in answers] == [n == 3 for n in range(6)]
    assert answers[3].outcome == "content_filter"
    assert len(server.bodies) == 6


@pytest.mark.parametrize("choices", [[], None, [{"message": None, "finish_reason": "stop"}], [7]])
def test_a_completion_without_an_answer_costs_itself_only_and_is_counted(choices):
    usage = {"prompt_tokens": 1000, "completion_tokens": 7}

    def answer(body, number):
        if is_about(body, 3):
            return 200, {"id": "x", "choices": choices, "usage": usage}
        return 200, completion(body)

    answers, client, _, _ = ask(answer, questions=6)
    assert [isinstance(each, ContentFailure) for each in answers] == [n == 3 for n in range(6)]
    assert "completion without an answer" in str(answers[3])
    one = prompt_tokens({"messages": []}) + client.usage.total.completion_tokens
    assert one == 5 * 20 + 3 * 7
    assert client.usage.total.prompt_tokens > 3000


def test_the_bill_of_answers_that_are_none_is_bounded():
    usage = {"prompt_tokens": 20, "completion_tokens": 50}
    limits = {"price_input": 1.0, "price_output": 1.0, "max_cost": 0.001}
    _, client, _, server = ask(
        lambda body, n: (200, {"error": {"message": "no", "code": 502}, "usage": usage}),
        questions=30,
        **limits,
    )
    assert client.usage.cost == pytest.approx(len(server.bodies) * 70 / 1e6)
    assert client.usage.cost <= 0.001


@pytest.mark.parametrize(
    "refused", [("json_schema",), ("json_schema", "json_object")], ids=["schema", "both"]
)
def test_http_500_for_a_form_never_taken_tries_the_next(refused):
    def answer(body, number):
        if (body.get("response_format") or {}).get("type") in refused:
            return 500, {"error": {"message": "Input should be 'text'", "type": "server_error"}}
        return 200, completion(body)

    (found,), client, shown, server = ask(answer, probe=True)
    assert found.value == GOOD
    assert client.mode == ("json_object" if len(refused) == 1 else "text")
    assert shown.concessions == ("json_schema is rejected",)
    assert len(server.bodies) == 2 * len(refused) + 2


def test_a_server_out_of_order_says_nothing_about_forms():
    def answer(body, number):
        return (500, {"error": "starting"}) if number < 8 else (200, completion(body))

    (found,), client, _, _ = ask(answer)
    assert found.value == GOOD
    assert client.mode == "json_schema"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "System role not supported"),
        (500, "Jinja Exception: System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (422, "Developer instruction is not enabled for models/gemma"),
        (400, "This model does not support system messages"),
    ],
)
def test_without_a_system_role_its_text_leads_the_users_turn_and_it_is_said(
    status, words, tmp_path
):
    def answer(body, number):
        if body["messages"][0]["role"] == "system":
            return status, {"error": {"message": words}}
        return 200, completion(body)

    (found,), client, shown, server = ask(answer, probe=True)
    assert found.value == GOOD
    assert client.mode == "json_schema"
    assert [each for each in shown.concessions if "system role" in each]
    assert len(shown.concessions) == 1
    (message,) = server.bodies[-1]["messages"]
    assert message["content"].startswith("You sort documents.")
    assert client.dialect.to_json()["system_role"] is False


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_an_answer_beside_the_content_is_named(field):
    def answer(body, number):
        return 200, completion(body, message={"content": None, field: json.dumps(GOOD)})

    with pytest.raises(UserError, match=f"stands in {field}.*reasoning parser"):
        ask(answer, probe=True)
    (failure,), *_ = ask(answer)
    assert failure.problems == [f"the answer stands in {field}, and content is empty"]


def test_an_answer_in_tool_calls_is_named():
    call = {"type": "function", "function": {"name": "f", "arguments": json.dumps(GOOD)}}

    def answer(body, number):
        return 200, completion(body, message={"content": None, "tool_calls": [call]})

    with pytest.raises(UserError, match="stands in tool_calls"):
        ask(answer, probe=True)


def test_cached_tokens_belong_to_the_prompt():
    def answer(body, number):
        prompt = prompt_tokens(body)
        usage = {
            "prompt_tokens": prompt // 3,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": prompt - prompt // 3},
        }
        return 200, completion(body, usage=usage)

    (found,), client, _, server = ask(answer, probe=True)
    assert found.value == GOOD
    assert client.usage.total.prompt_tokens == sum(map(prompt_tokens, server.bodies))


def test_cached_tokens_that_are_counted_already_are_not_counted_twice():
    def answer(body, number):
        prompt = prompt_tokens(body)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": 20,
            "total_tokens": prompt + 20,
            "prompt_tokens_details": {"cached_tokens": prompt - 3},
        }
        return 200, completion(body, usage=usage)

    _, client, _, server = ask(answer)
    assert client.usage.total.prompt_tokens == prompt_tokens(server.bodies[0])


def test_a_model_too_weak_for_the_probe_is_not_called_a_server_that_cuts():
    def answer(body, number):
        value = {**right_answer(body)}
        return 200, completion(
            body, content=json.dumps({k: v if k == "seal" else "x" for k, v in value.items()})
        )

    with pytest.raises(UserError, match="too weak") as raised:
        ask(answer, probe=True)
    assert "cuts prompts" not in str(raised.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after-ms": "", "retry-after": "30"},
        {"retry-after-ms": "soon", "retry-after": "30"},
        {"retry-after-ms": "nan", "retry-after": "30"},
    ],
)
def test_a_wait_that_cannot_be_read_does_not_hide_the_other(headers):
    assert outcomes._retry_after(headers) == 30


def test_a_server_on_this_machine_is_asked_past_any_proxy(monkeypatch):
    for name in ("ALL_PROXY", "HTTP_PROXY", "http_proxy", "all_proxy"):
        for proxy in ("http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks://127.0.0.1:9"):
            monkeypatch.setenv(name, proxy)
            (found,), *_ = ask(lambda body, n: (200, completion(body)))
            assert found.value == GOOD
            monkeypatch.delenv(name)


def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks://user:hunter2@127.0.0.1:1080")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    (error,), *_ = ask(
        lambda body, n: (200, completion(body)), base_url="http://llm.example.invalid/v1"
    )
    assert isinstance(error, UserError)
    assert "ALL_PROXY" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "address",
    [
        *(" http://h.invalid/v1", "http://h.invalid/v1 ", "http://h.in valid/v1"),
        *("http://h.invalid/v1\nx", "http://h.invalid/v1\u202e"),
        *("http://é..invalid/v1", "http://999.1.1.1/v1", "http://[v1.x]/v1"),
        "http://h.invalid/v1/chat/completions",
    ],
)
def test_what_is_no_address_is_one_line_and_not_asked(monkeypatch, address):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    with pytest.raises(UserError, match="--base_url=") as raised:
        transport.Transport(EndpointSettings(base_url=address, model="m"))
    assert "\n" not in str(raised.value)


def test_slashes_at_the_end_of_an_address_are_not_sent():
    sent_to = transport.Transport(EndpointSettings(base_url="http://127.0.0.1:9/v1//", model="m"))
    assert str(sent_to._client.base_url) == "http://127.0.0.1:9/v1/"


BODY = {"messages": [{"role": "user", "content": "river " * 300}]}


def replied(content="x", finish="stop", usage=None, message=None, **more):
    message = {"content": content, **(message or {})}
    choice = {"message": message, "finish_reason": finish}
    return sent.reply({"choices": [choice], "usage": usage, **more}, BODY)


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        *((name, "invalid") for name in ("abort", "insufficient_system_resource", "Cancelled")),
        *((name, "length") for name in ("max_new_tokens", "incomplete", {"type": "length"})),
        *((name, "content_filter") for name in ("content-filter", "Content_Filter")),
        *((name, "stop") for name in ("stop", None, "", {"type": "stop"}, 7)),
        ({"type": "abort", "message": "gone"}, "invalid"),
    ],
)
def test_an_answer_that_the_server_broke_off_is_none(finish, kind):
    assert replied(finish=finish).finish_reason == kind
    if kind == "invalid":
        assert replied(content=None, finish=finish) is None


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 400, "total_tokens": 450}, (400, 50)),
        # What xAI and others bill and leave out of the output.
        ({"completion_tokens": 9, "total_tokens": 503,
          "completion_tokens_details": {"reasoning_tokens": 94}}, (400, 103)),
        ({"completion_tokens": 103, "total_tokens": 503,
          "completion_tokens_details": {"reasoning_tokens": 94}}, (400, 103)),
        ({"completion_tokens": 103, "completion_tokens_details": {"reasoning_tokens": 94}},
         (400, 103)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": -1}}, (400, 9)),
    ],
)  # fmt: skip
def test_tokens_of_thought_are_counted_once(usage, counted):
    reply = replied(usage={"prompt_tokens": 400, **usage})
    assert (reply.prompt_tokens, reply.completion_tokens) == counted
    assert reply.metered


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "reasoning", "text": "draft"}, {"type": "text", "text": "x"}], "x"),
        ([{"type": "thinking", "text": "draft"}, "x"], "x"),
        ([{"type": "output_text", "text": {"value": "x"}}], "x"),
        ([{"type": "text", "content": "x"}], "x"),
        ({"type": "text", "text": "x"}, "x"),
    ],
)
def test_parts_of_a_content(content, text):
    assert replied(content=content).text == text
    assert replied(content=[{"type": "refusal", "refusal": "no"}]).refused
    assert replied(content=None, message={"refusal": "no"}).refused
    assert not replied(message={"refusal": ""}).refused


@pytest.mark.parametrize("error", ["upstream died", {"message": "upstream died", "code": 502}])
def test_half_an_answer_beside_an_error_is_none(error):
    assert replied(error=error) is None
    for said_nothing in (None, False, {}, "", {"code": 0, "message": ""}):
        assert replied(error=said_nothing).text == "x"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([{"error": {"code": 429, "message": "quota"}}], 429, "quota"),
        ({"errors": [{"message": "no such model", "code": 404}]}, 404, "no such model"),
        ({"error": {"message": '{"error":{"message":"inner","code":503}}'}}, 503, "inner"),
        ({"detail": [{"loc": ["body"], "msg": "extra fields"}]}, None, "extra fields"),
        ({"error": "invalid_grant", "error_description": "expired"}, None, "expired"),
        ({"error": True, "message": "slow"}, None, "slow"),
        ({"Message": "not authorized"}, None, "not authorized"),
        ({"fault": {"faultstring": "limit", "detail": {"errorcode": "x"}}}, None, "limit"),
        ({"object": "error", "message": "too long", "type": "BadRequestError"}, 400, "too long"),
    ],
)
def test_the_words_are_found_wherever_they_are_packed(body, status, words):
    error = sent.error_of(body, json.dumps(body), lambda text: text)
    assert (error.status, error.words) == (status, words)


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y"])
@pytest.mark.parametrize("zone", ["", " -0000"])
def test_dates_without_a_zone_are_of_greenwich(monkeypatch, form, zone):
    """They were read as of this machine's zone, hours off."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        date = time.strftime(form, time.gmtime(time.time() + 30)) + zone * form.endswith("S")
        assert 0 < outcomes._retry_after({"retry-after": date}) <= 30
    finally:
        monkeypatch.undo()
        time.tzset()
