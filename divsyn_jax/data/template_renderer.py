"""The parent's side of template_process.py: renders a stranger's template within limits."""

import json
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import template_process

# A conversation renders in milliseconds; a machine under load may take a thousand times that.
LONGEST_S = 20.0
_process: subprocess.Popen[bytes] | None = None
_lock = threading.Lock()


def render(template: str, variables: Mapping[str, Any], place: str) -> str:
    """The text of a Jinja template with these variables (JSON values).

    The template may also call `raise_exception(message)`. Raises `UserError`, beginning with
    `place`, where the template does that or fails, takes over `LONGEST_S` seconds, over
    `template_process.MEMORY` bytes, or gives over `template_process.LONGEST_TEXT` characters."""
    request = json.dumps({"template": template, "variables": dict(variables)}).encode() + b"\n"
    with _lock:
        try:
            answer = _ask(request)
        except TimeoutError:
            raise UserError(
                f"{place}: cannot be rendered within {LONGEST_S:g} s; correct it"
            ) from None
        except (OSError, ValueError):
            raise UserError(f"{place}: cannot be rendered (it ended the renderer)") from None
    if "text" not in answer:
        raise UserError(f"{place}: {' '.join(answer['error'].split())}")  # it may hold lines
    return answer["text"]


def _ask(request: bytes) -> dict[str, str]:
    global _process
    if _process is None or _process.poll() is not None:
        _process = subprocess.Popen(
            # -P: modules are not looked for beside the script.
            [sys.executable, "-P", template_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
    process = _process
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request)
        answer, deadline = bytearray(), time.monotonic() + LONGEST_S
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
            if not (part := process.stdout.read(1 << 16)):
                raise ValueError("the renderer has ended")
            answer += part
        return json.loads(answer)
    except BaseException:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        _process = None
        raise
