"""What survives a SIGKILL, and what never leaves the process."""

import asyncio
import collections
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.client import Client
from divsyn_jax.endpoint.sending.outcomes import AttemptFailed
from divsyn_jax.endpoint.sending.transport import Transport
from tests.conftest import ROOT
from tests.endpoint.questions import question
from tests.endpoint.test_client import ask, values

KEY = "sk-test-4f9a8b7c6d5e"


def asking(server, cache, count, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.endpoint.asking", server.base_url, str(cache), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.long
def test_a_killed_run_repeats_at_most_the_calls_in_flight(serve, tmp_path):
    calm, _ = ask(serve().settings(), [question(number) for number in range(120)])
    server = serve(latency_s=0.1, faults=0.1, slow_s=0.1, kinds="500,dropped")
    for after in (30, 70):
        process = asking(server, tmp_path / "cache.sqlite", 120)
        deadline = time.monotonic() + 60
        while len(server.paid()) < after and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(0.3)  # the server ends what was in flight
    process = asking(server, tmp_path / "cache.sqlite", 120)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(output) == values(calm)
    paid = collections.Counter(server.paid())
    assert len(paid) == 121
    assert paid.total() <= 121 + 2 * 8
    assert max(paid.values()) <= 3


def test_a_terminated_run_commits_what_is_in_flight(serve, tmp_path):
    server = serve(latency_s=0.5)
    process = asking(server, tmp_path / "cache.sqlite", 40)
    deadline = time.monotonic() + 60
    while len(server.paid()) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert "EndpointStopped: stopped by SIGTERM" in errors
    assert len(server.paid()) < 41
    asking(server, tmp_path / "cache.sqlite", 40).communicate(timeout=60)
    assert len(server.paid()) == len(set(server.paid())) == 41


def test_the_key_appears_nowhere(serve, tmp_path):
    """Not on the output, not at debug level, not in a file, even when the server repeats it."""
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_LOG": "debug"}
    server = serve(key=KEY, echo_key=True, faults=0.2, slow_s=0.1, reject="json_schema")
    outputs = []
    for url_of in (
        server,
        serve(key="another", echo_key=True),
        serve(key=KEY, echo_key=True, always="status:400"),
    ):
        outputs += asking(url_of, tmp_path / "cache.sqlite", 10, **environment).communicate(
            timeout=60
        )
    assert any("Traceback" in output for output in outputs)  # the errors were raised, uncaught
    assert any("api key" in output.casefold() for output in outputs)
    assert not any(KEY in output for output in outputs)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith("cache.sqlite") for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_the_key_is_in_no_representation(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = serve(key=KEY).settings()
    (answer,), client = ask(settings, [question(0)])
    shown = [
        repr(thing)
        for thing in (
            settings,
            answer,
            client,
            vars(client),
            client.usage.to_json(),
            settings.identity(),
        )
    ]
    assert not any(KEY in text for text in shown)


def test_a_remote_endpoint_wants_a_key_and_a_local_one_does_not(serve, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    remote = serve().settings(base_url="https://llm.example.invalid/v1")
    (error,), _ = ask(remote, [question(0)])
    assert isinstance(error, UserError)
    assert (
        str(error)
        == "https://llm.example.invalid/v1 needs an API key: set the environment variable"
        " OPENAI_API_KEY"
    )
    (answer,), _ = ask(serve().settings(), [question(0)])
    assert answer.value


@pytest.mark.parametrize(
    "key", [f"{KEY}\nsk-second", f"{KEY} sk-second", f"\u201c{KEY}\u201d", f"{KEY}\x07"]
)
def test_a_malformed_key_is_named_by_its_variable_and_never_sent(serve, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server = serve()
    (error,), _ = ask(server.settings(), [question(0)])
    assert isinstance(error, UserError)
    assert "environment variable OPENAI_API_KEY holds white space" in str(error)
    assert "sk-" not in str(error)
    assert server.calls() == []


def test_a_failed_connection_does_not_repeat_the_key(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    import openai

    async def refuse(*_, **__):
        raise openai.APIConnectionError(request=None) from OSError(f"bad header\nBearer {KEY}")

    async def run():
        transport = Transport(serve().settings())
        monkeypatch.setattr(transport._client.chat.completions.with_raw_response, "create", refuse)
        await transport.send({"messages": []}, "name", 1.0)

    with pytest.raises(AttemptFailed) as raised:
        asyncio.run(run())
    assert str(raised.value) == "no connection (bad header Bearer [API key])"


def test_importing_and_constructing_needs_neither_openai_nor_jax():
    script = (
        "import sys; from divsyn_jax.endpoint import client, fence, flags, forecast;"
        " from divsyn_jax.endpoint.sending import canary;"
        "print([name for name in ('openai', 'jax', 'torch', 'jsonschema') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@host/v1",
        "https://host/v1?api-key=secret",
        "https://me:secret@[host/v1",
        "https://host:80a0/v1?api-key=secret",
    ],
)
def test_credentials_in_the_address_are_refused_without_repeating_them(serve, url):
    with pytest.raises(UserError) as raised:
        Client(serve().settings(base_url=url), None)
    assert "secret" not in str(raised.value)
