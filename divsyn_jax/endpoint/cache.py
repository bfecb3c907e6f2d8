"""Paid answers on disk, so that a crashed or repeated run pays for nothing twice.

SQLite in WAL mode, one transaction an answer: a killed process loses only the calls in flight. Rows
hold JSON and no secret: the request as it was keyed, the valid answer, and what it took. Failures
are not kept; they may succeed again. The file is its owner's alone, and a row is an answer only to
the request that it holds."""

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from divsyn_jax.base import json_text
from divsyn_jax.base.commandline import UserError

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, purpose TEXT NOT NULL, request TEXT NOT NULL, value TEXT NOT NULL,
  request_id TEXT, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
  key TEXT PRIMARY KEY, about TEXT NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
"""
_FORMAT = 1
_BUSY_S = 30.0


@dataclass(frozen=True)
class Paid:
    """An answer that was paid for, and what all attempts that led to it took."""

    value: dict[str, Any]
    request_id: str | None
    prompt_tokens: int
    completion_tokens: int


def canonical(value: Any) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def answer_key(determinants: Mapping[str, Any]) -> str:
    """SHA-256 of everything that determines an answer."""
    return hashlib.sha256(canonical(determinants).encode()).hexdigest()


def _make_own(path: Path) -> None:
    """Make the file of a cache where it is missing, for its owner alone.

    Raises `UserError` where it, or what SQLite keeps beside it, is a link, no file, or another
    user's."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        try:
            if not suffix:
                with contextlib.suppress(FileExistsError):
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                    os.close(os.open(file, flags, 0o600))
            # Never opened here once it is there: closing it would drop the locks that another
            # connection of this process holds.
            info = os.lstat(file)
        except FileNotFoundError:
            if suffix:
                continue
            raise
        except OSError as error:
            raise UserError(
                f"{file}: the answer cache cannot be used ({error.strerror}); name another"
                " --output or change its permissions"
            ) from None
        if not stat.S_ISREG(info.st_mode):
            raise UserError(
                f"{file}: the answer cache cannot be used (a link, or no file); move it away"
            )
        if info.st_uid != os.geteuid():
            raise UserError(
                f"{file}: belongs to another user (uid {info.st_uid}), whose answers are not taken;"
                " move it away"
            )
        if info.st_mode & 0o077:
            os.chmod(file, 0o600)


class Cache:
    """Answers by key, and facts learned about endpoints. `path` None keeps them in memory.

    Raises `UserError` when the file cannot be used.
    """

    def __init__(self, path: Path | None):
        self._path = path
        if path is not None:
            _make_own(path)
        try:
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=_BUSY_S, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _FORMAT):
                raise UserError(
                    f"{path}: a cache of another version (format {version}); move it away"
                )
            self._connection.executescript(_TABLES)
            self._connection.execute(f"PRAGMA user_version={_FORMAT}")
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def answer(self, key: str) -> Paid | None:
        """The answer under `key`."""
        row = self._one(
            "SELECT request, value, request_id, prompt_tokens, completion_tokens FROM answers"
            " WHERE key=?",
            (key,),
        )
        if row is None:
            return None
        value = self._bound(key, row[0], row[1])
        request_id, *took = row[2:]
        if not (isinstance(request_id, str | None) and all(type(n) is int for n in took)):
            raise self._unusable(ValueError(f"the row {key[:12]} is damaged"))
        return Paid(value, request_id, *took)

    def keep(self, key: str, determinants: Mapping[str, Any], paid: Paid) -> None:
        """Commit an answer."""
        self._write(
            "INSERT OR REPLACE INTO answers (key, purpose, request, value, request_id,"
            " prompt_tokens, completion_tokens) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                determinants["purpose"],
                canonical(determinants),
                canonical(paid.value),
                paid.request_id,
                paid.prompt_tokens,
                paid.completion_tokens,
            ),
        )

    def fact(self, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was learned about something, e.g. an endpoint."""
        key = answer_key(about)
        row = self._one("SELECT about, value FROM facts WHERE key=?", (key,))
        return self._bound(key, *row) if row else None

    def keep_fact(self, about: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Commit a fact in place of an earlier one."""
        self._write(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)",
            (answer_key(about), canonical(about), canonical(value)),
        )

    def _one(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            return self._connection.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _bound(self, key: str, request: Any, text: Any) -> dict[str, Any]:
        """The object `text` of a row, which must hold the request that its key is the hash of."""
        try:
            if hashlib.sha256(request.encode()).hexdigest() != key:
                raise ValueError(f"the row {key[:12]} does not answer what it is kept for")
            value = json_text.parse_json(text)
            if not isinstance(value, dict):
                raise ValueError(f"the row {key[:12]} holds no object")
            return value
        except (ValueError, TypeError, AttributeError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> UserError:
        return UserError(
            f"{self._path}: the answer cache cannot be used ({error}); free space or permissions if"
            " that is the cause, else move the file away (its answers are paid again)"
        )
