"""What is asked of an endpoint, what comes back, and how it can fail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """One question with an answer of a fixed shape.

    Attributes: purpose: e.g. 'cluster'; a row of the usage table and the schema's name
      ([a-z0-9_-]). system, user: the two messages. schema: JSON Schema of the answer, in the strict
      form (additionalProperties false, every property required). identity: what keeps repeated
      samples apart in the cache, e.g. {"draw": 7, "attempt": 0}; JSON values. check: problems of an
      answer that the schema cannot express, in fixed wording (they go into the re-ask).
      max_output_tokens: bound on the answer. plain: the answer is prose, not JSON; its value is
      {"text": the whole of it, "was_cut": whether the length limit ended it}.
    """

    purpose: str
    system: str
    user: str
    schema: Mapping[str, Any]
    identity: Mapping[str, Any]
    max_output_tokens: int
    check: Callable[[dict[str, Any]], list[str]] = lambda answer: []
    plain: bool = False


# The schema of every plain request.
PLAIN_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "was_cut": {"type": "boolean"}},
    "required": ["text", "was_cut"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Answer:
    """A valid answer.

    Attributes:
      value: obeys the request's schema and check.
      cached: whether it was paid for before.
      request_id: the server's name for the call, where it gives one.
      mode: how the shape was asked for: json_schema, json_object or text.
    """

    value: dict[str, Any]
    cached: bool
    request_id: str | None
    mode: str


class ContentFailure(Exception):
    """The endpoint works but gave no usable answer to this request, not even to the re-ask.

    Attributes: outcome: invalid, length, refusal, content_filter, rejected (HTTP 400 for this
      request alone) or unanswered (every attempt failed until the deadline while other requests
      were answered). problems: what was wrong, in fixed wording.
    """

    def __init__(self, outcome: str, problems: Sequence[str]):
        super().__init__(f"{outcome}: {'; '.join(problems)}")
        self.outcome = outcome
        self.problems = list(problems)


class EndpointStopped(Exception):
    """No more calls in this run (outage, deadline, budget); what was answered is kept.

    The message is one line.
    """
