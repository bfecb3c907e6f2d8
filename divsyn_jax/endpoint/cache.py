"""Paid answers on disk, so that a crashed or repeated run pays for nothing twice.

SQLite in WAL mode, one transaction an answer: a killed process loses only the calls in flight. Rows
hold JSON and no
secret: the request as it was keyed, the valid answer, and what it took. Failures are not kept; they
may succeed again."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class Cache:
    """Answers by key, and facts learned about endpoints. `path` None keeps them in memory.

    Raises `UserError` when the file cannot be used.
    """

    def __init__(self, path: Path | None):
        self._path = path
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
            "SELECT value, request_id, prompt_tokens, completion_tokens FROM answers WHERE key=?",
            (key,),
        )
        return Paid(self._json(row[0]), *row[1:]) if row else None

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
        row = self._one("SELECT value FROM facts WHERE key=?", (answer_key(about),))
        return self._json(row[0]) if row else None

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

    def _json(self, text: str) -> dict[str, Any]:
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> UserError:
        return UserError(
            f"{self._path}: the answer cache cannot be used ({error}); free space or permissions if"
            " that is the cause, else move the file away (its answers are paid again)"
        )
