"""An endpoint is one host, and what it answers is held to sizes, kinds and spellings."""

import asyncio
import base64
import contextlib
import gzip
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
import zlib

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.cache import Cache, Paid, answer_key
from divsyn_jax.endpoint.sending import bounded_body, outcomes
from divsyn_jax.endpoint.sending.outcomes import AttemptFailed, Rejected
from divsyn_jax.endpoint.sending.redaction import Redaction
from divsyn_jax.endpoint.sending.transport import Transport
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.conftest import ROOT
from tests.endpoint.questions import question
from tests.endpoint.test_client import ask
from tests.hostile.hostile_server import respond, serving

pytest.importorskip("openai", reason="the extra llm is not installed")
KEY = "sk-se/cret+KEY1234"


def settings_of(url, **changes):
    return EndpointSettings(
        **{"base_url": url, "model": "m", "timeout_s": 20.0, "backoff_s": 0.02, **changes}
    )


def send(url, timeout_s=20.0):
    """One attempt."""

    async def run():
        sender = Transport(settings_of(url))
        try:
            return await sender.send(
                {"model": "m", "messages": [{"role": "user", "content": "a b c"}]}, "n", timeout_s
            )
        finally:
            await sender.close()

    return asyncio.run(run())


def attempt(url):
    """The reply, or in what way the attempt failed."""
    try:
        return send(url)
    except (AttemptFailed, Rejected) as error:
        return error


def completion(content="fine", **changes):
    return json.dumps(
        {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], **changes}
    ).encode()


def with_usage(prompt, output):
    text = completion(usage={"prompt_tokens": "P", "completion_tokens": "O"}).decode()
    return text.replace('"P"', prompt).replace('"O"', output).encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_one_line_and_nothing_is_sent_on(status):
    with serving(lambda handler: respond(handler, completion())) as other:
        with serving(lambda h: respond(h, b"", status, location=other.url + "/stolen?x")) as first:
            (error,), _ = ask(settings_of(first.url), [question(0)])
        port = other.url.split(":")[2].split("/")[0]
        assert isinstance(error, UserError)
        assert f"http://127.0.0.1:{port} (HTTP {status})" in str(error)
        assert "stolen" not in str(error)
        assert not other
    assert len(first) == 1


@pytest.mark.parametrize(
    "location", ["http://[", "", "/login", "file:///etc/passwd", "http://h:99999999/"]
)
def test_a_redirect_to_nowhere_is_one_line_too(location):
    with serving(lambda handler: respond(handler, b"", 302, location=location)) as server:
        (error,), _ = ask(settings_of(server.url), [question(0)])
    assert isinstance(error, UserError)
    assert "HTTP 302" in str(error)


@pytest.mark.parametrize(
    ("prompt", "output", "metered"),
    [
        ("7", "3", True),
        ("7.0", "3", True),
        ("7", "-1000000000", False),
        ("-1", "-1", False),
        ("1" + "0" * 30, "3", False),
        ("7", "1e999", False),
        ("7", "NaN", False),
        ("2147483648", "3", False),
        ("true", "3", False),
        ('"7"', "3", False),
        ("[]", "{}", False),
        ("7", "1" + "0" * 5000, False),
    ],
)
def test_usage_is_a_count_or_unmetered(prompt, output, metered):
    with serving(lambda handler: respond(handler, with_usage(prompt, output))) as server:
        try:
            reply = send(server.url)
        except AttemptFailed:  # no JSON at all
            assert prompt == "7"
            assert not metered
            return
    assert reply.metered is metered
    assert 0 < reply.prompt_tokens < 2**31
    assert 0 <= reply.completion_tokens < 2**31


def test_negative_usage_does_not_lift_the_limit_of_cost():
    with serving(lambda handler: respond(handler, with_usage("9", "-1000000000"))) as server:
        settings = settings_of(server.url, price_input=1.0, price_output=1.0, max_cost=0.002)
        results, client = ask(settings, [question(number) for number in range(60)])
    assert client.usage.cost <= 0.002
    assert any("--max_cost" in str(result) for result in results)


BODIES = {
    "deep": b"[" * 200_000,
    "deep content": completion('{"a":' * 900 + "1" + "}" * 900),
    "null": b"null",
    "list": b"[1, 2]",
    "no choices": b'{"choices": []}',
    "odd message": b'{"choices": [{"message": 7}]}',
    "odd parts": b'{"choices": [{"message": {"content": [{"text": 7}]}}]}',
    "odd usage": b'{"choices": [{"message": {"content": "x"}}], "usage": [1]}',
    "odd id": b'{"choices": [{"message": {"content": "x"}}], "id": {"a": 1}}',
    "not utf-8": b"\xff\xfe{",
    "digits": b'{"choices": ' + b"1" * 10_000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("status", [200, 400])
def test_odd_bodies_are_failed_attempts(body, status):
    charset = "application/json; charset=rot13"
    with serving(lambda handler: respond(handler, body, status, content_type=charset)) as server:
        outcome = attempt(server.url)
    if isinstance(outcome, Exception):
        assert len(str(outcome)) < 400
    else:
        assert isinstance(outcome.request_id, str | None)


def test_an_answer_just_less_nested_than_the_parser_allows_is_unusable():
    from divsyn_jax.endpoint.answers import parsing

    for depth in range(300, 1000, 50):
        text = '{"a": 1, "b": 1, "note": ' + "[" * depth + "]" * depth + "}"
        assert parsing.parse(text, question(0)).problems


def chunked(handler, chunks):
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for chunk in chunks:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))


def packed_spaces(size, wbits):
    """`size` spaces, packed, without holding them."""
    packer = zlib.compressobj(1, wbits=wbits)
    part = b" " * (1 << 20)
    return b"".join(packer.compress(part) for _ in range(size >> 20)) + packer.flush()


def answers_that_grow():
    bomb, deflated = packed_spaces(1 << 28, 31), packed_spaces(1 << 28, 15)
    endless = [b" " * (1 << 20)] * 2000
    return {
        "gzip": lambda h: respond(h, bomb, content_encoding="gzip"),
        "an error": lambda h: respond(h, bomb, 400, content_encoding="gzip"),
        "deflate": lambda h: respond(h, deflated, content_encoding="deflate"),
        "twice": lambda h: respond(h, gzip.compress(bomb), content_encoding="gzip, gzip"),
        "not asked for": lambda h: respond(h, b"\x28\xb5\x2f\xfd", content_encoding="zstd"),
        "endless": lambda h: chunked(h, endless),
        "an endless error": lambda h: respond(h, b" " * (1 << 28), 500),
    }


def test_a_packed_bomb_and_an_endless_body_stay_small():
    """In a process of its own: the most memory that a process ever took does not fall again."""
    script = (
        "import resource, sys\n"
        "from tests.hostile.test_endpoint import attempt, send\n"
        "send(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(*map(attempt, sys.argv[2:]), sep='\\n')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    with contextlib.ExitStack() as stack:
        answers = [lambda h: respond(h, completion()), *answers_that_grow().values()]
        urls = [stack.enter_context(serving(answer)).url for answer in answers]
        result = subprocess.run(
            [sys.executable, "-c", script, *urls],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=200,
        )
    *outcomes, grown = result.stdout.splitlines()
    assert len(outcomes) == len(urls) - 1, result.stderr
    assert all(outcome.startswith("the answer is") for outcome in outcomes), outcomes
    assert int(grown) < 64 << 10  # KiB


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", None])
def test_honest_packing_is_read(encoding):
    packs = {"gzip": gzip.compress, "deflate": zlib.compress}
    body = packs.get(encoding, bytes)(completion("fine"))
    headers = {"content_encoding": encoding} if encoding else {}
    with serving(lambda handler: respond(handler, body, **headers)) as server:
        assert send(server.url).text == "fine"


def test_damaged_packing_is_a_failed_attempt():
    with (
        serving(lambda h: respond(h, b"no gzip", content_encoding="gzip")) as server,
        pytest.raises(AttemptFailed, match="damaged"),
    ):
        send(server.url)


def test_a_body_that_drips_ends_with_the_time():
    def drip(handler):
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    with serving(drip) as server, pytest.raises(AttemptFailed, match="within 0.5 s"):
        send(server.url, timeout_s=0.5)


SPELLINGS = {
    "plain": KEY,
    "php": KEY.replace("/", "\\/"),
    "unicode": "".join(f"\\u{ord(c):04X}" for c in KEY),
    "mixed": KEY.replace("c", "\\u0063").replace("/", "\\/"),
    "twice": json.dumps(json.dumps(KEY.replace("/", "\\/"))),
    "percent": KEY.replace("/", "%2F").replace("+", "%2b"),
    "all percent": "".join(f"%{ord(c):02x}" for c in KEY),
    "percent twice": KEY.replace("/", "%252F"),
    "html": KEY.replace("/", "&#47;").replace("+", "&#x2B;"),
    "python": KEY.replace("/", "\\x2f"),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "basic": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "basic bearer": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "urlsafe": base64.urlsafe_b64encode(f"??>>{KEY}".encode()).decode(),
    "hex": KEY.encode().hex().upper(),
    "upper case": KEY.upper(),
    "octal": KEY.replace("/", "\\057"),
    "code point": KEY.replace("/", "\\u{2f}"),
    "percent u": KEY.replace("/", "%u002F"),
    "mail": KEY.replace("/", "=2F"),
    "named": KEY.replace("/", "&sol;").replace("+", "&plus;"),
    "html twice": KEY.replace("/", "&amp;#47;"),
    "wrapped": f"{KEY[:7]}\r\n {KEY[7:]}",
    "wrapped in JSON": f"{KEY[:7]}\\n{KEY[7:]}",
    "spaced": " ".join(KEY),
    "unseen between": "\u200b".join(KEY),
    "wide": KEY.encode("utf-16-le").decode("latin-1"),
    "base64 twice": base64.b64encode(base64.b64encode(KEY.encode())).decode(),
    "hex, spaced": " ".join(f"{byte:02x}" for byte in KEY.encode()),
    "hex, listed": ", ".join(f"0x{byte:02X}" for byte in KEY.encode()),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_the_key_is_removed_in_every_spelling(spelled):
    cleaned = Redaction(KEY).clean(f"invalid key: {spelled}, see help")
    assert "[API key]" in cleaned
    assert spelled not in cleaned
    assert Redaction("").clean(spelled) == spelled


def test_removal_takes_time_in_proportion_to_the_text():
    started = time.process_time()
    for text in (
        *("\\" * 300_000, "%25" * 100_000, "&#0" * 100_000, "A" * 300_000, "s" * 300_000),
        *("&amp;" * 60_000, "s \n" * 100_000, "s\\n" * 100_000, "73 " * 100_000),
    ):
        assert Redaction(KEY).clean(text) == text
    assert time.process_time() - started < 30  # the square of these would be an hour


def test_an_echoed_key_reaches_neither_message_nor_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    php = json.dumps({"error": {"message": f"bad key {KEY}"}}).replace("/", "\\/").encode()
    with (
        serving(lambda handler: respond(handler, php, 400)) as server,
        pytest.raises(Rejected) as raised,
    ):
        send(server.url)
    assert "KEY1234" not in str(raised.value)
    body = completion(id=KEY).replace(b"/", b"\\/")
    for header in (KEY, f"req-{KEY}", "x" * 5000):
        with serving(lambda h, v=header: respond(h, body, x_request_id=v)) as server:
            reply = send(server.url)
        assert "KEY1234" not in reply.request_id
        assert len(reply.request_id) <= 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("127.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("[::ffff:10.0.0.1]", False),
        ("128.0.0.1", False),
    ],
)
def test_local_is_a_loopback_address(host, local):
    assert settings_of(f"http://{host}:1/v1").is_local is local


@pytest.mark.parametrize(
    "proxy",
    ["foo://user:hunter2@proxy:1", "http://user:hunter2@proxy:99999999", "http://[user:hunter2"],
)
def test_an_odd_proxy_is_one_line_without_its_password(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises((UserError, AttemptFailed)) as raised:
        send("http://127.0.0.1:9/v1")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "3"}, 3, 3),
        ({"retry-after": "1e300"}, 86_400, 86_400),
        ({"retry-after": "inf"}, 86_400, 86_400),
        ({"retry-after-ms": "1e400"}, 86_400, 86_400),
        ({"retry-after": "-5"}, 0, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400, 86_400),
    ],
)
def test_a_wait_is_at_most_a_day(headers, least, most):
    assert least <= outcomes._retry_after(headers) <= most


@pytest.mark.parametrize("value", ["nan", "soon", "", "9" * 5000 + " x", "Fri, 99 Foo -1 25:61:61"])
def test_a_wait_that_is_no_time_is_none(value):
    assert outcomes._retry_after({"retry-after": value}) is None


def test_the_cache_is_its_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        Cache(tmp_path / "cache.sqlite").keep_fact({"a": 1}, {"b": 2})
        Cache(tmp_path / "cache.sqlite").keep_fact({"a": 2}, {"b": 2})
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.chmod(tmp_path / "cache.sqlite", 0o644)  # of 0.1.0
    assert Cache(tmp_path / "cache.sqlite").fact({"a": 1}) == {"b": 2}
    assert stat.S_IMODE((tmp_path / "cache.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["cache.sqlite", "cache.sqlite-wal", "cache.sqlite-journal"])
def test_a_cache_is_not_written_through_a_link(tmp_path, name):
    (tmp_path / "victim").write_bytes(b"")
    (tmp_path / name).symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="link"):
        Cache(tmp_path / "cache.sqlite")
    assert (tmp_path / "victim").read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_cache_is_not_taken(tmp_path):
    Cache(tmp_path / "cache.sqlite").close()
    os.chown(tmp_path / "cache.sqlite", 12345, 12345)
    with pytest.raises(UserError, match="uid 12345"):
        Cache(tmp_path / "cache.sqlite")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("request", "{}"),
        ("value", "[" * 100_000),
        ("value", "[1]"),
        ("value", "NaN"),
        ("value", b"\x00"),
        ("prompt_tokens", "many"),
        ("request_id", b"\x00"),
    ],
)
def test_a_row_answers_only_the_request_it_holds(tmp_path, column, value):
    about = {"purpose": "cluster"}
    cache = Cache(tmp_path / "cache.sqlite")
    cache.keep(answer_key(about), about, Paid({"a": 1}, "id", 1, 2))
    assert cache.answer(answer_key(about)) == Paid({"a": 1}, "id", 1, 2)
    cache.close()
    with sqlite3.connect(tmp_path / "cache.sqlite") as database:
        database.execute(f"UPDATE answers SET {column} = ?", (value,))
    with pytest.raises(UserError, match="the answer cache cannot be used"):
        Cache(tmp_path / "cache.sqlite").answer(answer_key(about))


def test_the_cap_leaves_room_for_long_answers():
    assert bounded_body.LONGEST_BODY >= 1 << 20
    text = "word " * 150_000
    with serving(lambda handler: respond(handler, completion(text))) as server:
        assert send(server.url).text == text


def test_a_call_that_waits_for_the_budget_does_not_wait_for_a_rounding_error():
    """0.1 + 0.2 + 0.3 less its parts, in the order they settle, is not 0."""
    from divsyn_jax.endpoint.budget import Budget
    from divsyn_jax.endpoint.request import EndpointStopped
    from divsyn_jax.endpoint.usage import Usage

    limits = settings_of("http://localhost:1/v1", price_input=1e5, price_output=0.0, max_cost=0.7)

    async def run():
        budget = Budget(limits, Usage(limits))
        first, second, third = (budget.call(tokens, 0) for tokens in (1, 2, 3))
        for call in (first, second, third):
            await call.__aenter__()
        waiting = asyncio.create_task(budget.call(8, 0).__aenter__())
        await asyncio.sleep(0)
        for call in (first, second, third):
            await call.__aexit__(None, None, None)
        with pytest.raises(EndpointStopped, match="max_cost"):
            await asyncio.wait_for(waiting, 20)

    asyncio.run(run())
