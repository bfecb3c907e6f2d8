"""Conversations in the forms that people publish them in, read by one rule.

A record is a conversation when it holds one of

    {"messages": [{"role": ROLE, "content": CONTENT}, ...]}      OpenAI, Hugging Face, TRL
    {"conversations": [{"from": ROLE, "value": TEXT}, ...]}      ShareGPT; also "conversation"
    {"prompt": SIDE, "completion" or "response": SIDE}           TRL; a side is text or messages
    {"instruction": TEXT, "input": TEXT, "output": TEXT}         Alpaca; "context" and "response" of
                                                                 Dolly and the "generation" of
                                                                 distilabel are read alike

and, beside it, perhaps a text "system" (distilabel: "system_prompt"). The rule:

* Roles are system (developer), user (human), assistant (gpt, model, bot) and tool (function,
  observation); function_call is of the assistant.
* A content is text; null is none; of a list of parts the texts are joined by line feeds. Parts
  that hold no text (images) are left out, and counted by type.
* Calls of tools follow the content, one a line, as {"name": ..., "arguments": ...}.
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
# Fields that make a pair, and the one that may continue the first.
_PAIRS = (
    ("prompt", ("response", "completion"), ()),
    ("instruction", ("output", "response", "generation"), ("input", "context")),
)
_ROLES = {
    **dict.fromkeys(("human", "prompter", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot", "bing", "bard", "assistant"), "assistant"),
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
    return [*system[:1], *found]


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
    rest = fields[1:] if system else fields
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
    has_system = any(message["role"] == "system" for message in messages)
    given = record[system] if system else None
    if system and not has_system and isinstance(given, str) and given.strip():
        messages.insert(0, {"role": "system", "content": field_text(record, system)})
    return messages


def read_messages(value: Any, field: str, left_out: "collections.Counter[str]") -> list[Message]:
    """The messages that the list in `field` holds. Raises `Malformed`; see `messages_of`."""
    value = _as_list(value)
    if (
        isinstance(value, str | bytes)
        or not isinstance(value, Sequence)
        or not all(isinstance(item, Mapping) for item in value)
    ):
        raise Malformed(f"{field!r} must be a list of objects with role and content")
    return [_message(item, number, left_out) for number, item in enumerate(value, 1)]


def conversation_text(messages: Sequence[Message], part: ConversationSide = "all") -> str:
    """The text of a conversation, or of one side of it."""
    return "\n\n".join(
        message["content"]
        for message in messages
        if message["content"].strip()
        and (part == "all" or (message["role"] == "assistant") == (part == "response"))
    )


def _as_list(value: Any) -> Any:
    """Some libraries keep a list of objects as an object of lists; numpy's arrays are lists."""
    if isinstance(value, Mapping) and value:
        columns = [
            column.tolist() if hasattr(column, "tolist") else column for column in value.values()
        ]
        are_lists = all(isinstance(column, list) for column in columns)
        if are_lists and len({len(column) for column in columns}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return value.tolist() if hasattr(value, "tolist") else value


def _side(
    record: Mapping[str, Any], field: str, role: str, left_out: "collections.Counter[str]"
) -> list[Message]:
    if is_messages(record[field]):
        return read_messages(record[field], field, left_out)
    return [{"role": role, "content": field_text(record, field)}]


def _message(item: Mapping[str, Any], number: int, left_out: "collections.Counter[str]") -> Message:
    role_field = "role" if "role" in item else "from"
    calls = _calls(item)
    content_field = next((name for name in ("content", "value") if name in item), None)
    if role_field not in item or (content_field is None and not calls):
        raise Malformed(f"message {number} needs role and content")
    role = field_text(item, role_field)
    content = (
        "" if content_field is None else _content(item[content_field], content_field, left_out)
    )
    return {
        "role": _ROLES.get(role.lower(), role),
        "content": "\n".join([*([content] if content else []), *calls]),
    }


def _content(value: Any, field: str, left_out: "collections.Counter[str]") -> str:
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return as_text(value, field)
    texts = []
    for part in value:
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(field_text(part, "text"))
        elif isinstance(part, Mapping):
            left_out[f"part of type {part.get('type') or 'unknown'}"] += 1
        else:
            texts.append(as_text(part, field))
    return "\n".join(texts)


def _calls(item: Mapping[str, Any]) -> list[str]:
    calls = item.get("tool_calls")
    if isinstance(calls, Mapping):
        calls = _as_list(calls)
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        calls = []
    return [_call(call) for call in (*calls, item.get("function_call")) if call]


def _call(call: Any) -> str:
    function = call.get("function") or call if isinstance(call, Mapping) else call
    if isinstance(function, Mapping):
        arguments = function.get("arguments")
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
