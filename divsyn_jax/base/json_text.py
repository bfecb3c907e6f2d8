"""JSON from strangers: whatever is wrong with a text is one kind of error, `ValueError`.

The parser of the standard library raises `RecursionError` for deep nesting, which no reader of JSON
expects, and takes NaN and Infinity, which are not JSON."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text (bytes: UTF-8).

    Raises `ValueError`, its message one line, for anything else: bad syntax or encoding, NaN and
    Infinity, nesting deeper than the parser goes (about a thousand levels), and integers of
    thousands of digits."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
