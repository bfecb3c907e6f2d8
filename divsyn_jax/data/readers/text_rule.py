"""What the text of a record is: a field of it, a template over its fields, or its conversation."""

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers import conversations
from divsyn_jax.data.readers.options import TEXT_FIELD, ReadOptions
from divsyn_jax.data.readers.records import MISSING, Malformed, as_text, field_at

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", "{{": "{", "}}": "}"}
_TOKEN = re.compile(r"\\n|\\t|\\\\|\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TextRule:
    """The text of records, as `ReadOptions` say.

    Attributes: left_out: parts of conversations that hold no text, counted by type.
    """

    def __init__(self, options: ReadOptions) -> None:
        self._field, self._part = options.text_field, options.part
        self._template = None
        if options.text_template is not None:
            self._template = _parsed(options.text_template)
        self._may_talk = options.text_field == TEXT_FIELD
        self.left_out: collections.Counter[str] = collections.Counter()

    def text(self, record: Mapping[str, Any]) -> str:
        """The text of a record, '' where it is null. Raises `Malformed`, saying why."""
        if self._template is not None:
            return self._filled(record)
        value = field_at(record, self._field)
        if self._part != "all":
            return self._side(record, value)
        if type(value) is str:
            return as_text(value, self._field)
        if value is MISSING:
            if self._may_talk and conversations.conversation_fields(record):
                return conversations.conversation_text(self._messages(record))
            raise Malformed(self._no_field(record))
        if conversations.is_messages(value):
            messages = conversations.read_messages(value, self._field, self.left_out)
            return conversations.conversation_text(messages)
        return as_text(value, self._field, _others(record, self._field))

    def fields(self, names: Sequence[str]) -> list[str]:
        """The fields that the text is made of, for a file with the columns `names`."""
        if self._template is not None:
            return [name for _, name in self._template if name]
        talk = conversations.conversation_fields(names) if self._may_talk else []
        has_field = self._field in names or self._field.split(".")[0] in names
        if self._part != "all" and talk:
            return talk
        return talk if talk and not has_field else [self._field]

    def _messages(self, record: Mapping[str, Any]) -> list[conversations.Message]:
        return conversations.messages_of(record, self.left_out)

    def _side(self, record: Mapping[str, Any], value: Any) -> str:
        if conversations.is_messages(value):
            messages = conversations.read_messages(value, self._field, self.left_out)
        elif self._may_talk and conversations.conversation_fields(record):
            messages = self._messages(record)
        else:
            has = ", ".join(map(str, record)) or "none"
            raise Malformed(
                f"--part={self._part} needs a conversation: messages, prompt and response, or"
                f" instruction and output (it has: {has}); leave --part out"
            )
        return conversations.conversation_text(messages, self._part)

    def _filled(self, record: Mapping[str, Any]) -> str:
        assert self._template is not None
        parts, is_empty = [], True
        for literal, name in self._template:
            parts.append(literal)
            if not name:
                continue
            value = field_at(record, name)
            if value is MISSING:
                raise Malformed(f"no field {name!r}{_has(record)}; correct --text_template")
            if isinstance(value, int | float):
                value = str(value)
            if conversations.is_messages(value):
                messages = conversations.read_messages(value, name, self.left_out)
                value = conversations.conversation_text(messages)
            text = as_text(value, name, "; correct --text_template")
            is_empty = is_empty and not text.strip()
            parts.append(text)
        return "" if is_empty else "".join(parts)

    def _no_field(self, record: Mapping[str, Any]) -> str:
        return f"no field {self._field!r}{_has(record)}{_others(record, self._field)}"


def _has(record: Mapping[str, Any]) -> str:
    return f" (it has: {', '.join(map(str, record)) or 'none'})"


def _others(record: Mapping[str, Any], field: str) -> str:
    """What to do: name another field, where there is one that holds text."""
    for name in (*record, *_inner(record)):
        value = field_at(record, name)
        if name != field and (isinstance(value, str | bytes) or conversations.is_messages(value)):
            return "; name it with --text_field"
    return "; none of its fields holds text: convert it, or give another corpus"


def _inner(record: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}.{inner}"
        for name, value in record.items()
        if isinstance(value, Mapping)
        for inner in value
    ]


def _parsed(template: str) -> list[tuple[str, str]]:
    """The template as pairs of literal text and the field after it ('' after the last)."""
    parts: list[tuple[str, str]] = []
    literal, end = "", 0
    for found in _TOKEN.finditer(template):
        literal += template[end : found.start()]
        end = found.end()
        if found[0] in _ESCAPES:
            literal += _ESCAPES[found[0]]
        elif found[1]:
            parts.append((literal, found[1].strip()))
            literal = ""
        else:
            raise UserError(
                f"--text_template={template}: a lone {found[0]!r}; write fields as {{name}} and"
                " braces as {{ }} doubled"
            )
    if not parts:
        raise UserError(
            f"--text_template={template}: names no field; e.g. '{{instruction}}\\n{{output}}'"
        )
    return [*parts, (literal + template[end:], "")]
