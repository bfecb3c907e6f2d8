"""Vectors kept in one SQLite file, and believed only when they prove whole.

Shapes: N vectors, E embedding dimensions.
"""

import contextlib
import hashlib
import os
import pathlib
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from divsyn_jax.base.commandline import UserError

FILE = "embeddings.sqlite"
_KEYS_A_QUERY = 500
_UNIT = 0.01  # how far a stored vector's length may be from 1; float16 moves it by 0.0005 at most


class VectorStore:
    """Unit vectors by key in one SQLite file that its owner alone can read.

    float16: it moves a cosine by about 1.5e-5 (measured), far under the noise of bfloat16
    arithmetic (5e-4) and the step between thresholds (0.05), and halves the file. Every commit is a
    transaction, so a kill leaves a whole store. A row carries the digest of its key and content: a
    row that was cut, altered or moved to another key is not returned but counted in `damaged`.

    Args:
      directory: of the file, made where it is missing; None keeps the vectors in memory.

    Raises:
      UserError: the file cannot be made, or is not a database.
    """

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        self.damaged = 0
        self.path = ":memory:" if directory is None else str(pathlib.Path(directory) / FILE)
        with self._named_errors():
            if directory is not None:
                pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
                _keep_private(self.path)
            self._database = sqlite3.connect(self.path, timeout=60)
            # The table of 0.1.0, `vectors`, carries no digests; it is neither read nor touched.
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS unit_vectors"
                " (key BLOB PRIMARY KEY, vector BLOB NOT NULL, digest BLOB NOT NULL)"
            )

    def get(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """The stored vectors ([E] float16) among `keys`; damaged ones are left out."""
        wanted = list(keys)
        found: dict[bytes, np.ndarray] = {}
        with self._named_errors():
            for start in range(0, len(wanted), _KEYS_A_QUERY):
                part = wanted[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, vector, digest FROM unit_vectors WHERE key IN ({marks})"
                for key, content, digest in self._database.execute(query, part):
                    vector_E = _believed(key, content, digest)
                    if vector_E is None:
                        self.damaged += 1
                    else:
                        found[key] = vector_E
        return found

    def add(self, keys: Sequence[bytes], vectors_NE: np.ndarray) -> None:
        """Store vectors in one transaction; a key that another process stored meanwhile, or that
        was damaged, gets the new vector, which is the same up to rounding.
        """
        rows = []
        for key, vector_E in zip(keys, vectors_NE, strict=True):
            content = vector_E.astype("<f2").tobytes()
            rows.append((key, content, _digest(key, content)))
        with self._named_errors(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO unit_vectors VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            remedy = "remove it or name another --embedding_cache"
            raise UserError(f"{self.path}: embedding cache unusable ({error}); {remedy}") from None


def _keep_private(path: str) -> None:
    """Make the file readable by its owner alone: vectors tell much of the texts behind them."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _digest(key: bytes, content: bytes) -> bytes:
    return hashlib.sha256(key + content).digest()[:16]


def _believed(key: bytes, content: object, digest: object) -> np.ndarray | None:
    """The vector of a row, or None when it is not what was written."""
    if not isinstance(content, bytes) or not content or len(content) % 2:
        return None
    if digest != _digest(key, content):
        return None
    vector_E = np.frombuffer(content, "<f2")
    length = float(np.linalg.norm(vector_E.astype(np.float32)))
    return vector_E if abs(length - 1) < _UNIT else None  # False for nan, too
