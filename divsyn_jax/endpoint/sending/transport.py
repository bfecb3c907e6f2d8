"""One HTTP attempt through the openai SDK, and what its outcome means."""

import asyncio
import email.utils
import math
import os
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from divsyn_jax.base import json_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.sending import bounded_body
from divsyn_jax.endpoint.sending.redaction import Redaction
from divsyn_jax.endpoint.settings import EndpointSettings

# 529: overloaded, in some services' words.
_REFUSED = frozenset({429, 503, 529})
_TRANSIENT = frozenset({408, 409})
_LONGEST_MESSAGE = 300
_LONGEST_REQUEST_ID = 200
_LONGEST_WAIT_S = 86_400.0  # who asks to wait a day asks to come back another day
# What one call can take: a count beyond it, or below 0, is no count (-1 stands for "not counted").
_MOST_TOKENS = 1 << 31
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Reply:
    """What a server answered with HTTP 200; tokens are the upper end of our estimate where they are
    not `metered`.
    """

    text: str
    finish_reason: str
    refused: bool
    prompt_tokens: int
    completion_tokens: int
    metered: bool
    request_id: str | None


class AttemptFailed(Exception):
    """The server or the line failed; another attempt may succeed.

    Attributes:
      congested: the server asks for fewer calls.
      retry_after: seconds it asks to wait, if it says so.
      unreachable: no server was reached at all.
    """

    def __init__(
        self,
        message: str,
        congested: bool = False,
        retry_after: float | None = None,
        unreachable: bool = False,
    ):
        super().__init__(message)
        self.congested = congested
        self.retry_after = retry_after
        self.unreachable = unreachable


class Rejected(Exception):
    """The server understood the call and will not do it (HTTP 400, 422 and kin); the message is its
    own, one line.
    """


class Filtered(Exception):
    """The server's content filter stopped the request."""


class Transport:
    """Sends chat completions; belongs to one event loop.

    The endpoint is one host: redirects are not followed. Raises `UserError` without a key for a
    remote endpoint, for a key that cannot stand in a header, and for a proxy that cannot be used.
    """

    def __init__(self, settings: EndpointSettings):
        try:
            import openai
        except ImportError:
            raise UserError(
                "asking an endpoint needs the openai package: pip install 'divsyn-jax[llm]'"
            ) from None
        self._settings = settings
        self._key = os.environ.get(settings.api_key_env, "").strip()
        if not self._key and not settings.is_local:
            raise UserError(
                f"{settings.base_url} needs an API key: set the environment variable"
                f" {settings.api_key_env}"
            )
        if not all(
            "!" <= character <= "~" for character in self._key
        ):  # a line break, a curly quote
            raise UserError(
                f"the API key in the environment variable {settings.api_key_env} holds white space"
                " or characters that are not ASCII: set it to the key alone"
            )
        self._openai = openai
        self._redaction = Redaction(self._key)
        try:
            http_client = openai.DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"response": [bounded_body.read_bounded]}
            )
        except Exception:  # httpx raises several types, and their messages repeat passwords
            given = [
                name
                for variable in _PROXY_VARIABLES
                for name in (variable, variable.lower())
                if os.environ.get(name)
            ]
            raise UserError(
                f"the proxy in the environment ({', '.join(given) or 'none set'}) cannot be used;"
                " set it to an address such as http://proxy:8080, or unset it"
            ) from None
        # The limiter repeats attempts; two layers of retries would multiply.
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=settings.base_url,
            max_retries=0,
            timeout=settings.timeout_s,
            http_client=http_client,
            default_headers={"Accept-Encoding": bounded_body.ACCEPTED_ENCODING},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def send(self, body: dict[str, Any], request_name: str, timeout_s: float) -> Reply:
        """One attempt.

        Raises `AttemptFailed`, `Rejected`, `Filtered`, `EndpointStopped` (quota spent) or
        `UserError` (key, model, address)."""
        openai = self._openai
        try:
            async with asyncio.timeout(timeout_s):  # the SDK's own bounds each read, not the whole
                response = await self._client.chat.completions.with_raw_response.create(
                    **body, extra_headers={"X-Client-Request-Id": request_name}, timeout=timeout_s
                )
            # Parsed here: with a body that is no JSON the SDK's own parser returns a string or
            # raises anything.
            http_response = response.http_response
            completion = json_text.parse_json(self._clean(_text(http_response.content)))
            return self._reply(completion, http_response.headers, body)
        except bounded_body.BodyRefused as refused:
            raise AttemptFailed(self._clean(str(refused))) from None
        except (TimeoutError, openai.APITimeoutError):
            raise AttemptFailed(f"no answer within {timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, bounded_body.BodyRefused):
                raise AttemptFailed(self._clean(str(error.__cause__))) from None
            unreachable = type(error.__cause__).__name__ == "ConnectError"
            cause = " ".join(self._clean(str(error.__cause__ or error)).split())
            raise AttemptFailed(
                f"no connection ({cause[:_LONGEST_MESSAGE]})", unreachable=unreachable
            ) from None
        except openai.APIStatusError as error:
            raise self._failure(
                error.status_code, _text(error.response.content), error.response.headers
            ) from None
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):
            raise AttemptFailed("the body of the response is not a chat completion") from None

    def _failure(self, status: int, body: str, headers: Any) -> Exception:
        settings = self._settings
        message = " ".join(self._clean(body).split())[:_LONGEST_MESSAGE]
        if 300 <= status < 400:
            return UserError(
                f"{settings.base_url} sends its callers on to {self._target(headers)} (HTTP"
                f" {status}), where nothing was sent: give the address to ask as --base_url"
            )
        if "content_filter" in message or "ResponsibleAIPolicy" in message:
            return Filtered()
        if "insufficient_quota" in message or status == 402:
            return EndpointStopped(
                f"{settings.base_url}: the account's quota is spent (HTTP {status}); what was"
                " answered is saved, add credit and run the same command to continue"
            )
        if status == 401 and not self._key:
            return UserError(
                f"{settings.base_url} wants an API key: set the environment variable"
                f" {settings.api_key_env}"
            )
        if status == 401:
            return UserError(
                f"{settings.base_url} does not accept the API key in the environment variable"
                f" {settings.api_key_env}"
            )
        if status == 403:
            return UserError(
                f"{settings.base_url} forbids --model={settings.model} to the API key in"
                f" {settings.api_key_env} (HTTP 403)"
            )
        if status == 404:
            return UserError(
                f"{settings.base_url}/chat/completions or --model={settings.model} is unknown there"
                " (HTTP 404); most addresses end in /v1"
            )
        if status in _REFUSED or status in _TRANSIENT or status >= 500:
            return AttemptFailed(
                f"HTTP {status}", congested=status in _REFUSED, retry_after=_retry_after(headers)
            )
        return Rejected(f"HTTP {status}: {message}")

    def _clean(self, text: str) -> str:
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
        return self._clean(found)[:_LONGEST_MESSAGE]

    def _reply(
        self, completion: dict[str, Any], headers: Mapping[str, str], body: dict[str, Any]
    ) -> Reply:
        reply = _reply(completion, body)
        named = self._clean(headers.get("x-request-id", "")) or reply.request_id
        return replace(reply, request_id=named and named[:_LONGEST_REQUEST_ID])


def _text(body: bytes) -> str:
    """JSON is UTF-8, whatever the headers say of it."""
    return body.decode("utf-8-sig", "replace")


def _reply(completion: dict[str, Any], body: dict[str, Any]) -> Reply:
    choice = completion["choices"][0]
    message = choice["message"]
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    usage = completion.get("usage") or {}
    prompt = _count(usage.get("prompt_tokens"))
    output = _count(usage.get("completion_tokens"))
    metered = bool(prompt) and output is not None
    finish, named = choice.get("finish_reason"), completion.get("id")
    return Reply(
        text=str(content),
        finish_reason=finish if isinstance(finish, str) and finish else "stop",
        refused=bool(message.get("refusal")),
        prompt_tokens=int(
            prompt
            or tokens.estimate_tokens(*(message["content"] for message in body["messages"])).high
        ),
        completion_tokens=int(
            tokens.estimate_tokens(str(content)).high if output is None else output
        ),
        metered=metered,
        request_id=named if isinstance(named, str) else None,
    )


def _count(value: Any) -> int | None:
    """A number of tokens as reported; None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < _MOST_TOKENS else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by retry-after-ms or Retry-After (seconds or a date), at most a day; None for
    what is no time.
    """
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            asked = float(milliseconds) / 1000
        elif seconds is None:
            return None
        else:
            asked = float(seconds)
    except ValueError:
        try:
            asked = email.utils.parsedate_to_datetime(seconds or "").timestamp() - time.time()
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
    return None if math.isnan(asked) else min(max(0.0, asked), _LONGEST_WAIT_S)
