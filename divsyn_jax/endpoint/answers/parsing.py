"""Answers of a fixed shape from servers that promise it, half keep it, or know nothing of it.

The ladder: `json_schema` (the server constrains the answer), `json_object` (the server returns some
JSON; the schema stands in the prompt), `text` (the schema stands in the prompt, the JSON is looked
for in the answer). Whatever the rung, every answer is repaired where the repair cannot change its
meaning and then validated here."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from divsyn_jax.endpoint.answers.coercion import coerce
from divsyn_jax.endpoint.request import Request

MODES = ("json_schema", "json_object", "text")
# Where the schema stands in a prompt, and where a re-ask begins.
SCHEMA_HEADING = "Answer with one JSON object and nothing else. It must obey this JSON Schema"
RE_ASK_HEADING = "An earlier answer to this was unusable:"

_REASONING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_NO_OBJECT = "the answer holds no complete JSON object"
_DUPLICATE = "a key is given twice"
_MOST_PROBLEMS = 20
_MOST_STARTS = 200  # braces tried; each of a hundred thousand nested ones costs a millisecond


@dataclass(frozen=True)
class Parsed:
    """What an answer's text amounts to.

    Attributes: value: the object, None where there is none. problems: why it is unusable, in fixed
      wording that repeats nothing of the answer; empty when usable. coerced: whether the text was
      anything but the value itself.
    """

    value: dict[str, Any] | None
    problems: list[str]
    coerced: bool


def response_format(request: Request, mode: str) -> dict[str, Any] | None:
    """The API's `response_format` on a rung of the ladder."""
    if mode == "json_schema":
        return {
            "type": "json_schema",
            "json_schema": {
                "name": request.purpose,
                "strict": True,
                "schema": dict(request.schema),
            },
        }
    return {"type": "json_object"} if mode == "json_object" else None


def messages(request: Request, mode: str, problems: list[str]) -> list[dict[str, str]]:
    """The messages of a first question, or of a re-ask when there are problems of an earlier
    answer.
    """
    system, user = request.system, request.user
    if mode != "json_schema":
        schema = json.dumps(request.schema, ensure_ascii=False)
        system = f"{system}\n\n{SCHEMA_HEADING} ({request.purpose}):\n{schema}"
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems[:_MOST_PROBLEMS])
        user = f"{user}\n\n{RE_ASK_HEADING}\n{listed}\nAnswer again, completely."
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def parse(text: str, request: Request) -> Parsed:
    """Find, repair and validate the answer in `text`."""
    try:
        value, exact = _loads(text), True
    except (ValueError, RecursionError):
        value, exact = _largest_object(_REASONING.sub("", text)), False
    if isinstance(value, _Duplicated):
        return Parsed(None, [_DUPLICATE], True)
    if not isinstance(value, dict):
        return Parsed(None, [_NO_OBJECT], True)
    try:
        repaired = coerce(value, request.schema)
        problems = _violations(repaired, request.schema) or request.check(repaired)
        return Parsed(repaired, problems, not exact or _sorted(repaired) != _sorted(value))
    except RecursionError:  # just less nested than the parser allows
        return Parsed(None, [_NO_OBJECT], True)


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class _Duplicated(dict):
    """An object in which a key was given twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs) or any(isinstance(inner, _Duplicated) for inner in value.values()):
        return _Duplicated(value)
    return value


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is not a JSON number")
    return value


# strict=False: small models put bare newlines into strings.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_finite, parse_constant=_finite, strict=False
)


def _loads(text: str) -> Any:
    return _DECODER.decode(text)


def _largest_object(text: str) -> dict[str, Any] | None:
    """The longest JSON object inside prose or a code fence."""
    best, longest, start = None, 0, text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if end - start > longest:
                best, longest = value, end - start
        start = text.find("{", end)
    return best


def _violations(value: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    import jsonschema

    problems = []
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        where = "".join(
            f"[{part}]" if isinstance(part, int) else f" {part!r}" for part in error.absolute_path
        )
        problems += [
            f"the value of{where} {said}" if where else f"the object {said}"
            for said in _wording(error)
        ]
    return sorted(set(problems))


def _wording(error: Any) -> list[str]:
    """A violation in words that come from the schema alone."""
    expected = error.validator_value
    match error.validator:
        case "required":
            return [f"lacks the key {key!r}" for key in expected if key not in error.instance]
        case "additionalProperties":
            return ["has keys that were not asked for"]
        case "type":
            return [f"must be of type {expected}"]
        case "enum":
            return [f"must be one of {json.dumps(expected, ensure_ascii=False)}"]
        case "const":
            return [f"must be {json.dumps(expected, ensure_ascii=False)}"]
        case (
            "minimum" | "maximum" | "minItems" | "maxItems" | "minLength" | "maxLength" | "pattern"
        ):
            return [f"must obey {error.validator} {expected}"]
        case _:
            return [f"breaks the schema's {error.validator}"]
