"""Small requests that the test server can answer."""

from divsyn_jax.endpoint.client import Request


def strict(**properties):
    """A strict object schema."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


LABELS = strict(
    a={"type": "integer", "enum": [1, 2, 3]},
    b={"type": "integer", "enum": [1, 2, 3]},
    note={"type": "string"},
)


def question(number, **changes):
    """One of many small requests."""
    return Request(
        **{
            "purpose": "cluster",
            "system": "You sort documents.",
            "user": f"Sort document number {number}.",
            "schema": LABELS,
            "identity": {"draw": number, "attempt": 0},
            "max_output_tokens": 100,
            **changes,
        }
    )
