"""What the outcome of one call means: a reply, or which kind of failure, whether it came over a
connection or out of a file of results."""

import datetime
import email.utils
import math
import os
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.sending import completion
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.redaction import Redaction
from divsyn_jax.endpoint.settings import EndpointSettings

# 529: overloaded, in some services' words.
_REFUSED = frozenset({429, 503, 529})
_TRANSIENT = frozenset({408, 409})
LONGEST_MESSAGE = completion.LONGEST_WORDS
_LONGEST_REQUEST_ID = 200
_LONGEST_WAIT_S = 86_400.0  # who asks to wait a day asks to come back another day


class AttemptFailed(Exception):
    """The server or the line failed; another attempt may succeed.

    Attributes:
      congested: the server asks for fewer calls, or is too slow for so many.
      retry_after: seconds it asks to wait, if it says so.
      unreachable: no server was reached at all.
      timed_out: nothing came within --request_timeout.
      server_error: the server says that it failed (HTTP 5xx), maybe at the form of the request.
      answerless: HTTP 200 and a completion that holds no answer; a server that means it will not
        answer better.
    """

    def __init__(
        self,
        message: str,
        congested: bool = False,
        retry_after: float | None = None,
        unreachable: bool = False,
        timed_out: bool = False,
        server_error: bool = False,
        answerless: bool = False,
    ):
        super().__init__(message)
        self.congested = congested
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.timed_out = timed_out
        self.server_error = server_error
        self.answerless = answerless


class Rejected(Exception):
    """The server understood the call and will not do it (HTTP 400, 422 and kin); the message is its
    own, one line.
    """


class Filtered(Exception):
    """The server's content filter stopped the request; the message is its own, one line."""


class OutcomeReader:
    """Says what the outcomes of calls to one endpoint mean; no connection is needed for that."""

    def __init__(self, settings: EndpointSettings):
        self._settings = settings
        self._key = os.environ.get(settings.api_key_env, "").strip()
        self._redaction = Redaction(self._key)

    def failure(self, http_status: int, said: Any, text: str, headers: Any) -> Exception:
        """What a body that is no reply means: to be raised.

        `AttemptFailed`, `Rejected`, `Filtered`, `EndpointStopped` (quota spent) or `UserError`
        (key, model, address)."""
        settings = self._settings
        if 300 <= http_status < 400:
            return UserError(
                f"{settings.base_url} sends its callers on to {self._target(headers)} (HTTP"
                f" {http_status}), where nothing was sent: give the address to ask as --base_url"
            )
        error = completion.error_of(said, text, self.clean)
        # Gateways wrap the fault of the server behind them, whose own number tells more.
        wrapped = http_status == 200 or http_status >= 500
        status = error.status if wrapped and error.status is not None else http_status
        name = f"HTTP {http_status}" + (f", error {status}" if status != http_status else "")
        words = f"{name}: {error.words}" if error.words else name
        if error.filtered and status not in (401, 429):
            return Filtered(error.words)
        if "insufficient_quota" in text or status == 402:
            return EndpointStopped(
                f"{settings.base_url}: the account's quota is spent ({words}); what was"
                " answered is saved, add credit and run the same command to continue"
            )
        if status == 401 and not self._key:
            return UserError(
                f"{settings.base_url} wants an API key ({words}): set the environment variable"
                f" {settings.api_key_env}"
            )
        if status == 401:
            return UserError(
                f"{settings.base_url} does not accept the API key in the environment variable"
                f" {settings.api_key_env} ({words})"
            )
        if status == 403:
            return UserError(
                f"{settings.base_url} forbids --model={settings.model} to the API key in"
                f" {settings.api_key_env} ({words})"
            )
        if status == 404:
            return UserError(
                f"{settings.base_url}/chat/completions or --model={settings.model} is unknown there"
                f" ({words}); most addresses end in /v1"
            )
        if status in _REFUSED or status in _TRANSIENT or status >= 500:
            return AttemptFailed(
                words,
                congested=status in _REFUSED,
                retry_after=_retry_after(headers),
                server_error=status >= 500 and status not in _REFUSED,
            )
        if status == 200:
            no_completion = not (isinstance(said, Mapping) and ("choices" in said or "id" in said))
            kind = "no chat completion" if no_completion else "a completion without an answer"
            return AttemptFailed(
                f"the body of the response is {kind}"
                + (f" ({error.words})" if error.words else ""),
                answerless=not no_completion,
            )
        return Rejected(words)

    def clean(self, text: str) -> str:
        """`text` without the key, should a server echo it."""
        return self._redaction.clean(text)

    def _target(self, headers: Mapping[str, str]) -> str:
        """The host that a redirect leads to."""
        try:
            url = urllib.parse.urlsplit(
                urllib.parse.urljoin(self._settings.base_url, headers.get("location", ""))
            )
            port = f":{url.port}" if url.port else ""
            found = f"{url.scheme}://{url.hostname or ''}{port}"
        except ValueError:
            found = "an address that is none"
        return self.clean(found)[:LONGEST_MESSAGE]

    def reply(
        self,
        text: str,
        headers: Mapping[str, str],
        body: dict[str, Any],
        count: Callable[[int, int], None],
    ) -> Reply:
        """The reply in the body of an HTTP 200; raises what `failure` says where there is none."""
        said = completion.parsed(text)
        reply = completion.reply(said, body)
        if reply is None:
            count_reported(said, body, count)
            raise self.failure(200, said, text, headers)
        named = self.clean(headers.get("x-request-id", "")) or reply.request_id
        return replace(reply, request_id=named and named[:_LONGEST_REQUEST_ID])


def count_reported(said: Any, body: dict[str, Any], count: Callable[[int, int], None]) -> None:
    """Give `count` the (prompt, output) tokens that a body reports."""
    prompt, output = completion.reported_tokens(said, body)
    if prompt is not None or output is not None:
        count(prompt or 0, output or 0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by retry-after-ms or Retry-After (seconds or a date), at most a day; None for
    what is no time. One that cannot be read does not hide the other.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        given = headers.get(name)
        if given is None:
            continue
        try:
            asked = float(given) * unit
        except ValueError:
            try:
                date = email.utils.parsedate_to_datetime(given)
                # HTTP's dates are of Greenwich, also where they do not say so.
                date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
                asked = date.timestamp() - time.time()
            except (TypeError, ValueError, OverflowError, IndexError):
                continue
        if not math.isnan(asked):
            return min(max(0.0, asked), _LONGEST_WAIT_S)
    return None
