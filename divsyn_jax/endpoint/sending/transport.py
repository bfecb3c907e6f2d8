"""One HTTP attempt through the openai SDK, and what its outcome means."""

import asyncio
import email.utils
import math
import os
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.local_server.process import SLOTS, shared_server
from divsyn_jax.endpoint.request import EndpointStopped
from divsyn_jax.endpoint.sending import bounded_body, completion
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.redaction import Redaction
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings

# 529: overloaded, in some services' words.
_REFUSED = frozenset({429, 503, 529})
_TRANSIENT = frozenset({408, 409})
_LONGEST_MESSAGE = completion.LONGEST_WORDS
_LONGEST_REQUEST_ID = 200
_LONGEST_WAIT_S = 86_400.0  # who asks to wait a day asks to come back another day
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


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


def _not_counted(prompt_tokens: int, completion_tokens: int) -> None:
    """For who does not count."""


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
        # What runs on this machine is asked directly: a proxy elsewhere cannot reach it.
        direct: dict[str, Any] = {"trust_env": False} if settings.is_local else {}
        if settings.is_local and settings.base_url.casefold().startswith("https"):
            direct["verify"] = ssl.create_default_context()  # SSL_CERT_FILE counts here too
        self._proxies = [] if settings.is_local else _proxy_variables()
        try:
            http_client = openai.DefaultAsyncHttpxClient(
                follow_redirects=False,
                event_hooks={"response": [bounded_body.read_bounded]},
                **direct,
            )
        except Exception:  # httpx raises several types, and their messages repeat passwords
            raise UserError(
                f"the proxy in the environment ({', '.join(self._proxies) or 'none set'}) cannot be"
                " used; set it to an address such as http://proxy:8080, or unset it"
            ) from None
        # The limiter repeats attempts; two layers of retries would multiply.
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=_address(settings),
            max_retries=0,
            timeout=settings.timeout_s,
            http_client=http_client,
            default_headers={"Accept-Encoding": bounded_body.ACCEPTED_ENCODING},
        )

    async def close(self) -> None:
        """Close the connections; a server of our own goes on, for the next client."""
        await self._client.close()

    async def send(
        self,
        body: dict[str, Any],
        request_name: str,
        timeout_s: float,
        count: Callable[[int, int], None] = _not_counted,
    ) -> Reply:
        """One attempt; `count` is given the (prompt, output) tokens that an answer reports which is
        no reply.

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
            text = self._clean(_text(http_response.content))
            return self._reply(text, http_response.headers, body, count)
        except bounded_body.BodyRefused as refused:
            raise AttemptFailed(self._clean(str(refused))) from None
        except (TimeoutError, openai.APITimeoutError):
            raise AttemptFailed(
                f"no answer within {timeout_s:g} s", congested=True, timed_out=True
            ) from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, bounded_body.BodyRefused):
                raise AttemptFailed(self._clean(str(error.__cause__))) from None
            unreachable = type(error.__cause__).__name__ == "ConnectError"
            cause = " ".join(self._clean(str(error.__cause__ or error)).split())
            through = f"; through the proxy in {', '.join(self._proxies)}" if self._proxies else ""
            raise AttemptFailed(
                f"no connection ({cause[:_LONGEST_MESSAGE]}{through})", unreachable=unreachable
            ) from None
        except openai.APIStatusError as error:
            text = self._clean(_text(error.response.content))
            said = completion.parsed(text)
            _count_reported(said, body, count)
            raise self._failure(error.status_code, said, text, error.response.headers) from None
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):
            raise AttemptFailed("the body of the response is not a chat completion") from None

    def _failure(self, http_status: int, said: Any, text: str, headers: Any) -> Exception:
        settings = self._settings
        if 300 <= http_status < 400:
            return UserError(
                f"{settings.base_url} sends its callers on to {self._target(headers)} (HTTP"
                f" {http_status}), where nothing was sent: give the address to ask as --base_url"
            )
        error = completion.error_of(said, text, self._clean)
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
        self,
        text: str,
        headers: Mapping[str, str],
        body: dict[str, Any],
        count: Callable[[int, int], None],
    ) -> Reply:
        said = completion.parsed(text)
        reply = completion.reply(said, body)
        if reply is None:
            _count_reported(said, body, count)
            raise self._failure(200, said, text, headers)
        named = self._clean(headers.get("x-request-id", "")) or reply.request_id
        return replace(reply, request_id=named and named[:_LONGEST_REQUEST_ID])


def _count_reported(said: Any, body: dict[str, Any], count: Callable[[int, int], None]) -> None:
    prompt, output = completion.reported_tokens(said, body)
    if prompt is not None or output is not None:
        count(prompt or 0, output or 0)


def _proxy_variables() -> list[str]:
    """Names of the variables that are set."""
    return [
        name
        for variable in _PROXY_VARIABLES
        for name in (variable, variable.lower())
        if os.environ.get(name)
    ]


def _text(body: bytes) -> str:
    """JSON is UTF-8, whatever the headers say of it."""
    return body.decode("utf-8-sig", "replace")


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
                asked = email.utils.parsedate_to_datetime(given).timestamp() - time.time()
            except (TypeError, ValueError, OverflowError, IndexError):
                continue
        if not math.isnan(asked):
            return min(max(0.0, asked), _LONGEST_WAIT_S)
    return None


def _address(settings: EndpointSettings) -> str:
    """Where to ask; a server of our own is started when it is first asked."""
    if settings.base_url != LOCAL:
        return settings.base_url
    return shared_server(
        settings.model, min(settings.concurrency, SLOTS), settings.context_tokens
    ).base_url
