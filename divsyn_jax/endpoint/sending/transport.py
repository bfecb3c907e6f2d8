"""One HTTP attempt through the openai SDK, and what its outcome means."""

import asyncio
import email.utils
import json
import os
import time
from dataclasses import dataclass
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.settings import EndpointSettings

# 529: overloaded, in some services' words.
_REFUSED = frozenset({429, 503, 529})
_TRANSIENT = frozenset({408, 409})
_LONGEST_MESSAGE = 300


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
        unreachable=False,
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

    Raises `UserError` without a key for a remote endpoint, and for a key that cannot stand in a
    header."""

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
        # The limiter repeats attempts; two layers of retries would multiply.
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=settings.base_url,
            max_retries=0,
            timeout=settings.timeout_s,
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
            completion = json.loads(self._clean(response.http_response.text))
            return _reply(completion, response.http_response.headers, body)
        except (TimeoutError, openai.APITimeoutError):
            raise AttemptFailed(f"no answer within {timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            unreachable = type(error.__cause__).__name__ == "ConnectError"
            cause = " ".join(self._clean(str(error.__cause__ or error)).split())
            raise AttemptFailed(f"no connection ({cause})", unreachable=unreachable) from None
        except openai.APIStatusError as error:
            raise self._failure(
                error.status_code, error.response.text, error.response.headers
            ) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise AttemptFailed("the body of the response is not a chat completion") from None

    def _failure(self, status: int, body: str, headers: Any) -> Exception:
        settings = self._settings
        message = " ".join(self._clean(body).split())[:_LONGEST_MESSAGE]
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
        return text.replace(self._key, "[API key]") if self._key else text


def _reply(completion: dict[str, Any], headers: Any, body: dict[str, Any]) -> Reply:
    choice = completion["choices"][0]
    message = choice["message"]
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    usage = completion.get("usage") or {}
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    metered = bool(prompt) and output is not None
    return Reply(
        text=str(content),
        finish_reason=choice.get("finish_reason") or "stop",
        refused=bool(message.get("refusal")),
        prompt_tokens=int(
            prompt
            or tokens.estimate_tokens(*(message["content"] for message in body["messages"])).high
        ),
        completion_tokens=int(
            tokens.estimate_tokens(str(content)).high if output is None else output
        ),
        metered=metered,
        request_id=headers.get("x-request-id") or completion.get("id"),
    )


def _retry_after(headers: Any) -> float | None:
    """Seconds to wait by retry-after-ms or Retry-After (seconds or a date)."""
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        return None if seconds is None else max(0.0, float(seconds))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(seconds).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
