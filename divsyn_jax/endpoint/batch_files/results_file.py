"""The files of results that --batch_in names: read as what strangers wrote.

A line holds custom_id and either response {status_code, body} or error; OpenAI writes the failed
ones into a file of their own. Lines are bounded, only what a file of ours asked is taken, and what
a line means is read by the code that reads live answers."""

import collections
import hashlib
import json
import os
import pathlib
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from divsyn_jax.base import json_text, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.endpoint.batch_files import asked, requests_file
from divsyn_jax.endpoint.batch_files.asked import Asked
from divsyn_jax.endpoint.cache import Cache
from divsyn_jax.endpoint.sending import bounded_body, completion
from divsyn_jax.endpoint.sending.outcomes import (
    AttemptFailed,
    Filtered,
    OutcomeReader,
    Rejected,
    count_reported,
)

# What an answer may hold over a connection, and the line's own fields.
_LONGEST_LINE = bounded_body.LONGEST_BODY + (1 << 16)
_LONGEST_NAME = 64  # characters of a foreign name that are shown
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_taken: set[tuple[Any, ...]] = set()  # by this process: clients share a cache and come in turn


def take_in(path: pathlib.Path, cache: Cache, cache_path: pathlib.Path, out: OutcomeReader) -> None:
    """Take the answers in the file `path` into `cache` and say on standard error what was found.

    Raises `UserError` for what is no file of results of this cache's requests."""
    try:
        info = os.stat(path)
    except OSError as error:
        raise UserError(f"--batch_in={path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(info.st_mode):
        raise UserError(f"--batch_in={path}: is not a file")
    key = (str(cache_path.resolve()), info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size)
    if key in _taken:
        return
    _taken.add(key)
    found = _Found(path)
    for number, line in _lines(path):
        _take_line(found, number, line, cache, out)
    found.check()
    print(terminal_text.one_line(found.in_words()), file=sys.stderr)


class _Found:
    """What one file holds, counted."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.counts: collections.Counter[str] = collections.Counter()
        self.first: dict[str, str] = {}  # example of what is counted

    def count(self, kind: str, example: str = "") -> None:
        self.counts[kind] += 1
        self.first.setdefault(kind, terminal_text.one_line(example, completion.LONGEST_WORDS))

    def check(self) -> None:
        """Raise `UserError` where all results answer something else."""
        results = sum(self.counts.values()) - self.counts["malformed"]
        if results and self.counts["unknown"] == results:
            raise UserError(
                f"--batch_in={self.path}: none of its requests was asked by this --output (first:"
                f" {self.first['unknown']}); give the results of its --batch_out"
            )

    def in_words(self) -> str:
        """One line."""
        names = {
            "refused": "refused by the server",
            "failed": "failed and asked again",
            "malformed": "malformed, not taken",
            "unknown": "with a custom_id that was not asked, not taken",
            "repeated": "answered before, not taken",
        }
        parts = [f"{self.counts['answered']:,} answers taken"]
        for kind, words in names.items():
            if self.counts[kind]:
                example = f" (first: {self.first[kind]})" if self.first[kind] else ""
                parts.append(f"{self.counts[kind]:,} {words}{example}")
        return f"{self.path}: {'; '.join(parts)}"


def _take_line(
    found: _Found, number: int, line: bytes | None, cache: Cache, out: OutcomeReader
) -> None:
    try:
        said = _parsed(line)
    except ValueError as error:
        if number == 1 and line is not None and requests_file.is_request(line):
            raise UserError(
                f"--batch_in={found.path}: is a file of requests; give the results that answer it"
            ) from None
        found.count("malformed", f"line {number}: {error}")
        return
    name = said["custom_id"]
    record = asked.known(cache, name)
    if record is None:
        found.count("unknown", f"line {number}: {name[:_LONGEST_NAME]!a}")
    elif record.is_answered:
        found.count("repeated", f"line {number}")
    else:
        try:
            kind = _enter(record, said, hashlib.sha256(line or b"").hexdigest()[:16], out)
            asked.keep(cache, name, record)
        except (ValueError, RecursionError):  # infinite numbers, nesting at the parser's limit
            found.count("malformed", f"line {number}: a value that JSON cannot hold")
        else:
            found.count(kind, f"line {number}: {record.words}" if record.words else "")


def _parsed(line: bytes | None) -> dict[str, Any]:
    """The object of a line. Raises `ValueError` saying what is wrong with it."""
    if line is None:
        raise ValueError(f"longer than {_LONGEST_LINE:,} bytes")
    value = json_text.parse_json(line)
    if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str):
        raise ValueError("no object with a custom_id")
    if not isinstance(value.get("response"), Mapping) and not value.get("error"):
        raise ValueError("neither a response nor an error")
    return value


def _enter(record: Asked, said: Mapping[str, Any], fingerprint: str, out: OutcomeReader) -> str:
    """Enter a line into the record of its request; returns what it is: answered, refused or
    failed.
    """
    response = said["response"] if isinstance(said.get("response"), Mapping) else {}
    # The key may stand in what a server says, here as over a connection.
    text = out.clean(json.dumps(response.get("body")))
    body = json_text.parse_json(text)
    status = response.get("status_code")
    status = status if type(status) is int and 100 <= status < 600 else None
    if status == 200 and completion.reply(body, {"messages": []}) is not None:
        record.completion, record.words = body, ""
        record.calls += 1
        return "answered"
    told = body or {"error": said.get("error") or "no body"}
    if status is None:  # expired or cancelled: nobody was asked
        record.words = completion.error_of(told, "", out.clean).words or "no response"
        return "failed"
    outcome = out.failure(status, told, json.dumps(told), {})
    record.words = str(outcome)
    if fingerprint not in record.failures:
        record.calls += 1
        count_reported(body, {"messages": []}, lambda *took: _add(record, *took))
    if isinstance(outcome, Rejected | Filtered):
        record.refusal = "filtered" if isinstance(outcome, Filtered) else "rejected"
        return "refused"
    of_server = isinstance(outcome, AttemptFailed) and (outcome.server_error or outcome.answerless)
    if of_server and fingerprint not in record.failures:
        record.failures.append(fingerprint)
    return "failed"


def _add(record: Asked, prompt_tokens: int, completion_tokens: int) -> None:
    record.prompt_tokens += prompt_tokens
    record.completion_tokens += completion_tokens


def _lines(path: pathlib.Path) -> Iterator[tuple[int, bytes | None]]:
    """Every line that is not blank with its number; None for one that is too long."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if len(line) > _LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield number, None
            elif line.strip():
                yield number, line
