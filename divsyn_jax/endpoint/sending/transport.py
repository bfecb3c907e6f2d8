"""One HTTP attempt through the openai SDK, and what its outcome means."""

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.local_server.process import SLOTS, shared_server
from divsyn_jax.endpoint.sending import bounded_body, completion
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.outcomes import (
    LONGEST_MESSAGE,
    AttemptFailed,
    OutcomeReader,
    count_reported,
)
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def _not_counted(prompt_tokens: int, completion_tokens: int) -> None:
    """For who does not count."""


class Transport(OutcomeReader):
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
        super().__init__(settings)
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
        address = _address(settings)
        try:
            # The limiter repeats attempts; two layers of retries would multiply.
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=address,
                max_retries=0,
                timeout=settings.timeout_s,
                http_client=http_client,
                default_headers={"Accept-Encoding": bounded_body.ACCEPTED_ENCODING},
            )
        except Exception as error:  # InvalidURL of httpx, which comes under two names
            raise UserError(
                f"--base_url={address[:80]}: no address ({' '.join(str(error).split())[:80]});"
                " give one such as http://localhost:8000/v1"
            ) from None

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
            text = self.clean(_text(http_response.content))
            return self.reply(text, http_response.headers, body, count)
        except bounded_body.BodyRefused as refused:
            raise AttemptFailed(self.clean(str(refused))) from None
        except (TimeoutError, openai.APITimeoutError):
            raise AttemptFailed(
                f"no answer within {timeout_s:g} s", congested=True, timed_out=True
            ) from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, bounded_body.BodyRefused):
                raise AttemptFailed(self.clean(str(error.__cause__))) from None
            unreachable = type(error.__cause__).__name__ == "ConnectError"
            raised = error.__cause__ or error
            cause = " ".join(self.clean(str(raised) or type(raised).__name__).split())
            proxies = ", ".join(self._proxies)
            through = f"; the environment names proxies: {proxies}" if proxies else ""
            raise AttemptFailed(
                f"no connection ({cause[:LONGEST_MESSAGE]}{through})", unreachable=unreachable
            ) from None
        except openai.APIStatusError as error:
            text = self.clean(_text(error.response.content))
            said = completion.parsed(text)
            count_reported(said, body, count)
            raise self.failure(error.status_code, said, text, error.response.headers) from None
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):
            raise AttemptFailed("the body of the response is not a chat completion") from None


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


def _address(settings: EndpointSettings) -> str:
    """Where to ask; a server of our own is started when it is first asked."""
    if settings.base_url != LOCAL:
        return settings.base_url.rstrip("/")
    return shared_server(
        settings.model, min(settings.concurrency, SLOTS), settings.context_tokens
    ).base_url
