"""Which endpoint answers, how it samples, and the limits of a run."""

import ipaddress
import math
import pathlib
import sys
import urllib.parse
from dataclasses import dataclass
from typing import Annotated, Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.endpoint.local_server.process import CONTEXT_TOKENS, SLOTS
from divsyn_jax.endpoint.local_server.weights import (
    PACKAGED_MODEL,
    find_weights,
    weights_digest,
)

# As --base_url: a server on this machine that the command itself starts and stops.
LOCAL = "local"
LOCAL_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class EndpointSettings:
    """An OpenAI-compatible endpoint and how to ask it. Raises `UserError` naming the flag of a bad
    value.

    The API key is no field: it is read from the environment variable `api_key_env` when the first
    call is paid.

    Attributes:
      base_url: address of an OpenAI-compatible endpoint, up to and with /v1, e.g.
        https://api.openai.com/v1 or http://localhost:8000/v1; `local` starts a server of --model
        on this machine and stops it at the end.
      model: model that answers, as the endpoint names it; with --base_url=local a GGUF file, by
        default the packaged SmolLM2-135M-Instruct.
      api_key_env: environment variable that holds the API key; an endpoint on this machine needs
        none.
      temperature: sampling temperature of the endpoint's model.
      seed: sent with every call (mixed with the request's identity) where the server takes one.
      reasoning_tokens: output tokens added to every request's limit, for a model that reasons
        before it answers: what it thinks counts as output, some thousands of tokens.
      context_tokens: tokens that the endpoint's model takes, prompt and answer together, where you
        know them; answers are bounded so that both fit. 0: not known, or what --base_url=local has.
      concurrency: calls in flight, at most; the limiter works below it when the server asks for
        less.
      timeout_s: seconds one attempt of a call may take.
      deadline_s: seconds all attempts of a call may take together.
      backoff_s: upper end, in seconds, of the first wait before a retry; doubles with every further
        one, up to a minute.
      price_input: price of a million prompt tokens, in your currency; without it cost is unknown.
      price_output: price of a million completion tokens, in the same currency.
      max_calls: calls this run may send; it stops there, to be continued.
      max_cost: what this run may cost; it stops there, to be continued.
      batch_out: write what would be asked to this file, in the OpenAI batch format that vLLM's
        run_batch reads too, and stop (exit code 75); --max_calls is then the most requests in it.
        With several models a file for each.
      batch_in: take the answers in these files of batch results, and go on; what is missing there
        or failed is asked again.
    """

    base_url: Annotated[str, Flag(example="http://localhost:8000/v1")]
    model: Annotated[str, Flag(example="qwen3-32b")]
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float = 0.0
    seed: int = 0
    reasoning_tokens: int = 0
    context_tokens: int = 0
    concurrency: int = 16
    timeout_s: Annotated[float, Flag("request_timeout")] = 120.0
    deadline_s: Annotated[float, Flag("request_deadline")] = 600.0
    backoff_s: float = 0.5
    price_input: float | None = None
    price_output: float | None = None
    max_calls: int | None = None
    max_cost: float | None = None
    batch_out: pathlib.Path | None = None
    batch_in: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.base_url == LOCAL:
            self._settle_local()
        else:
            self._check_address()
        self._check_numbers()

    def _settle_local(self) -> None:
        """What a server of our own settles by itself."""
        settled = {
            "model": self.model or PACKAGED_MODEL,
            "context_tokens": self.context_tokens or CONTEXT_TOKENS,
            # What waits inside the server for a slot would count as slow.
            "concurrency": min(self.concurrency, SLOTS),
            # It asks nothing for an answer, and the machine may be busy with other work.
            "timeout_s": max(self.timeout_s, LOCAL_TIMEOUT_S),
            "deadline_s": max(self.deadline_s, 2 * LOCAL_TIMEOUT_S),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    def _check_address(self) -> None:
        try:
            url = urllib.parse.urlsplit(self.base_url)
            is_address = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:  # brackets that do not match, a port that is no number
            is_address = False
        # urlsplit takes some of them away, and the library that asks does not.
        is_address = is_address and self.base_url.isprintable() and " " not in self.base_url
        if not is_address:
            shown = self.base_url.rpartition("@")[2].partition("?")[
                0
            ]  # without what may be a secret
            raise UserError(
                f"--base_url={shown!r} is not an http(s) address, e.g. http://localhost:8000/v1"
            )
        if url.username or url.password or url.query or url.fragment:
            raise UserError(
                "--base_url carries credentials or a query; put the key into the environment"
                " variable of --api_key_env"
            )
        if url.path.rstrip("/").endswith("/completions"):
            raise UserError(
                f"--base_url={self.base_url}: give the address without the end that names a"
                " question, e.g. http://localhost:8000/v1"
            )

    def _check_numbers(self) -> None:
        if not self.model:
            raise UserError("--model is required: the name by which the endpoint knows the model")
        if not self.api_key_env:
            raise UserError("--api_key_env must name an environment variable")
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 2):
            raise UserError(f"--temperature={self.temperature} must lie in [0, 2]")
        for flag in ("reasoning_tokens", "context_tokens"):
            if getattr(self, flag) < 0:
                raise UserError(f"--{flag}={getattr(self, flag)} must not be negative")
        if self.concurrency < 1:
            raise UserError(f"--concurrency={self.concurrency} must be at least 1")
        for flag, seconds in (
            ("request_timeout", self.timeout_s),
            ("request_deadline", self.deadline_s),
            ("backoff", self.backoff_s),
        ):
            if not (math.isfinite(seconds) and seconds > 0):
                raise UserError(f"--{flag}={seconds} must be a positive number of seconds")
        for flag, value in (
            ("price_input", self.price_input),
            ("price_output", self.price_output),
            ("max_cost", self.max_cost),
            ("max_calls", self.max_calls),
        ):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UserError(f"--{flag}={value} must not be negative")
        if (self.price_input is None) != (self.price_output is None):
            raise UserError("--price_input and --price_output go together: give both or neither")
        if self.max_cost is not None and self.price_input is None:
            raise UserError(
                "--max_cost needs --price_input and --price_output (currency per million tokens)"
            )
        same = [path for path in self.batch_in if pathlib.Path(path) == self.batch_out]
        if same:
            raise UserError(f"--batch_in={same[0]} is also --batch_out: name another file there")

    @property
    def side_by_side(self) -> int:
        """Questions to work on at a time, at most: as many as a file of requests may hold, or as
        there may be calls in flight.
        """
        if self.batch_out is None:
            return self.concurrency
        return sys.maxsize if self.max_calls is None else max(1, self.max_calls)

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine and so may need no key."""
        if self.base_url == LOCAL:
            return True
        host = urllib.parse.urlsplit(self.base_url).hostname or ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:  # a name: 127.example.org may lead anywhere
            return host == "localhost"
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """Price of so many tokens in the user's currency; None without prices."""
        if self.price_input is None or self.price_output is None:
            return None
        return (prompt_tokens * self.price_input + completion_tokens * self.price_output) / 1e6

    def identity(self) -> dict[str, Any]:
        """What determines answers:

        address, model and sampling, and room to reason; no timing, no budget, no secrets. Of a
        server of our own, its weights by content. Raises `UserError` where those are not there.
        """
        weights = {}
        if self.base_url == LOCAL:
            weights = {"weights": weights_digest(find_weights(self.model))}
        return {
            "base_url": self.base_url.rstrip("/"),
            "model": self.model,
            "temperature": self.temperature,
            "seed": self.seed,
            **weights,
            **({"reasoning_tokens": self.reasoning_tokens} if self.reasoning_tokens else {}),
        }
