"""What the body of a server's answer says: the reply, the tokens it reports, its error in its
words.

Gateways put errors of the server behind them into HTTP 200, and backends answer HTTP 500 to what is
a fault of the request; the body tells."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from divsyn_jax.base import json_text
from divsyn_jax.endpoint import tokens

LONGEST_WORDS = 300
# A server that reports fewer prompt tokens than this share of the prompt's words has cut the
# prompt, or does not count those it had in its cache.
LEAST_TOKENS_PER_WORD = 0.85
# What one call can take: a count beyond it, or below 0, is no count (-1 stands for "not counted").
_MOST_TOKENS = 1 << 31
_FILTERED = re.compile(
    r"content[_ -]?filter|content[_ -]?policy|ResponsibleAIPolicy|content management policy"
    r"|data_?inspection_?failed|prohibited_content|\bflagged\b|moderation|guardrail_intervened",
    re.IGNORECASE,
)
_FILTER_FINISHES = frozenset(
    [
        "content_filter",
        "content_filtered",
        "safety",
        "blocklist",
        "prohibited_content",
        "recitation",
        "spii",
        "sensitive",
        "guardrail_intervened",
        "refusal",
    ]
)
_LENGTH_FINISHES = frozenset(
    [
        *("length", "max_tokens", "max_output_tokens", "max_new_tokens", "max_length"),
        *("model_length", "context_length", "model_context_window_exceeded", "incomplete"),
    ]
)
# The server broke off: what stands there is not what the model would have said.
_BROKEN_OFF = frozenset(
    [
        *("error", "abort", "aborted", "cancelled", "canceled", "timeout", "network_error"),
        *("insufficient_system_resource", "engine_error", "server_error", "internal_error"),
    ]
)
# Types of a content's parts that are what the model thought.
_THOUGHTS = ("reasoning", "thinking", "thought", "redacted_thinking", "reasoning_text")
_CODES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "service_unavailable": 503,
    "insufficient_quota": 402,
    "insufficient_credits": 402,
    "billing_error": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
}
# Where bodies tell an error, the one that says most first.
_TOLD = (
    *("error_description", "error", "errors", "detail", "message", "Message", "error_message"),
    *("msg", "fault", "title"),
)
# Where servers put an answer that does not reach the content.
_ELSEWHERE = ("reasoning_content", "reasoning", "tool_calls", "function_call")


@dataclass(frozen=True)
class Reply:
    """What a server answered with HTTP 200; tokens are the upper end of our estimate where they are
    not `metered`. elsewhere: the field that holds an answer when the content is empty.
    """

    text: str
    finish_reason: str
    refused: bool
    prompt_tokens: int
    completion_tokens: int
    metered: bool
    request_id: str | None
    elsewhere: str | None = None


@dataclass(frozen=True)
class ServerError:
    """An error as a body tells it: `status` the number that acts like an HTTP status (None where it
    gives none), its words (one line, at most 300 characters), and whether a content filter spoke.
    """

    status: int | None
    words: str
    filtered: bool


def parsed(text: str) -> Any:
    """The JSON value of a body; None for what is none."""
    try:
        return json_text.parse_json(text)
    except ValueError:
        return None


def reply(completion: Any, body: Mapping[str, Any]) -> Reply | None:
    """The reply to the request `body`; None for a completion without an answer."""
    choice = _choice(completion)
    if choice is None or _is_error(completion.get("error")):
        return None
    finish = _finish(choice)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        message = {}
        if finish != "content_filter":
            return None
    is_broken_off = finish in _BROKEN_OFF
    if choice.get("error") or (is_broken_off and not message.get("content")):
        return None
    text = _text(message.get("content"))
    prompt, output = reported_tokens(completion, body)
    metered = bool(prompt) and output is not None
    named = completion.get("id")
    return Reply(
        text=text,
        finish_reason="invalid" if is_broken_off else finish,
        refused=bool(message.get("refusal")) or (not text and _is_refusal(message.get("content"))),
        prompt_tokens=prompt
        or tokens.estimate_tokens(*(each["content"] for each in body["messages"])).high,
        completion_tokens=tokens.estimate_tokens(text).high if output is None else output,
        metered=metered,
        request_id=named if isinstance(named, str) else None,
        elsewhere=next((name for name in _ELSEWHERE if message.get(name)), None),
    )


def reported_tokens(completion: Any, body: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(prompt, output) tokens as a body reports them; None for what is no count.

    Some servers leave out the part of the prompt that stood in their cache: it is added where the
    total says so, or where the rest cannot hold the prompt's words. So it is with what a model
    thought, which some leave out of the output."""
    usage = completion.get("usage") if isinstance(completion, Mapping) else None
    if not isinstance(usage, Mapping):
        return None, None
    prompt = _count(_first(usage, "prompt_tokens", "input_tokens"))
    output = _count(_first(usage, "completion_tokens", "output_tokens"))
    total = _count(usage.get("total_tokens"))
    if prompt is None:
        return None, output
    if output is None and total is not None and total >= prompt:
        output = total - prompt
    cached, thought = _cached(usage), _thought(usage)
    if (
        output is not None
        and thought
        and total
        in (
            prompt + output + thought,
            prompt + cached + output + thought,
        )
    ):
        output += thought
    if cached:
        words = sum(tokens.least_tokens(each["content"]) for each in body["messages"])
        apart = output is not None and total == prompt + cached + output
        if apart or cached > prompt or prompt < LEAST_TOKENS_PER_WORD * words:
            prompt += cached
    return prompt, output


def error_of(completion: Any, text: str, clean: Callable[[str], str]) -> ServerError:
    """The error that a body tells; `text` is the body, where it is no JSON."""
    choice = _choice(completion)
    told: Any = None
    completion = _alone(completion)
    if isinstance(completion, Mapping):
        told = next((told for name in _TOLD if _is_error(told := completion.get(name))), None)
        told = _unpacked(told)
    if not told and choice is not None:
        told = choice.get("error") or {"message": f"finish_reason {_finish(choice)}, no answer"}
    filtered = False
    if isinstance(completion, Mapping) and not told:
        said = json.dumps(completion, ensure_ascii=False)
        filtered = bool(
            re.search(r"prompt_?feedback|block_?reason", said, re.IGNORECASE)
            or re.search(r'"filtered": true', said)
        )
    words = _words(told) if told else _plain(text)
    shown = "".join(letter if letter.isprintable() else " " for letter in clean(words))
    shown = " ".join(shown.split())
    about = words if told else ""
    filtered = filtered or bool(_FILTERED.search(about))
    if isinstance(told, Mapping):
        names = " ".join(str(told.get(key)) for key in ("code", "type", "status"))
        filtered = filtered or bool(_FILTERED.search(names))
    return ServerError(_status(told, completion), shown[:LONGEST_WORDS], filtered)


def _is_error(told: Any) -> bool:
    """Whether a field of a body tells an error: some bodies have it and say nothing in it."""
    if isinstance(told, Mapping):
        return any(value not in (None, "", 0, False, [], {}) for value in told.values())
    return bool(told) and not isinstance(told, bool | int | float)


def _alone(value: Any) -> Any:
    """The one item of a list: some services put their errors into one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _unpacked(told: Any) -> Any:
    """An error out of a list of one, or out of a text that is the JSON of the server behind."""
    for _ in range(4):
        told = _alone(told)
        inner = told.get("message") if isinstance(told, Mapping) else told
        if not isinstance(inner, str) or inner.lstrip()[:1] not in ("{", "["):
            break
        found = _alone(parsed(inner))
        if not isinstance(found, Mapping):
            break
        found = next((found[name] for name in _TOLD if _is_error(found.get(name))), found)
        told = {**told, "message": None, **found} if _are_mappings(told, found) else found
    return told


def _are_mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _choice(completion: Any) -> Mapping[str, Any] | None:
    choices = completion.get("choices") if isinstance(completion, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else None


def _finish(choice: Mapping[str, Any]) -> str:
    finish = choice.get("finish_reason")
    if isinstance(finish, Mapping):
        finish = finish.get("type")
    plain = finish.strip().casefold().replace("-", "_") if isinstance(finish, str) else ""
    if plain in _FILTER_FINISHES:
        return "content_filter"
    return "length" if plain in _LENGTH_FINISHES else plain or "stop"


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(map(_part, content))
    if isinstance(content, Mapping) and content.get("type") in ("text", "output_text"):
        return _part(content)
    return content if isinstance(content, str) else "" if content is None else json.dumps(content)


def _part(part: Any) -> str:
    """The text of a part of a content, but what the model thought."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("type") in _THOUGHTS:
        return ""
    text = _first(part, "text", "content")
    text = text.get("value") if isinstance(text, Mapping) else text
    return text if isinstance(text, str) else ""


def _is_refusal(content: Any) -> bool:
    return isinstance(content, list) and any(
        isinstance(part, Mapping) and bool(part.get("refusal")) for part in content
    )


def _first(found: Mapping[str, Any], *names: str) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)


def _cached(usage: Mapping[str, Any]) -> int:
    details = _first(usage, "prompt_tokens_details", "input_tokens_details")
    inside = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    read = [_count(usage.get(f"cache_{kind}_input_tokens")) for kind in ("read", "creation")]
    return max(
        inside or 0, sum(count or 0 for count in read), _count(usage.get("cached_tokens")) or 0
    )


def _thought(usage: Mapping[str, Any]) -> int:
    details = _first(usage, "completion_tokens_details", "output_tokens_details")
    inside = details.get("reasoning_tokens") if isinstance(details, Mapping) else None
    return _count(inside) or _count(usage.get("reasoning_tokens")) or 0


def _count(value: Any) -> int | None:
    """A number of tokens as reported; None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < _MOST_TOKENS else None


def _words(told: Any) -> str:
    """The words of an error, whatever it is packed in, with the field it is about and what the
    server behind a gateway said.
    """
    if not isinstance(told, Mapping):
        return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    said = _first(
        told,
        *("message", "faultstring", "detail", "msg", "error", "error_description", "title"),
        *("code", "type"),
    )
    words = _words(said) if said is not None else json.dumps(told, ensure_ascii=False)
    parameter, metadata = told.get("param"), told.get("metadata")
    if isinstance(parameter, str) and parameter not in words:
        words += f" ({parameter})"
    if isinstance(metadata, Mapping) and (raw := metadata.get("raw")):
        words += f": {_words(raw)}"
    return words


def _plain(text: str) -> str:
    """A body that is no JSON, without the tags of a page."""
    return re.sub(r"<[^<>]{1,200}>", " ", text[: 1 << 16])


def _status(told: Any, completion: Any) -> int | None:
    names = (
        [told.get(key) for key in ("code", "status", "status_code", "type")]
        if isinstance(told, Mapping)
        else []
    )
    if isinstance(completion, Mapping):
        names += [completion.get(key) for key in ("code", "status", "status_code", "type")]
    for name in names:
        if isinstance(name, str) and name.strip().casefold() in _CODES:
            return _CODES[name.strip().casefold()]
        code = (
            int(name)
            if isinstance(name, str) and re.fullmatch("[45][0-9]{2}", name)
            else _count(name)
        )
        if code is not None and 400 <= code < 600:
            return code
    return None
