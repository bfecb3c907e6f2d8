"""Puts one question to the endpoint until it is answered:

limiter, budget, retries and what the endpoint accepts.
"""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint import tokens
from divsyn_jax.endpoint.answers import parsing as structured
from divsyn_jax.endpoint.batch_files.batch import BatchFiles
from divsyn_jax.endpoint.budget import Budget
from divsyn_jax.endpoint.cache import canonical
from divsyn_jax.endpoint.request import ContentFailure, EndpointStopped, Request
from divsyn_jax.endpoint.sending.completion import Reply
from divsyn_jax.endpoint.sending.dialect import Dialect
from divsyn_jax.endpoint.sending.limiter import Limiter
from divsyn_jax.endpoint.sending.outcomes import AttemptFailed, Filtered, Rejected
from divsyn_jax.endpoint.sending.transport import Transport
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.usage import Usage

# Refused connections before the first answer are the user's mistake, not an outage.
_ATTEMPTS_TO_REACH = 4
# An answer without a choice that comes again so often is what the server has to say to the request.
_ANSWERLESS = 3
# Fewer output tokens than this hold no answer.
_LEAST_ROOM = 64
# HTTP 5xx in a row after which a form of request that was never taken counts as refused.
_SERVER_ERRORS = 2


class Sender:
    """Owns the connection to an endpoint; belongs to one event loop. Counts into `usage`."""

    def __init__(
        self,
        settings: EndpointSettings,
        usage: Usage,
        dialect: Dialect,
        batch: BatchFiles | None = None,
    ):
        self.dialect = dialect
        self._batch = batch
        self._settings = settings
        self._usage = usage
        self._limiter = Limiter(
            settings.concurrency, settings.backoff_s, settings.timeout_s, settings.seed
        )
        self._budget = Budget(settings, usage)
        self._transport: Transport | None = None

    @property
    def in_flight(self) -> int:
        """Calls that were sent and are not answered."""
        return self._limiter.in_flight

    def stop(self, error: BaseException) -> None:
        """Send nothing more; who waits to send gets `error`."""
        self._limiter.stop(error)

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.close()

    async def send(self, request: Request, problems: list[str]) -> tuple[Reply, Dialect]:
        """The server's reply to a question, or to a re-ask that names `problems`, and how it was
        put.

        Raises `ContentFailure` (rejected, content_filter, unanswered), `EndpointStopped`,
        `UserError`, or `AnswerAwaited` for a question of the next batch file."""
        loop = asyncio.get_running_loop()
        began = deadline = trial = None
        failure: AttemptFailed | None = None
        attempt = answerless = 0
        heard = ""  # of the server, in its words
        form = _FormInDoubt()
        while True:
            queued = loop.time()
            async with self._limiter.slot(retry=began is not None) as slot:
                if (
                    began is None or deadline is None
                ):  # waiting for the first slot is nobody's fault
                    began, deadline = slot.began, slot.began + self._settings.deadline_s
                elif failure is not None and failure.timed_out:
                    # Nor is the wait of a call that was too slow until fewer are in flight.
                    deadline += slot.began - queued
                dialect = trial or self.dialect
                try:
                    reply = await self._attempt(request, problems, dialect, deadline - slot.began)
                except AttemptFailed as error:
                    failure = error
                    self._usage.trouble = str(failure)
                    heard = heard if failure.timed_out else str(failure)
                    if failure.timed_out:
                        self._limiter.timed_out(slot)
                    elif failure.congested or failure.retry_after is not None:
                        self._limiter.refused(slot, failure.retry_after, str(failure))
                    else:
                        self._limiter.failed(str(failure))
                except (EndpointStopped, UserError) as fatal:
                    self._limiter.stop(fatal)  # before the slot is free for the next in line
                    raise
                except Rejected as rejection:
                    self._limiter.succeeded()  # it answers
                    trial = self._adapt(dialect, trial, str(rejection))
                    continue
                except Filtered as filtered:
                    self._limiter.succeeded()
                    words = f": {filtered}" if str(filtered) else ""
                    raise ContentFailure(
                        "content_filter",
                        [f"the server's content filter stopped the request{words}"],
                    ) from None
                else:
                    self._limiter.succeeded(slot)
                    self._usage.trouble = ""
                    if trial is not None or dialect.same_form(self.dialect):
                        self.dialect = replace(dialect, proven=True)
                    return reply, dialect
            answerless = answerless + 1 if failure.answerless else 0
            if answerless >= _ANSWERLESS:
                raise ContentFailure("unanswered", [str(failure)])
            if failure.server_error and not self.dialect.proven:
                trial = form.after_server_error(dialect, str(failure))
            # The wait is outside the slot: others may use it.
            wait = max(self._limiter.backoff(attempt), failure.retry_after or 0.0)
            attempt += 1
            if (
                failure.unreachable
                and attempt >= _ATTEMPTS_TO_REACH
                and not self._limiter.has_succeeded
            ):
                raise UserError(
                    f"--base_url={self._settings.base_url}: no server answers there ({failure});"
                    " start it"
                )
            if loop.time() + wait > deadline:
                raise self._late(began, failure, heard)
            self._usage.of(request.purpose).retries += 1
            await self._limiter.pause(wait)

    async def _attempt(
        self, request: Request, problems: list[str], dialect: Dialect, seconds_left: float
    ) -> Reply:
        settings, counts = self._settings, self._usage.of(request.purpose)
        messages = structured.messages(request, dialect.mode, problems, dialect.system_role)
        room = self._room(request, messages)
        body = self._body(request, messages, dialect, problems, room)
        if self._batch is not None and (by_file := self._batch.reply(request, body, counts)):
            return by_file
        most = tokens.estimate_tokens(*(message["content"] for message in messages)).high
        async with self._budget.call(most, room):
            self._limiter.check()  # the budget may have kept this call waiting
            if self._transport is None:  # a run that the cache answers needs neither key nor openai
                self._transport = Transport(settings)
            counts.calls += 1
            name = f"{request.purpose}-{_digest(request.identity, len(problems))[:16]}"
            reply = await self._transport.send(
                body,
                name,
                min(settings.timeout_s, max(seconds_left, 1.0)),
                counts.count,
            )
            counts.count(reply.prompt_tokens, reply.completion_tokens)
            counts.unmetered += not reply.metered
        return reply

    def _room(self, request: Request, messages: list[Any]) -> int:
        """Tokens that an answer may take: what was asked for and, where --context_tokens is known,
        what the prompt leaves of it.

        Raises `ContentFailure` where that is too little for any answer."""
        settings = self._settings
        wanted = request.max_output_tokens + settings.reasoning_tokens
        if not settings.context_tokens:
            return wanted
        # The middle of the range: its upper end would turn away much that fits.
        estimate = tokens.estimate_tokens(*(message["content"] for message in messages))
        left = settings.context_tokens - (estimate.low + estimate.high) // 2
        if left < min(wanted, _LEAST_ROOM):
            raise ContentFailure(
                "rejected",
                [
                    f"a prompt of about {settings.context_tokens - left} tokens leaves no room for"
                    f" an answer in --context_tokens={settings.context_tokens}"
                ],
            )
        return min(wanted, left)

    def _body(
        self,
        request: Request,
        messages: list[Any],
        dialect: Dialect,
        problems: list[str],
        room: int,
    ) -> dict[str, Any]:
        settings = self._settings
        body = {
            "model": settings.model,
            "messages": messages,
            "temperature": settings.temperature,
            dialect.length_field: room,
        }
        if dialect.sends_seed:
            seed = _digest(settings.seed, request.purpose, request.identity, bool(problems))
            body["seed"] = int(seed[:7], 16)  # 28 bits: servers differ in what integer they take
        if (shape := structured.response_format(request, dialect.mode)) is not None:
            body["response_format"] = shape
        return body

    def _adapt(self, dialect: Dialect, trial: Dialect | None, message: str) -> Dialect | None:
        """Find another way to put requests after a rejection; raises when there is none.

        Of an endpoint that takes requests as they are, it is returned: to be tried with the
        rejected one alone."""
        if trial is None and not dialect.same_form(self.dialect):
            return None  # another request found the way meanwhile
        present = trial or self.dialect
        adapted = present.after(message)
        if adapted is None and present.proven:
            raise ContentFailure("rejected", [message])
        if adapted is None:
            raise UserError(f"{self._settings.base_url} rejects every form of request: {message}")
        if present.proven:
            return adapted
        self.dialect = adapted
        return None

    def _late(self, began: float, failure: AttemptFailed, heard: str) -> Exception:
        limit = f"{self._settings.deadline_s:g} s"
        if (
            failure.retry_after or 0.0
        ) < self._settings.deadline_s and self._limiter.last_success > began:
            return ContentFailure(
                "unanswered", [f"no attempt was answered within {limit} (last: {failure})"]
            )
        asked = (
            f", asks to wait {failure.retry_after:.0f} s" if failure.retry_after is not None else ""
        )
        if failure.timed_out and heard:
            asked = f"; before that: {heard}"
        elif failure.timed_out:
            asked = f"; {self._limiter.advice()}"
        return EndpointStopped(
            f"{self._settings.base_url} did not answer within {limit} ({failure}{asked}); "
            "what was answered is saved, run the same command to continue"
        )


class _FormInDoubt:
    """Whether one request's HTTP 5xx are about its form, at an endpoint that never took any.

    llama-cpp-python answers HTTP 500 to a response_format that it does not know."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}
        self._exhausted = False

    def after_server_error(self, dialect: Dialect, message: str) -> Dialect | None:
        """The form to try next; None for the endpoint's present one."""
        if (folded := dialect.without_system(message)) is not None:
            return folded
        if self._exhausted:
            return None
        self._tried[dialect.mode] = self._tried.get(dialect.mode, 0) + 1
        if self._tried[dialect.mode] < _SERVER_ERRORS:
            return dialect
        lower = dialect.lower()
        # A server that fails in every form is out of order: it says nothing about the forms.
        self._exhausted = lower is None
        return lower


def _digest(*parts: Any) -> str:
    return hashlib.sha256(canonical(parts).encode()).hexdigest()
