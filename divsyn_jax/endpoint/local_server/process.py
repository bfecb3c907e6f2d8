"""Local servers as processes that this one starts, and that end when it does."""

import atexit
import contextlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO

from divsyn_jax.base.errors import Failure, UserError
from divsyn_jax.endpoint.local_server.weights import INSTALL, find_weights

SLOTS = 8  # answers written side by side
CONTEXT_TOKENS = 4096  # of a slot, for prompt and answer together
_STOP_S = 10.0


@dataclass(frozen=True)
class ServingSettings:
    """How a local server works.

    Attributes:
      gguf: GGUF file to serve; by default the packaged SmolLM2-135M-Instruct.
      port: port on 127.0.0.1; 0 for one that is free.
      slots: answers written side by side; each takes memory for its context.
      threads: threads that compute; 0 for as many as this machine has cores idle, at least one.
      context_tokens: room of a slot for prompt and answer together, in tokens.
    """

    gguf: str = ""
    port: int = 0
    slots: int = SLOTS
    threads: int = 0
    context_tokens: int = CONTEXT_TOKENS

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise UserError(f"--port={self.port} must lie in [0, 65535]")
        for name, value, least in (
            ("slots", self.slots, 1),
            ("threads", self.threads, 0),
            ("context_tokens", self.context_tokens, 128),
        ):
            if value < least:
                raise UserError(f"--{name}={value} must be at least {least}")


def idle_cores() -> int:
    """Cores that this process may use and that others leave idle, at least one.

    Threads of llama.cpp wait for each other at every layer, spinning: one that has no core of its
    own holds up all others."""
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    usable, everywhere = may_use or 1, os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, min(usable, round(everywhere - busy)))


class LocalServer:
    """A running server; `base_url` is its address for the client.

    Raises `UserError` where it cannot be started for want of a package or file, and `Failure` with
    llama.cpp's last words where it does not come up."""

    def __init__(self, settings: ServingSettings) -> None:
        self.weights = find_weights(settings.gguf)
        if importlib.util.find_spec("xllamacpp") is None:
            raise UserError(f"a local server needs xllamacpp: {INSTALL}")
        self.threads = settings.threads or idle_cores()
        asked = {
            "model": str(self.weights.absolute()),
            "slots": settings.slots,
            "threads": self.threads,
            "context_tokens": settings.context_tokens,
            "port": settings.port,
        }
        self._words: IO[bytes] = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is for the client, which receives what is in flight.
        self._process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            start_new_session=True,
            text=True,
        )
        try:
            self.base_url = self._address(asked)
        except BaseException:
            self.stop()
            raise

    def _address(self, asked: dict[str, object]) -> str:
        """Tell the process what to serve, and wait until it serves."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None  # both are pipes
        assert answers is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; its words say why
            requests.write(json.dumps(asked) + "\n")
            requests.flush()
        for line in answers:
            if line.startswith('{"address"'):
                return f"{json.loads(line)['address']}/v1"
        raise Failure(f"{self.weights}: the local server did not start ({self.last_words()})")

    def last_words(self) -> str:
        """The last line that llama.cpp wrote, at most 300 characters."""
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").strip().splitlines()
        return said[-1][:300] if said else "without a word of why"

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the process ends, which it does by itself only by a fault."""
        self._process.wait()

    def stop(self) -> None:
        """End the process; what it was writing is lost."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_SERVERS: dict[tuple[str, int, int], LocalServer] = {}
_LOCK = threading.Lock()


def shared_server(model: str, slots: int, context_tokens: int) -> LocalServer:
    """The one server of `model` that all clients of this process ask: started when it is first
    asked for, stopped when the process ends.

    Raises as `LocalServer` does."""
    key = (str(find_weights(model)), slots, context_tokens)
    with _LOCK:
        server = _SERVERS.get(key)
        if server is None or not server.is_alive:
            server = LocalServer(
                ServingSettings(gguf=model, slots=slots, context_tokens=context_tokens)
            )
            _SERVERS[key] = server
            atexit.register(server.stop)
        return server
