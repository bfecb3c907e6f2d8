"""Conversations in the forms that people publish them in, read by one rule.

A record is a conversation when it holds one of

    {"messages": [{"role": ROLE, "content": CONTENT}, ...]}      OpenAI, Hugging Face, TRL
    {"conversations": [{"from": ROLE, "value": TEXT}, ...]}      ShareGPT; also "conversation"
    {"prompt": SIDE, "completion" or "response": SIDE}           TRL; a side is text or messages
    {"instruction": TEXT, "input": TEXT, "output": TEXT}         Alpaca; "context" and "response" of
                                                                 Dolly and the "generation" of
                                                                 distilabel are read alike

and, beside it, perhaps a text "system" (distilabel: "system_prompt"). The rule:

* Roles are system (developer), user (human), assistant (gpt, ai, model, bot) and tool (function,
  observation); function_call is of the assistant. Of another role no side is known.
* A content is text; null is none; of a list of parts the texts are joined by line feeds. Parts
  that hold no text (images) are left out, and counted by type; so is what a model thought or
  refused beside its content.
* Calls of tools follow the content, one a line, as {"name": ..., "arguments": ...}.
* A list may be written as JSON in a text, as tables hold it; null is an empty conversation. Earlier
  turns in "history", as pairs of texts, go before a prompt.
* The text of a conversation is its contents in order, joined by blank lines; of its prompt side,
  those of all roles but the assistant; of its response side, those of the assistant.
"""

import collections
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.data.readers.options import ConversationSide
from divsyn_jax.data.readers.records import Malformed, as_text, field_text

Message = dict[str, str]
_LISTS = ("messages", "conversations", "conversation")
_SYSTEMS = ("system", "system_prompt")
_HISTORY = "history"
# Of a message, beside its content: not its text.
_BESIDE = ("reasoning_content", "reasoning", "thinking", "refusal")
# Of a part of a content: where its text stands, types that are calls of tools, and their answers.
_PART_TEXTS = ("text", "content", "value", "parts")
_PART_CALLS = ("tool_use", "tool_call", "function_call")
_PART_ANSWERS = ("tool_result", "tool_response", "function_call_output")
_ARGUMENTS = ("arguments", "input", "parameters", "args")
_MOST_NESTED = 8  # lists of parts in parts
_SIDES = frozenset(("system", "user", "assistant", "tool"))
# Fields that make a pair, and the one that may continue the first.
_PAIRS = (
    ("prompt", ("response", "completion"), ()),
    ("instruction", ("output", "response", "generation"), ("input", "context")),
)
_ROLES = {
    **dict.fromkeys(("human", "prompter", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot", "bing", "bard", "assistant"), "assistant"),
    **dict.fromkeys(("ai", "agent", "chatbot", "claude", "gemini", "llama", "llm"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("developer", "system"), "system"),
    **dict.fromkeys(("function", "observation", "ipython", "tool_response", "tool"), "tool"),
}


def conversation_fields(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The fields, among `names`, of the first form of conversation that they make; [] for none."""
    found: list[str] = []
    for name in _LISTS:
        if name in names:
            found = [name]
            break
    else:
        for first, seconds, more in _PAIRS:
            second = next((name for name in seconds if name in names), None)
            if first in names and second is not None:
                found = [first, *(name for name in more if name in names), second]
                break
    system = [name for name in _SYSTEMS if found and name in names]
    history = [_HISTORY] if len(found) > 1 and _HISTORY in names else []
    return [*system[:1], *history, *found]


def is_messages(value: Any) -> bool:
    """Whether a field's value is a list of messages."""
    value = _as_list(value)
    if isinstance(value, str | bytes) or not isinstance(value, Sequence) or not len(value):
        return False
    return all(isinstance(item, Mapping) and ("role" in item or "from" in item) for item in value)


def messages_of(
    record: Mapping[str, Any], left_out: "collections.Counter[str] | None" = None
) -> list[Message]:
    """The messages of a record in any of the forms above, their roles by the names above.

    Args: left_out: counts the parts without text, by type.

    Raises `Malformed`, saying why.
    """
    left_out = collections.Counter() if left_out is None else left_out
    fields = conversation_fields(record)
    system = next((name for name in fields[:1] if name in _SYSTEMS), None)
    rest = [name for name in fields if name not in (system, _HISTORY)]
    if not rest:
        has = ", ".join(map(str, record)) or "none"
        raise Malformed(
            "needs messages, or prompt and response, or instruction and output, or another form of"
            f" conversation (its fields: {has})"
        )
    if rest[0] in _LISTS:
        messages = read_messages(record[rest[0]], rest[0], left_out)
    else:
        *asked, answer = rest
        messages = _side(record, asked[0], "user", left_out)
        for name in asked[1:]:
            more = field_text(record, name)
            if more:
                messages[-1]["content"] += f"\n\n{more}"
        messages += _side(record, answer, "assistant", left_out)
        if _HISTORY in fields:
            messages = _earlier(record[_HISTORY]) + messages
    has_system = any(message["role"] == "system" for message in messages)
    given = record[system] if system else None
    if system and not has_system and isinstance(given, str) and given.strip():
        messages.insert(0, {"role": "system", "content": field_text(record, system)})
    return messages


def read_messages(value: Any, field: str, left_out: "collections.Counter[str]") -> list[Message]:
    """The messages that the list in `field` holds. Raises `Malformed`; see `messages_of`."""
    value = [] if value is None else _as_list(value)
    if (
        isinstance(value, str | bytes)
        or not isinstance(value, Sequence)
        or not all(isinstance(item, Mapping) for item in value)
    ):
        raise Malformed(f"{field!r} must be a list of objects with role and content")
    return [_message(item, number, left_out) for number, item in enumerate(value, 1)]


def conversation_text(messages: Sequence[Message], part: ConversationSide = "all") -> str:
    """The text of a conversation, or of one side of it.

    Raises `Malformed` where one side is asked for and a role is of neither.
    """
    if part != "all":
        for number, message in enumerate(messages, 1):
            if message["role"] not in _SIDES:
                raise Malformed(
                    f"message {number} has the role {message['role'][:80]!r}, of which no side is"
                    " known; name it user or assistant"
                )
    return "\n\n".join(
        message["content"]
        for message in messages
        if message["content"].strip()
        and (part == "all" or (message["role"] == "assistant") == (part == "response"))
    )


def _as_list(value: Any) -> Any:
    """Some libraries keep a list of objects as an object of lists, and tables as a text; numpy's
    arrays are lists.
    """
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, Mapping) and value:
        columns = [
            column.tolist() if hasattr(column, "tolist") else column for column in value.values()
        ]
        are_lists = all(isinstance(column, list) for column in columns)
        if are_lists and len({len(column) for column in columns}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return value.tolist() if hasattr(value, "tolist") else value


def _earlier(history: Any) -> list[Message]:
    """The turns of a history: pairs of what was asked and answered."""
    messages: list[Message] = []
    for pair in _as_list(history) or ():
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise Malformed(f"{_HISTORY!r} must be a list of pairs of texts")
        asked, answer = (as_text(text, _HISTORY) for text in pair)
        messages += [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answer},
        ]
    return messages


def _side(
    record: Mapping[str, Any], field: str, role: str, left_out: "collections.Counter[str]"
) -> list[Message]:
    if not isinstance(record[field], str) and is_messages(record[field]):
        return read_messages(record[field], field, left_out)
    return [{"role": role, "content": field_text(record, field)}]


def _message(item: Mapping[str, Any], number: int, left_out: "collections.Counter[str]") -> Message:
    role_field = "role" if "role" in item else "from"
    calls = _calls(item)
    content_field = next((name for name in ("content", "value", "text") if name in item), None)
    if role_field not in item or (content_field is None and not calls):
        raise Malformed(f"message {number} needs role and content")
    role = field_text(item, role_field).strip()
    for name in _BESIDE:
        if item.get(name):
            left_out[f"part of type {name}"] += 1
    content = (
        "" if content_field is None else _content(item[content_field], content_field, left_out)
    )
    return {
        "role": _ROLES.get(role.lower(), role),
        "content": "\n".join([*([content] if content else []), *calls]),
    }


def _content(value: Any, field: str, left_out: "collections.Counter[str]", depth: int = 0) -> str:
    if isinstance(value, Mapping):
        value = [value]
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return as_text(value, field)
    if depth > _MOST_NESTED:
        raise Malformed(f"field {field!r} holds parts that are nested too deeply")
    texts = [
        _part_text(part, left_out, depth)
        if isinstance(part, Mapping)
        else _content(part, field, left_out, depth + 1)
        for part in value
    ]
    return "\n".join(text for text in texts if text is not None)


def _part_text(
    part: Mapping[str, Any], left_out: "collections.Counter[str]", depth: int
) -> str | None:
    """The text of a part of a content; None for one without text, which is counted."""
    kind = str(part.get("type") or "unknown")
    if kind in _PART_CALLS:
        return _call(part)
    is_text = "text" in kind or kind in ("unknown", *_PART_ANSWERS)
    for name in _PART_TEXTS if is_text else _PART_TEXTS[:1] if kind not in _BESIDE else ():
        held = part.get(name)
        if isinstance(held, Mapping) and isinstance(held.get("value"), str):
            held = held["value"]
        if isinstance(held, str | list):
            return _content(held, name, left_out, depth + 1)
    left_out[f"part of type {kind}"] += 1
    return None


def _calls(item: Mapping[str, Any]) -> list[str]:
    calls = _as_list(item.get("tool_calls"))
    if isinstance(calls, Mapping | str) or not isinstance(calls, Sequence):
        calls = [calls]
    return [_call(call) for call in (*calls, item.get("function_call")) if call]


def _call(call: Any) -> str:
    function = call.get("function") or call if isinstance(call, Mapping) else call
    if isinstance(function, Mapping):
        arguments = next(
            (function[name] for name in _ARGUMENTS if function.get(name) is not None), None
        )
        if isinstance(arguments, str):
            # A model's broken call is text as it stands.
            with contextlib.suppress(ValueError, RecursionError):
                arguments = json.loads(arguments)
        function = {"name": function.get("name"), "arguments": arguments}
    try:
        text = json.dumps(function, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):
        raise Malformed("a call of a tool is nested too deeply") from None
    return as_text(text, "tool_calls")
