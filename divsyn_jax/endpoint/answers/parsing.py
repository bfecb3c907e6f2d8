"""Answers of a fixed shape from servers that promise it, half keep it, or know nothing of it.

The ladder: `json_schema` (the server constrains the answer), `json_object` (the server returns some
JSON; the schema stands in the prompt), `text` (the schema stands in the prompt, the JSON is looked
for in the answer). Whatever the rung, every answer is repaired where the repair cannot change its
meaning and then validated here."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from divsyn_jax.endpoint.answers.coercion import coerce
from divsyn_jax.endpoint.answers.reasoning import reasoning_end
from divsyn_jax.endpoint.request import Request

MODES = ("json_schema", "json_object", "text")
# Where the schema stands in a prompt, and where a re-ask begins.
SCHEMA_HEADING = "Answer with one JSON object and nothing else. It must obey this JSON Schema"
RE_ASK_HEADING = "An earlier answer to this was unusable:"

_NO_OBJECT = "the answer holds no complete JSON object"
_DUPLICATE = "a key is given twice"
_MOST_PROBLEMS = 20
_ONLY_REASONED = "an object stands in the reasoning only, and none after its end"
# Braces tried, from the end of the answer: LaTeX and code in the reasoning hold thousands. Each of
# a hundred thousand nested ones costs a millisecond, so that few of these are tried.
_MOST_STARTS = 20_000
_MOST_NESTED = 200
_MOST_ANSWERS = 50  # objects after the reasoning that are tried against the schema, the last ones


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
    if request.plain:
        return None
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


def messages(
    request: Request, mode: str, problems: list[str], system_role: bool = True
) -> list[dict[str, str]]:
    """The messages of a first question, or of a re-ask when there are problems of an earlier
    answer; without `system_role` the system's text stands at the head of the user's turn.
    """
    system, user = request.system, request.user
    if mode != "json_schema" and not request.plain:
        schema = json.dumps(request.schema, ensure_ascii=False)
        system = f"{system}\n\n{SCHEMA_HEADING} ({request.purpose}):\n{schema}"
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems[:_MOST_PROBLEMS])
        user = f"{user}\n\n{RE_ASK_HEADING}\n{listed}\nAnswer again, completely."
    if not system_role:
        return [{"role": "user", "content": f"{system}\n\n{user}"}]
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def parse(text: str, request: Request, elsewhere: str | None = None) -> Parsed:
    """Find, repair and validate the answer in `text`; `elsewhere` names where a server put the
    answer when `text` is empty.

    Reasoning does not count (see `reasoning`); of several objects the last that obeys the schema
    does."""
    try:
        whole: Any = _loads(text)
        if isinstance(whole, str):  # JSON inside a JSON string
            text = whole
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        return _checked(whole, request, exact=True)
    found = _objects(text)
    start, end = reasoning_end(text, [(first, last) for _, first, last in found])
    answers = [value for value, first, last in found if start <= first and last <= end]
    if not answers and not text.strip() and elsewhere:
        return Parsed(None, [f"the answer stands in {elsewhere}, and content is empty"], True)
    if not answers:
        return Parsed(None, [_ONLY_REASONED if found else _NO_OBJECT], True)
    parsed = [_checked(value, request, exact=False) for value in answers[-_MOST_ANSWERS:]]
    for candidate in reversed(parsed):
        if candidate.value is not None and not _violations(candidate.value, request.schema):
            return candidate
    # None will do: the longest was meant, not the small ones of an explanation.
    longest = max(range(len(parsed)), key=lambda i: len(str(answers[-len(parsed) :][i])))
    return parsed[longest]


def parse_plain(text: str, was_cut: bool, request: Request, elsewhere: str | None) -> Parsed:
    """The value of a plain answer: its text without the reasoning."""
    start, end = reasoning_end(text, [])
    prose = text[start:end].strip()
    if not prose and elsewhere:
        return Parsed(None, [f"the answer stands in {elsewhere}, and content is empty"], True)
    if not prose:
        return Parsed(None, ["the answer is empty"], True)
    return of_value({"text": prose, "was_cut": was_cut}, request)


def of_value(value: dict[str, Any], request: Request) -> Parsed:
    """What an answer's value amounts to, e.g. one that was kept."""
    return _checked(value, request, exact=True)


def _checked(value: dict[str, Any], request: Request, exact: bool) -> Parsed:
    if isinstance(value, _Duplicated):
        return Parsed(None, [_DUPLICATE], True)
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


def _objects(text: str) -> list[tuple[dict[str, Any], int, int]]:
    """(value, start, end) of the outermost JSON objects inside prose, code fences and lists."""
    found, nested = [], 0
    start = text.find("{")
    if (braces := text.count("{")) > _MOST_STARTS:
        for _ in range(braces - _MOST_STARTS):
            start = text.find("{", start + 1)
    while start >= 0 and nested < _MOST_NESTED:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except ValueError:
            end = start + 1
        except RecursionError:
            end = start + 1
            nested += 1
        else:
            found.append((value, start, end))
        start = text.find("{", end)
    return found


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
