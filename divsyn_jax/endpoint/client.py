"""Asks an OpenAI-compatible endpoint and pays for no answer twice.

    async with Client(settings, output / "cache.sqlite") as client:
        probe = await canary.probe(client, documents=10, characters=2000)
        answer = await client.complete(request)

A request is looked up in the cache; else it is sent (`sender`), its answer repaired and validated
(`structured`), asked for again once when unusable, and committed. What is in flight when the block
ends is still received and committed, whatever ended it; an attempt takes --request_timeout at most,
and nothing is begun or repeated any more. A server of our own, whose answers cost nothing, gets ten
seconds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.answers import parsing as structured
from divsyn_jax.endpoint.batch_files.batch import AnswerAwaited, BatchFiles
from divsyn_jax.endpoint.cache import Cache, Paid, answer_key
from divsyn_jax.endpoint.request import Answer, ContentFailure, EndpointStopped, Request
from divsyn_jax.endpoint.sending.completion import LEAST_TOKENS_PER_WORD, Reply
from divsyn_jax.endpoint.sending.dialect import Dialect
from divsyn_jax.endpoint.sending.sender import Sender
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings
from divsyn_jax.endpoint.usage import Usage

__all__ = ["Answer", "Client", "ContentFailure", "EndpointStopped", "Request"]

TRUNCATION_REMEDY = (
    "raise its context length (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx of the model; llama.cpp:"
    " --ctx-size; vLLM: --max-model-len) or ask with fewer or shorter documents"
)
_DRAIN_MARGIN_S = 5.0
_LOCAL_DRAIN_S = 10.0


@dataclass(frozen=True)
class Exchange:
    """One question and what came back."""

    reply: Reply
    parsed: structured.Parsed
    mode: str


class Client:
    """One client of one endpoint, for one event loop.

    `cache_path` None keeps answers for this run only.
    """

    def __init__(self, settings: EndpointSettings, cache_path: Path | None):
        self.settings = settings
        self.usage = Usage(settings)
        self._cache_path = cache_path
        self._batch: BatchFiles | None = None
        self._running: dict[str, asyncio.Task[Answer]] = {}

    async def __aenter__(self) -> "Client":
        self.cache = Cache(self._cache_path)
        self._remembered = self.cache.fact(self._about) or {}
        dialect = Dialect(**self._remembered, proven=True) if self._remembered else Dialect()
        if self.settings.batch_out is not None or self.settings.batch_in:
            self._batch = BatchFiles(self.settings, self.usage, self.cache)
            try:
                self._batch.open(self._cache_path)
            except BaseException:
                self._batch.close()
                self.cache.close()
                raise
        self._sender = Sender(self.settings, self.usage, dialect, self._batch)
        return self

    async def __aexit__(self, *exception: Any) -> None:
        self._sender.stop(EndpointStopped("the client was closed"))
        if self._batch is not None:
            self._batch.abandon()
        if self._running:  # paid for: wait, so that it is committed
            longest = self.settings.timeout_s + _DRAIN_MARGIN_S
            if self.settings.base_url == LOCAL:  # costs nothing but time
                longest = _LOCAL_DRAIN_S
            _, late = await asyncio.wait(self._running.values(), timeout=longest)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._sender.close()
        if self._batch is not None:
            self._batch.close()
        self.cache.close()

    @property
    def mode(self) -> str:
        """How answers are shaped on this endpoint: json_schema, json_object or text."""
        return self.dialect.mode

    @property
    def dialect(self) -> Dialect:
        """What the endpoint was found to accept; name it in results."""
        return self._sender.dialect

    @property
    def in_flight(self) -> int:
        """Calls that were sent and are not answered."""
        return self._sender.in_flight

    async def complete(self, request: Request) -> Answer:
        """The endpoint's answer, from the cache where it was given before.

        Raises `ContentFailure`, `EndpointStopped`, or `UserError` for a wrong key, model, address
        or set-up. After one of
        the latter two nothing more is sent: every other request ends the same way."""
        if (known := self.cached(request)) is not None:
            return known
        key = answer_key(self._determinants(request, mode=""))
        shared = key in self._running
        if not shared:
            self._running[key] = asyncio.create_task(self._ask(request))
            self._running[key].add_done_callback(lambda task: self._finished(key, task))
        # Shielded: a caller that is cancelled does not throw away what is being paid for.
        answer = await asyncio.shield(self._running[key])
        self.usage.of(request.purpose).cached_calls += shared
        return answer

    async def exchange(
        self, request: Request, problems: Sequence[str] = (), wait: bool = True
    ) -> Exchange:
        """Put one question past the cache, as a re-ask when `problems` of an earlier answer are
        given.

        Raises `ContentFailure` (refusal, content_filter, rejected, unanswered) and as `complete`
        does; without `wait` `AnswerAwaited` for a question that a batch file is about to ask for
        the first time."""
        try:
            reply, dialect = await self._sender.send(request, list(problems))
        except AnswerAwaited as awaited:
            assert self._batch is not None  # it is what raised
            if wait or awaited.before:
                await self._batch.until_written()
            raise
        if self.dialect.proven and self._remembered != (found := self.dialect.to_json()):
            self.cache.keep_fact(self._about, found)
            self._remembered = found
        if reply.refused:
            raise ContentFailure("refusal", ["the model refused"])
        if reply.finish_reason == "content_filter":
            raise ContentFailure(
                "content_filter", ["the server's content filter stopped the answer"]
            )
        asked = sum(
            tokens.least_tokens(message["content"])
            for message in structured.messages(request, dialect.mode, [])
        )
        if reply.metered and reply.prompt_tokens < LEAST_TOKENS_PER_WORD * asked:
            raise UserError(
                f"{self.settings.base_url} read {reply.prompt_tokens} tokens of a prompt of {asked}"
                f" words: it cuts prompts silently; {TRUNCATION_REMEDY}"
            )
        if request.plain:
            was_cut = reply.finish_reason == "length"
            parsed = structured.parse_plain(reply.text, was_cut, request, reply.elsewhere)
        else:
            parsed = structured.parse(reply.text, request, reply.elsewhere)
        return Exchange(reply, parsed, dialect.mode)

    def step_down(self) -> bool:
        """Take the next rung of the ladder because this one is accepted but not kept; False at the
        bottom.
        """
        lower = self.dialect.lower()
        if lower is not None:
            self._sender.dialect = replace(lower, proven=False)
        return lower is not None

    async def waits_for_file(self, task: "asyncio.Future[Any]") -> bool:
        """Whether `task`, which asks this client, waits for an answer of the next batch file."""
        return self._batch is not None and await self._batch.brings(task)

    async def until_written(self) -> None:
        """Raises the `EndpointStopped` of a run whose batch file is written, once it is."""
        assert self._batch is not None, "a batch file was asked for"
        await self._batch.until_written()

    def settle(self) -> None:
        """To be called at the end of a run: raises `EndpointStopped` where a batch file still has
        to ask what nobody waited for.
        """
        if self._batch is not None:
            self._batch.settle()

    @property
    def _about(self) -> dict[str, Any]:
        return {"dialect": self.settings.identity()["base_url"], "model": self.settings.model}

    def _finished(self, key: str, task: asyncio.Task[Answer]) -> None:
        del self._running[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not isinstance(error, ContentFailure):
            self._sender.stop(error)

    def _determinants(self, request: Request, mode: str) -> dict[str, Any]:
        """Everything that determines an answer.

        Not the room to reason: too little of it leaves no answer, and one that was paid for with
        less is as good."""
        endpoint = self.settings.identity()
        endpoint.pop("reasoning_tokens", None)
        return {
            "endpoint": endpoint,
            "mode": mode,
            "purpose": request.purpose,
            "messages": structured.messages(request, mode, []),
            "schema": request.schema,
            "max_output_tokens": request.max_output_tokens,
            "identity": request.identity,
        }

    def cached(self, request: Request) -> Answer | None:
        """The answer that was paid for before; None where the request would have to be sent."""
        # What was answered on another rung, before the endpoint's mode changed, is an answer all
        # the same.
        for mode in sorted(structured.MODES, key=lambda mode: mode != self.mode):
            paid = self.cache.answer(answer_key(self._determinants(request, mode)))
            if paid is not None and not structured.of_value(paid.value, request).problems:
                counts = self.usage.of(request.purpose)
                counts.cached_calls += 1
                counts.cached_prompt_tokens += paid.prompt_tokens
                counts.cached_completion_tokens += paid.completion_tokens
                return Answer(paid.value, cached=True, request_id=paid.request_id, mode=mode)
        return None

    async def _ask(self, request: Request) -> Answer:
        """The question and, once, a second one naming what was wrong with the first answer."""
        counts = self.usage.of(request.purpose)
        outcome = "invalid"
        problems: list[str] = []
        took = [0, 0]
        try:
            for re_ask in (False, True):
                counts.re_asks += re_ask
                exchange = await self.exchange(request, problems)
                reply, parsed = exchange.reply, exchange.parsed
                took = [took[0] + reply.prompt_tokens, took[1] + reply.completion_tokens]
                if parsed.value is not None and not parsed.problems:
                    counts.coerced += parsed.coerced
                    determinants = self._determinants(request, exchange.mode)
                    self.cache.keep(
                        answer_key(determinants),
                        determinants,
                        Paid(parsed.value, reply.request_id, *took),
                    )
                    return Answer(
                        parsed.value, cached=False, request_id=reply.request_id, mode=exchange.mode
                    )
                outcome, problems = "invalid", parsed.problems
                if reply.finish_reason == "length":
                    outcome, problems = (
                        "length",
                        ["the answer was cut at the length limit; it must be shorter"],
                    )
            raise ContentFailure(outcome, problems)
        except ContentFailure:
            counts.failed += 1
            raise
