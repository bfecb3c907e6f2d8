"""Repairs of an answer that cannot change its meaning: types, letter case, stray keys, a wrapping
object.

Strict validation before such repair rejects what small models answer correctly but untidily.
"""

from collections.abc import Mapping
from typing import Any

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def coerce(value: Any, schema: Mapping[str, Any]) -> Any:
    """`value` brought nearer to `schema` where there is only one way; what cannot be repaired is
    returned as it is.
    """
    if "enum" in schema or "const" in schema:
        return _coerce_choice(value, schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "object":
            return _coerce_object(value, schema)
        case "array" if isinstance(value, list):
            return [coerce(item, schema.get("items", {})) for item in value]
        case "integer":
            return _coerce_integer(value)
        case "number" if isinstance(value, str):
            return _number(value, value)
        case "boolean":
            return _coerce_boolean(value)
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        case "string" if isinstance(
            value, str
        ):  # half a surrogate pair is no text and cannot be written
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _coerce_object(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    named = _by_property(value, properties)
    if not named and len(value) == 1 and properties:
        (inner,) = value.values()  # {"answer": {...}}
        if isinstance(inner, dict) and _by_property(inner, properties):
            return _coerce_object(inner, schema)
    kept = {key: coerce(named[key], properties[key]) for key in properties if key in named}
    if schema.get("additionalProperties", True) is not False:
        kept.update(
            {key: item for key, item in value.items() if _plain(key) not in map(_plain, properties)}
        )
    return kept


def _by_property(value: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the properties' own spelling; an exact key beats one that differs in case or
    separators.
    """
    found = {}
    for name in properties:
        similar = [key for key in value if _plain(key) == _plain(name)]
        if name in value:
            found[name] = value[name]
        elif len(similar) == 1:
            found[name] = value[similar[0]]
    return found


def _coerce_choice(value: Any, choices: list[Any]) -> Any:
    if value in choices and not isinstance(value, bool):
        return next(choice for choice in choices if choice == value)
    if isinstance(value, bool) and not any(isinstance(choice, bool) for choice in choices):
        value = int(value)
    similar = [choice for choice in choices if _plain(str(choice)) == _plain(str(value))]
    if len(similar) == 1:
        return similar[0]
    number = _number(str(value), None)
    return next((choice for choice in choices if number is not None and choice == number), value)


def _coerce_integer(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    number = _number(value, None) if isinstance(value, str) else value
    return int(number) if isinstance(number, int | float) and number == int(number) else value


def _coerce_boolean(value: Any) -> Any:
    plain = _plain(str(value))
    return True if plain in _TRUE else False if plain in _FALSE else value


def _number(text: str, otherwise: Any) -> Any:
    try:
        number = float(text)
    except ValueError:
        return otherwise
    if not abs(number) < 2**53:  # beyond the integers a double holds; NaN too
        return otherwise
    return int(number) if number == int(number) else number


def _plain(text: str) -> str:
    return "".join(text.split()).casefold().replace("_", "-")
