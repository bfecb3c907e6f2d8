"""Serve a language model on this machine, offline, for every command that takes --base_url.

  divsyn serve
  divsyn serve --gguf=models/qwen3-0.6b-q8_0.gguf --slots=4

serves SmolLM2-135M-Instruct, which comes as a package, or any GGUF file, by llama.cpp on 127.0.0.1,
prints the --base_url and --model to use, and stops on Ctrl-C or SIGTERM. Its API is OpenAI's, with
answers constrained to a JSON schema, seeds and token counts. A command that is given
--base_url=local starts such a server itself, and stops it when it is done.
"""

import signal
from typing import Any

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import Failure, UserError
from divsyn_jax.endpoint.local_server.process import LocalServer, ServingSettings
from divsyn_jax.endpoint.local_server.weights import PACKAGED_MODEL

_SERVING = setting_flags.define(ServingSettings, "endpoint")


class _Stop(Exception):
    """SIGTERM or Ctrl-C came."""


def main(arguments: list[str]) -> None:
    """The command: see the module's documentation."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; a model is given by --gguf=FILE")
    settings = _SERVING.given()

    def stop(number: int, frame: Any) -> None:
        raise _Stop

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server = None
    try:
        server = LocalServer(settings)
        # The name goes into results: the client knows a model by it alone.
        model = PACKAGED_MODEL if not settings.gguf else server.weights.stem
        print(f"--base_url={server.base_url} --model={model}", flush=True)
        print(
            f"{server.weights}: {settings.slots} answers side by side by {server.threads} threads,"
            f" {settings.context_tokens} tokens of context each; Ctrl-C stops it",
            flush=True,
        )
        server.wait()
        raise Failure(f"{server.weights}: the server ended by itself ({server.last_words()})")
    except _Stop:
        print("stopped", flush=True)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if server is not None:
            server.stop()


def run() -> None:
    """Entry point of `divsyn serve`."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
