"""How much of what a healthy server admits the endpoint client uses, in one run over loopback.

  python tools/benchmarks/bench_endpoint.py [--calls=1000] [--admit=16] \\
      [--latency=0.25] [--rounds=3]

The server (tests/endpoint/server.py, a process of its own) takes `--latency` seconds a call and
answers HTTP 429 beyond `--admit` calls at a time. Bare sockets, one thread for each admitted call,
send one and the same question without a pause: that is the rate the server admits. The client then
asks different questions with its limit at the server's, and with four times that, so that it has to
find the server's limit itself. Rounds take turns; the median of the paired ratios is printed with
its range."""

import asyncio
import concurrent.futures
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from absl import app, flags

from divsyn_jax.endpoint.client import Client
from divsyn_jax.endpoint.sending import canary
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint.questions import question

_CALLS = flags.DEFINE_integer("calls", 1000, "Calls of each part and round.")
_ADMIT = flags.DEFINE_integer("admit", 16, "Calls that the server takes at a time.")
_LATENCY = flags.DEFINE_float("latency", 0.25, "Seconds that the server takes for a call.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds in which the parts take turns.")


def bare_rate(base_url: str) -> float:
    """Calls a second of `--admit` threads that do nothing but send and receive."""
    url = urllib.parse.urlsplit(base_url)
    asked = question(0)
    messages = [
        {"role": "system", "content": asked.system},
        {"role": "user", "content": asked.user},
    ]
    schema = {"name": asked.purpose, "schema": asked.schema, "strict": True}
    response_format = {"type": "json_schema", "json_schema": schema}
    asks = {
        "messages": messages,
        "response_format": response_format,
        "max_tokens": asked.max_output_tokens,
    }
    body = json.dumps({"model": "test", **asks})

    def send(calls: int) -> None:
        connection = http.client.HTTPConnection(url.hostname, url.port)
        for _ in range(calls):
            connection.request(
                "POST", f"{url.path}/chat/completions", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status

    each = _CALLS.value // _ADMIT.value
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(_ADMIT.value) as pool:
        for sent in [pool.submit(send, each) for _ in range(_ADMIT.value)]:
            sent.result()
    return each * _ADMIT.value / (time.monotonic() - started)


async def client_rate(base_url: str, concurrency: int) -> float:
    """Answers a second of the client, its start-up checks left out."""
    async with Client(EndpointSettings(base_url, "test", concurrency=concurrency), None) as client:
        await canary.probe(client, 3, 300)
        started = time.monotonic()
        await asyncio.gather(*(client.complete(question(number)) for number in range(_CALLS.value)))
        return _CALLS.value / (time.monotonic() - started)


def main(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.endpoint.server", f"--log={folder}/calls.jsonl"),
                *(f"--admit={_ADMIT.value}", f"--latency_s={_LATENCY.value}", "--retry_after=0.25"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            base_url = server.stdout.readline().strip()
            ratios: dict[int, list[float]] = {_ADMIT.value: [], 4 * _ADMIT.value: []}
            for _ in range(_ROUNDS.value):
                bare = bare_rate(base_url)
                print(
                    f"admitted: {bare:.1f} calls/s (at most {_ADMIT.value / _LATENCY.value:.1f})",
                    flush=True,
                )
                for concurrency, found in ratios.items():
                    rate = asyncio.run(client_rate(base_url, concurrency))
                    found.append(rate / bare)
                    print(
                        f"  client, concurrency {concurrency}: {rate:.1f} calls/s, {found[-1]:.3f}",
                        flush=True,
                    )
        finally:
            server.kill()
    for concurrency, found in ratios.items():
        print(
            f"concurrency {concurrency}: {statistics.median(found):.3f} [{min(found):.3f},"
            f" {max(found):.3f}] of what the server admits"
        )


if __name__ == "__main__":
    app.run(main)
