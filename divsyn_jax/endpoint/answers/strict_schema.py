"""JSON Schemas in the strict form that endpoints enforce:

every property required, no others allowed.
"""

from collections.abc import Mapping
from typing import Any


def object_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: Mapping[str, Any], most: int) -> dict[str, Any]:
    """An array of such items, so many at most: a weak model would never end it by itself."""
    return {"type": "array", "items": dict(items), "maxItems": most}
