"""A file of records that only grows, a block at a time, and survives a kill: JSON lines in
Zstandard frames.

A frame is a block of records, so whatever a kill leaves is whole frames and at most one torn one,
which `recover` cuts off. The bytes depend on the records alone, not on how often the writing was
interrupted."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import zstandard

from divsyn_jax.base import owned_folders

# Records in a frame: what a kill can lose.
BLOCK = 1000
_LEVEL = 9


def recover(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yield the records of the whole frames of `path` (none where there is no file); then what
    follows them is cut off.
    """
    with owned_folders.open_kept(path, "r+b") as file:
        end = 0
        while text := _frame(file, end):
            end = file.tell()
            yield from map(json.loads, text.splitlines())
        file.truncate(end)


def _frame(file, start: int) -> bytes:
    """The content of the frame at `start`, with the file left at its end; empty where no whole
    frame follows.
    """
    file.seek(start)
    frame, content = zstandard.ZstdDecompressor().decompressobj(), b""
    while not frame.eof:
        chunk = file.read(1 << 16)
        if not chunk:
            return b""
        try:
            content += frame.decompress(chunk)
        except zstandard.ZstdError:
            return b""
    file.seek(-len(frame.unused_data), os.SEEK_CUR)
    return content


class RecordWriter:
    """Appends records to `path` in blocks; a context whose regular end writes the last block."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = owned_folders.open_kept(path, "ab")
        self._lines: list[str] = []

    def write(self, record: Mapping[str, Any]) -> None:
        """Add one record; it is safe on disk when its block is full, or at the end."""
        self._lines.append(json.dumps(record, ensure_ascii=False) + "\n")
        if len(self._lines) == BLOCK:
            self._write_block()

    def _write_block(self) -> None:
        if self._lines:
            self._file.write(
                zstandard.ZstdCompressor(level=_LEVEL).compress("".join(self._lines).encode())
            )
            self._file.flush()
            os.fsync(self._file.fileno())
            self._lines = []

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._write_block()
        self._file.close()
