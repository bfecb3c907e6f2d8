"""The endpoint's server and clients of it."""

import contextlib
import json
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import pytest

from divsyn_jax.endpoint.settings import EndpointSettings
from tests.conftest import ROOT

pytest.importorskip("openai", reason="the extra llm is not installed")


@dataclass
class TestServer:
    """A running server and its log."""

    __test__ = False
    base_url: str
    log: pathlib.Path

    def calls(self):
        """Every call so far."""
        return (
            [json.loads(line) for line in self.log.read_text().splitlines()]
            if self.log.exists()
            else []
        )

    def paid(self):
        """Names of the calls that were answered with HTTP 200."""
        return [call["client"] for call in self.calls() if call["status"] == 200]

    def settings(self, **changes):
        """Settings for this server, with short waits."""
        return EndpointSettings(
            **{"base_url": self.base_url, "model": "test", "backoff_s": 0.02, **changes}
        )


@pytest.fixture
def serve(tmp_path):
    """`serve(faults=0.3, ...)` starts a server with the options of tests/endpoint/server.py."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            log = options.pop("log", tmp_path / f"calls{len(list(tmp_path.glob('calls*')))}.jsonl")
            arguments = [
                f"--{key}" if value is True else f"--{key}={value}"
                for key, value in options.items()
            ]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.endpoint.server", f"--log={log}", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return TestServer(process.stdout.readline().strip(), log)

        yield start
