"""What a client asks by files: answers that a file brought, and questions for the next one."""

import asyncio
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.batch_files import asked, results_file
from divsyn_jax.endpoint.batch_files.asked import Asked
from divsyn_jax.endpoint.batch_files.requests_file import RequestsFile
from divsyn_jax.endpoint.batch_files.stage import Stage
from divsyn_jax.endpoint.cache import Cache, canonical
from divsyn_jax.endpoint.request import ContentFailure, Request
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.outcomes import Filtered, OutcomeReader, Rejected
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.usage import PurposeUsage, Usage


class AnswerAwaited(Exception):
    """The question goes into the next file; `before`: an earlier file asked it already."""

    def __init__(self, before: bool):
        super().__init__("the answer comes by file")
        self.before = before


class BatchFiles:
    """The files of one client, whose cache holds what they brought. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings, usage: Usage, cache: Cache) -> None:
        self._settings, self._usage, self._cache = settings, usage, cache
        self._outcomes = OutcomeReader(settings)
        self._held = 0.0  # what the requests written may cost
        self._stage = Stage.of_running_loop()
        self._file: RequestsFile | None = None

    def open(self, cache_path: pathlib.Path | None) -> None:
        """Take in the results, and check that requests can be written.

        Raises `UserError` naming a file that cannot be used."""
        if cache_path is None:
            raise UserError(
                "--batch_out and --batch_in need the answers on disk: --output (in Python"
                " answers=FILE)"
            )
        if self._settings.batch_out is not None:
            self._file = self._stage.file(self._settings.batch_out)
        for path in self._settings.batch_in:
            results_file.take_in(pathlib.Path(path), self._cache, cache_path, self._outcomes)

    def abandon(self) -> None:
        """See `Stage.abandon`."""
        self._stage.abandon()

    def close(self) -> None:
        """Leave the stage."""
        self._stage.leave()

    def settle(self) -> None:
        """See `Stage.settle`."""
        self._stage.settle()

    async def until_written(self) -> None:
        """See `Stage.until_written`."""
        await self._stage.until_written()

    async def brings(self, task: "asyncio.Future[Any]") -> bool:
        """Whether `task`, which asks, can go on by what the next file brings alone."""
        if self._file is None or task.done():
            return False
        quiet = asyncio.ensure_future(self._stage.until_quiet())
        await asyncio.wait({task, quiet}, return_when=asyncio.FIRST_COMPLETED)
        quiet.cancel()
        return not task.done()

    def reply(
        self, request: Request, body: Mapping[str, Any], counts: PurposeUsage
    ) -> Reply | None:
        """What a file answered to `body`; None where the endpoint is to be asked.

        Raises as a call to the endpoint would (`Rejected`, `Filtered`, `ContentFailure`
        unanswered), and `AnswerAwaited` for a question of the next file."""
        self._stage.stir()
        name = self._name(request, body)
        known = asked.known(self._cache, name)
        if known is not None:
            is_new = self._count(known, name, counts)
            if known.completion is not None:
                return self._read(known, body, counts, is_new)
            if known.refusal == "filtered":
                raise Filtered(known.words)
            if known.refusal:
                raise Rejected(known.words)
            if known.is_given_up:
                raise ContentFailure("unanswered", [known.words])
        if self._file is None:
            return None
        self._ask(name, request, body, known)
        raise AnswerAwaited(before=known is not None)

    def _read(
        self, known: Asked, body: Mapping[str, Any], counts: PurposeUsage, is_new: bool
    ) -> Reply:
        def nothing(prompt_tokens: int, completion_tokens: int) -> None:
            """It is a reply, which was checked when it came."""

        reply = self._outcomes.reply(json.dumps(known.completion), {}, dict(body), nothing)
        if is_new:
            counts.count(reply.prompt_tokens, reply.completion_tokens)
            counts.unmetered += not reply.metered
        else:
            counts.cached_prompt_tokens += reply.prompt_tokens
            counts.cached_completion_tokens += reply.completion_tokens
        return reply

    def _count(self, known: Asked, name: str, counts: PurposeUsage) -> bool:
        """Count what came by a file in the first run that meets it; says whether this one does."""
        is_new = known.calls > 0
        if is_new:
            counts.calls += known.calls
            counts.count(known.prompt_tokens, known.completion_tokens)
            known.calls = known.prompt_tokens = known.completion_tokens = 0
            asked.keep(self._cache, name, known)
        return is_new

    def _ask(
        self, name: str, request: Request, body: Mapping[str, Any], known: Asked | None
    ) -> None:
        assert self._file is not None
        settings = self._settings
        if name in self._file.names:
            return
        most = tokens.estimate_tokens(*(each["content"] for each in body["messages"])).high
        output = request.max_output_tokens + settings.reasoning_tokens
        cost = settings.cost(most, output) or 0.0
        if settings.max_calls is not None and len(self._file.names) >= settings.max_calls:
            self._stage.limits.append(f"--max_calls={settings.max_calls}")
            return
        spent = (self._usage.cost or 0.0) + self._held
        if settings.max_cost is not None and spent + cost > settings.max_cost:
            self._stage.limits.append(f"--max_cost={settings.max_cost:g}")
            return
        self._held += cost
        self._file.add(name, request.purpose, body)
        if known is None:
            asked.keep(self._cache, name, Asked(request.purpose))
        else:
            self._stage.again["failed" if known.words else "missing"] += 1

    def _name(self, request: Request, body: Mapping[str, Any]) -> str:
        """The custom_id: the same for the same question, and for no other.

        Its `identity` keeps repeated samples of one body apart, as in the cache."""
        whole = [self._settings.identity()["base_url"], request.identity, body]
        return f"{request.purpose}-{hashlib.sha256(canonical(whole).encode()).hexdigest()[:32]}"
