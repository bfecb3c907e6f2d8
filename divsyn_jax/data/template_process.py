"""Renders Jinja templates in a process of its own, started by template_renderer.py as a script.

A template is a program of a stranger. Jinja's sandbox keeps it from our objects, not from looping
for ever or from filling the memory; only a process can be held to that. One JSON object a line
comes in ({"template": ..., "variables": {...}}), one goes out: {"text": ...} or {"error": ...}.
This file imports nothing of the project: it starts in a tenth of a second."""

import contextlib
import functools
import json
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

# Bytes of address space: of that, Python and Jinja take about 40 MB.
MEMORY = 1 << 30
LONGEST_TEXT = 16 << 20  # characters
_LONGEST_ERROR = 500


class _Refused(Exception):
    """The template called `raise_exception`."""


def _refuse(message: Any) -> None:
    raise _Refused(str(message)[:_LONGEST_ERROR])


def _refuse_date(_: Any) -> None:
    raise _Refused(
        "the chat template writes today's date, and the same conversation would be other text"
        " tomorrow; put a fixed date into the template"
    )


@functools.lru_cache(maxsize=4)
def _compiled(template: str) -> Any:
    """The template as transformers sets Jinja up."""
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node, Scope
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`, by which transformers is told what a response is; its text stays."""

        tags: ClassVar[set[str]] = {"generation"}

        def parse(self, parser: Parser) -> Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return Scope(body).set_lineno(line)  # what is set in it ends with it, as there

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    environment.globals["strftime_now"] = _refuse_date
    return environment.from_string(template)


def render_here(template: str, variables: Mapping[str, Any]) -> dict[str, str]:
    """What is answered: the text, or why there is none."""
    try:
        text = _compiled(template).render(**variables, raise_exception=_refuse)
        text.encode("utf-8")  # fails for half a surrogate pair
    except _Refused as error:
        return {"error": str(error)}
    except BaseException as error:  # a template raises whatever its expressions do
        told = str(error)[:_LONGEST_ERROR]
        kind = "" if type(error).__module__.startswith("jinja2") else f"{type(error).__name__}: "
        return {"error": f"cannot be rendered ({kind}{told})"}
    if len(text) > LONGEST_TEXT:
        return {"error": f"cannot be rendered (more than {LONGEST_TEXT:,} characters)"}
    return {"text": text}


def _serve() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(render_here(request["template"], request["variables"])), flush=True)


if __name__ == "__main__":
    _serve()
