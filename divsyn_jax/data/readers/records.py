"""One record of a corpus: the document made of it, its fields, and why it may be of no use."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from divsyn_jax.base.errors import UserError


@dataclasses.dataclass(frozen=True)
class Document:
    """One document: its text, the other fields of its record, and where it stands (`file:line`)."""

    text: str
    fields: Mapping[str, Any]
    where: str


class Malformed(Exception):
    """One record cannot be used; the message says why, without the place."""


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands for a record that its file holds and that cannot be decoded.

    Attributes: why: what is wrong with it, without the place.
    """

    why: str


class _Missing:
    """Stands for the value of a field that a record lacks."""


MISSING: Final = _Missing()


def field_at(record: Mapping[str, Any], path: str) -> Any:
    """The value of a field; `MISSING` where there is none.

    `path` is the name of a field, or the names on the way to one inside it, joined by dots; the
    number of an item of a list is such a name. A field whose own name holds the dots goes first.
    """
    if path in record:
        return record[path]
    value: Any = record
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif (
            isinstance(value, Sequence)
            and not isinstance(value, str | bytes)
            and name.isdecimal()
            and int(name) < len(value)
        ):
            value = value[int(name)]
        else:
            return MISSING
    return value


def as_text(value: Any, field: str, remedy: str = "") -> str:
    """The text that a field's value is; '' for none (null).

    Raises `Malformed` when it is anything but Unicode text.
    """
    if isinstance(value, bytes):  # tfds and binary columns hand out strings as bytes
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"field {field!r} is not UTF-8") from None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"field {field!r} holds {type(value).__name__}, not text{remedy}")
    if not is_unicode(value):
        raise Malformed(f"field {field!r} holds half a surrogate pair, which is not Unicode text")
    return value


def is_unicode(text: str) -> bool:
    """Whether a text holds no half of a surrogate pair, as JSON's escapes can spell."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def field_text(record: Mapping[str, Any], field: str) -> str:
    """The text of a field that `record` has. Raises `Malformed`; see `as_text`."""
    return as_text(record[field], field)


def columns_to_read(path: str, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those of the `wanted` fields, which may lie inside columns, that the columns `names` can
    hold.

    Raises `UserError` when they are none.
    """
    found = [field for field in wanted if _root(field, names) is not None]
    if not found:
        raise UserError(
            f"{path}: no column {wanted[0]!r} (it has: {', '.join(names)}); name it with"
            " --text_field, or build the text with --text_template"
        )
    return list(dict.fromkeys(found))


def columns_of(fields: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns in which `fields` lie, in the order of `names`."""
    roots = {_root(field, names) for field in fields}
    return [name for name in names if name in roots]


def _root(field: str, names: Sequence[str]) -> str | None:
    """The column that holds a field: of its name, or of the first name on the way to it."""
    if field in names:
        return field
    first = field.split(".")[0]
    return first if first in names else None
