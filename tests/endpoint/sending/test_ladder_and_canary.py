"""Servers that reject, ignore or cut:

each defeats a client without the canary, and is caught by it.
"""

import asyncio

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import client as client_module
from divsyn_jax.endpoint.client import Client, ContentFailure
from divsyn_jax.endpoint.sending import canary
from tests.endpoint.questions import question
from tests.endpoint.test_client import ask, values

DOCUMENTS, CHARACTERS = 10, 600


def probe(settings, cache=None, then=()):
    """The canary's result, answers to what is asked afterwards, and the client."""

    async def run():
        async with Client(settings, cache) as client:
            result = await canary.probe(client, DOCUMENTS, CHARACTERS)
            answers = await asyncio.gather(*map(client.complete, then), return_exceptions=True)
        return result, answers, client

    return asyncio.run(run())


def long_question(number):
    """A question as long as the canary."""
    return question(number, user=f"{'word ' * 1000}{number}")


def test_a_sound_server_passes_without_concessions_and_is_asked_once(serve, tmp_path):
    server = serve()
    first, _, client = probe(server.settings(), tmp_path / "cache.sqlite")
    again, _, _ = probe(server.settings(), tmp_path / "cache.sqlite")
    assert first == again
    assert first.mode == "json_schema"
    assert first.concessions == ()
    assert first.estimated_low <= first.prompt_tokens <= first.estimated_high
    assert len(server.calls()) == client.usage.of("canary").calls == 1


@pytest.mark.parametrize(
    ("reject", "mode"),
    [
        ("json_schema", "json_object"),
        ("json_schema,json_object", "text"),
        ("json_object", "json_schema"),
    ],
)
def test_rejected_formats_are_stepped_down_remembered_and_named(serve, tmp_path, reject, mode):
    calm, _ = ask(serve().settings(), [question(number) for number in range(10)])
    server = serve(reject=reject)
    result, answers, client = probe(
        server.settings(), tmp_path / "cache.sqlite", [question(n) for n in range(10)]
    )
    assert values(answers) == values(calm)
    assert {answer.mode for answer in answers} == {mode} == {client.mode}
    assert result.mode == mode
    assert bool(result.concessions) == (mode != "json_schema")
    before = len(server.calls())
    more, _ = ask(server.settings(), [question(10)], tmp_path / "cache.sqlite")
    assert more[0].mode == mode
    assert len(server.calls()) == before + 1  # no second negotiation


def test_without_a_canary_the_first_requests_find_the_mode(serve):
    server = serve(
        reject="json_schema,json_object", reject_fields="max_tokens,seed", latency_s=0.02
    )
    calm, _ = ask(serve().settings(), [question(number) for number in range(20)])
    rough, client = ask(server.settings(), [question(number) for number in range(20)])
    assert values(rough) == values(calm)
    assert client.dialect.to_json() == {
        "mode": "text",
        "length_field": "max_completion_tokens",
        "sends_seed": False,
    }


def test_fixed_temperature_is_the_users_to_change(serve):
    (error,), _ = ask(serve(reject_fields="temperature").settings(), [question(0)])
    assert isinstance(error, UserError)
    assert "--temperature=1" in str(error)


def test_a_rejection_of_everything_is_one_line(serve):
    with pytest.raises(UserError, match="rejects every form of request: HTTP 400: .*made to fail"):
        probe(serve(always="status:400").settings())


def test_a_rejection_of_one_request_is_its_own(serve):
    server = serve(always="status:400", only="number 3.")
    _, answers, client = probe(server.settings(), None, [question(number) for number in range(6)])
    assert [isinstance(answer, ContentFailure) for answer in answers] == [
        number == 3 for number in range(6)
    ]
    assert answers[3].outcome == "rejected"
    assert client.mode == "json_schema"


@pytest.mark.parametrize(
    "message",
    [
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 1800. This model's maximum"
            " context length is 4096 tokens"
        ),
        "Unsupported value: use 'max_completion_tokens' instead",
        "the response_format's schema is too large for this prompt",
        "the seed of this prompt is bad",
    ],
)
def test_a_rejection_that_names_a_part_of_the_form_is_its_own_too(serve, tmp_path, message):
    server = serve(always="status:400", only="number 3.", message=message)
    for _ in range(2):  # a later run begins with what was learned
        _, answers, client = probe(
            server.settings(), tmp_path / "cache.sqlite", [question(number) for number in range(6)]
        )
        assert [isinstance(answer, ContentFailure) for answer in answers] == [
            number == 3 for number in range(6)
        ]
        assert answers[3].outcome == "rejected"
        assert client.dialect.to_json() == {
            "mode": "json_schema",
            "length_field": "max_tokens",
            "sends_seed": True,
        }


def test_an_endpoint_that_changes_is_followed(serve, tmp_path):
    first, second = (
        serve(),
        serve(reject="json_schema,json_object", reject_fields="max_tokens,seed"),
    )
    probe(first.settings(), tmp_path / "cache.sqlite")

    async def run():
        async with Client(first.settings(), tmp_path / "cache.sqlite") as client:
            client._sender._settings = client.settings = second.settings()
            return (
                await asyncio.gather(*(client.complete(question(number)) for number in range(6))),
                client,
            )

    answers, client = asyncio.run(run())
    assert {answer.mode for answer in answers} == {"text"} == {client.mode}
    assert client.dialect.to_json() == {
        "mode": "text",
        "length_field": "max_completion_tokens",
        "sends_seed": False,
    }


def test_an_ignored_schema_defeats_the_client_without_canary(serve):
    (failure,), _ = ask(serve(ignore_schema=True).settings(), [question(0)])
    assert isinstance(failure, ContentFailure)


def test_an_ignored_schema_is_caught_named_and_worked_around(serve):
    calm, _ = ask(serve().settings(), [question(0)])
    result, answers, _ = probe(serve(ignore_schema=True).settings(), None, [question(0)])
    assert result.mode == "json_object"
    assert result.concessions[0].startswith("json_schema is accepted but not kept")
    assert values(answers) == values(calm)


def test_answers_in_a_fence_are_repaired_and_named(serve):
    result, answers, client = probe(serve(fenced=True).settings(), None, [question(0)])
    assert result.concessions == ("answers need local repair before they fit the schema",)
    assert answers[0].value
    assert client.usage.of("cluster").coerced == 1


def test_a_model_that_cannot_answer_is_one_line(serve):
    with pytest.raises(
        UserError, match="does not answer in the shape asked for, in no mode"
    ) as raised:
        probe(serve(always="wrong_keys").settings())
    assert "\n" not in str(raised.value)


def test_a_model_that_reasons_is_told_from_one_that_cannot_answer_and_given_room(serve, tmp_path):
    server = serve(reasoning=1500)
    with pytest.raises(
        UserError, match="used 1000 output tokens .* raise --reasoning_tokens, e.g. to 4000"
    ) as raised:
        probe(server.settings(), tmp_path / "cache.sqlite")
    assert "\n" not in str(raised.value)
    assert len(server.calls()) == 3  # no other rung is tried
    with pytest.raises(UserError, match="used 1400 output tokens"):
        probe(server.settings(reasoning_tokens=400), tmp_path / "cache.sqlite")
    result, answers, client = probe(
        server.settings(reasoning_tokens=4000), tmp_path / "cache.sqlite", [question(0)]
    )
    assert (result.mode, result.concessions) == ("json_schema", ())
    assert answers[0].value
    assert client.usage.of("cluster").completion_tokens > 1500


@pytest.mark.parametrize("truncate", ["last:700", "first:700", "last:1050", "first:1050"])
def test_silent_truncation_defeats_the_client_without_canary_and_is_caught_by_it(
    serve, monkeypatch, truncate
):
    server = serve(truncate=truncate)
    with pytest.raises(UserError, match="cuts prompts|did not find the code word") as raised:
        probe(server.settings())
    assert "context length" in str(raised.value)
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(client_module, "LEAST_TOKENS_PER_WORD", 0.0)
    (answer,), _ = ask(server.settings(), [long_question(0)])
    assert answer.value  # HTTP 200 and a valid answer to a prompt that was never read


@pytest.mark.parametrize("truncate", ["last:1050", "first:1050"])
def test_truncation_without_token_counts_is_caught_by_the_code_words(serve, truncate):
    with pytest.raises(
        UserError, match="did not find the code word of the (first|last) document of 10"
    ):
        probe(serve(truncate=truncate, no_usage=True).settings())


def test_truncation_of_a_later_longer_prompt_is_caught_by_its_words(serve):
    server = serve(truncate="last:2000")
    _, (error,), _ = probe(server.settings(), None, [question(0, user="word " * 4000)])
    assert isinstance(error, UserError)
    assert "cuts prompts silently" in str(error)


def test_missing_token_counts_are_estimated_and_named(serve):
    result, _, client = probe(serve(no_usage=True).settings(), None, [question(0)])
    assert result.prompt_tokens is None
    assert "not reported" in result.concessions[0]
    counts = client.usage.of("cluster")
    assert counts.unmetered == 1
    assert counts.prompt_tokens > 0


def test_the_canary_survives_the_fault_mixture(serve):
    for seed in range(5):
        result, _, _ = probe(
            serve(faults=0.3, seed=seed, most_content_faults=2, slow_s=0.1).settings()
        )
        assert result.mode == "json_schema"


def test_one_document_is_first_and_last(serve):
    async def run():
        async with Client(serve().settings(), None) as client:
            return await canary.probe(client, 1, 100)

    assert asyncio.run(run()).mode == "json_schema"
