"""The file of requests that --batch_out names: one JSON object a line, each asked once.

A line holds custom_id, method, url and body (https://platform.openai.com/docs/guides/batch); vLLM
reads the same: `python -m vllm.entrypoints.openai.run_batch -i REQUESTS -o RESULTS --model M`."""

import contextlib
import json
import os
import pathlib
import stat
from collections.abc import Mapping
from typing import Any, BinaryIO

from divsyn_jax.base import json_text, owned_folders
from divsyn_jax.base.errors import UserError

URL = "/v1/chat/completions"
_KEYS = frozenset({"custom_id", "method", "url", "body"})
_LONGEST_FIRST_LINE = 64 << 20


class RequestsFile:
    """Lines on their way to `path`, where they appear together, by `put_in_place`.

    Raises `UserError` where `path` is something that is not such a file."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.names: dict[str, str] = {}  # purpose by custom_id, in the order written
        self._context = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        _check_replaceable(path)

    def add(self, name: str, purpose: str, body: Mapping[str, Any]) -> None:
        """Write a request, unless it is there already."""
        if name in self.names:
            return
        if self._file is None:
            self._file = self._context.enter_context(owned_folders.replacing_file(self.path))
        self.names[name] = purpose
        line = {"custom_id": name, "method": "POST", "url": URL, "body": body}
        self._file.write(json.dumps(line).encode() + b"\n")

    def put_in_place(self) -> None:
        """Let the file appear, in place of an earlier one."""
        self._context.close()
        self._file = None

    def discard(self) -> None:
        """Leave what was there before."""
        if self._file is not None:
            self._file = None
            with contextlib.suppress(_Discarded):
                self._context.__exit__(_Discarded, _Discarded(), None)


class _Discarded(Exception):
    """Ends the writing of a file that shall not appear."""


def is_request(line: bytes) -> bool:
    """Whether a line is one of a file of requests."""
    try:
        value = json_text.parse_json(line)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() >= _KEYS and "response" not in value


def _check_replaceable(path: pathlib.Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UserError(f"--batch_out={path}: there is no folder {folder}; make it")
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode):
        raise UserError(f"--batch_out={path}: is not a file (a folder or a link); name another")
    with path.open("rb") as file:
        first = file.readline(_LONGEST_FIRST_LINE)
    if first and not is_request(first):
        raise UserError(
            f"--batch_out={path}: holds something else than requests (results?), which would be"
            " lost; name another file"
        )
