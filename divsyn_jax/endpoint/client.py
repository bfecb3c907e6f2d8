"""Asks an OpenAI-compatible endpoint and pays for no answer twice."""

from pathlib import Path

from divsyn_jax.endpoint.request import Answer, ContentFailure, EndpointStopped, Request
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.usage import Usage

__all__ = ["Answer", "Client", "ContentFailure", "EndpointStopped", "Request"]


class Client:
    """One client of one endpoint, for one event loop: `async with Client(settings, path) as client`."""

    def __init__(self, settings: EndpointSettings, cache_path: Path | None):
        self.settings = settings
        self.usage = Usage(settings)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *exception) -> None:
        pass

    @property
    def mode(self) -> str:
        """How answers are shaped on this endpoint: json_schema, json_object or text."""
        raise NotImplementedError

    async def complete(self, request: Request) -> Answer:
        """The endpoint's answer, from the cache where it was given before.

        Raises `ContentFailure`, `EndpointStopped`, or `UserError` for a wrong key, model, address or set-up.
        """
        raise NotImplementedError
