"""The header of a GGUF file: its values by key, and where its tensors lie.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little
endian. The library's own reader trusts the counts that a file claims; this one reads no further
than the file goes, and no more than what a model's metadata can be."""

import dataclasses
import pathlib
import struct
from typing import Any, BinaryIO

import numpy as np

from divsyn_jax.base.commandline import UserError

GgufValue = bool | int | float | str | list["GgufValue"] | np.ndarray
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 100_000  # keys, or tensors
_LONGEST_ARRAY = 4_000_000  # tokens and merges of the largest vocabularies are some 600,000
_LONGEST_STRING = 16_000_000  # bytes; chat templates have some thousands
_MOST_DIMENSIONS = 4


@dataclasses.dataclass(frozen=True)
class TensorEntry:
    """A tensor in a GGUF file.

    Attributes:
      shape: as NumPy has it: the last axis is contiguous.
      kind: of quantisation, the number of `gguf.GGMLQuantizationType`.
      offset: of its first byte in the file.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclasses.dataclass(frozen=True)
class GgufHeader:
    """What stands before the weights of the file at `path`, which is of `file_bytes`."""

    path: pathlib.Path
    values: dict[str, GgufValue]
    tensors: dict[str, TensorEntry]
    file_bytes: int

    def value(self, key: str, kinds: tuple[type, ...], default: Any = None) -> Any:
        """A value of one of those types. Raises `UserError` where it is missing or another."""
        found = self.values.get(key, default)
        if found is None:
            raise UserError(f"{self.path}: {key} is missing; not a whole language model")
        if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
            raise UserError(f"{self.path}: {key}={str(found)[:80]!r} cannot be read")
        return found


class _Malformed(Exception):
    """What the file says of itself cannot be."""


def read_gguf_header(path: pathlib.Path) -> GgufHeader:
    """Read the header. Raises `UserError` for a file that is no whole GGUF file."""
    try:
        with open(path, "rb") as file:
            return _Cursor(file, path.stat().st_size).header(path)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (_Malformed, UnicodeDecodeError, RecursionError) as error:
        why = "text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UserError(f"{path}: not a whole GGUF file ({why}); fetch it again") from None


class _Cursor:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def header(self, path: pathlib.Path) -> GgufHeader:
        if self._bytes(4) != _MAGIC:
            raise _Malformed("it does not begin with GGUF")
        version = self._number("<I")
        if version not in _VERSIONS:
            raise _Malformed(f"version {version}; 2 and 3 are read")
        tensors, keys = self._count(_MOST_ENTRIES, "tensors"), self._count(_MOST_ENTRIES, "keys")
        values: dict[str, GgufValue] = {}
        for _ in range(keys):
            key = self._text()
            if key in values:
                raise _Malformed(f"{key[:80]!r} stands in it twice")
            values[key] = self._value(self._number("<I"), key)
        entries = [self._tensor() for _ in range(tensors)]
        if len({name for name, *_ in entries}) < len(entries):
            raise _Malformed("two of its tensors have one name")
        align = values.get("general.alignment", 32)
        # A power of two, as the format says: with any other, weights would be read shifted.
        if type(align) is not int or align not in (1 << bits for bits in range(21)):
            raise _Malformed("general.alignment is no alignment")
        start = -(-self.file.tell() // align) * align
        placed = {
            name: TensorEntry(name, shape, kind, start + offset)
            for name, shape, kind, offset in entries
        }
        return GgufHeader(path, values, placed, self.size)

    def _bytes(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise _Malformed("it ends early")
        return self.file.read(count)

    def _number(self, layout: str) -> int:
        (found,) = struct.unpack(layout, self._bytes(struct.calcsize(layout)))
        return int(found)

    def _count(self, most: int, of: str) -> int:
        found = self._number("<Q")
        if found > most:
            raise _Malformed(f"{found:,} {of}; {most:,} at most")
        return found

    def _text(self) -> str:
        return self._bytes(self._count(_LONGEST_STRING, "bytes of text")).decode()

    def _value(self, kind: int, key: str) -> GgufValue:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array(key)
        if kind not in _SCALARS:
            raise _Malformed(f"{key[:80]!r} is of the unknown type {kind}")
        layout = np.dtype(_SCALARS[kind])
        value: bool | int | float = np.frombuffer(self._bytes(layout.itemsize), layout)[0].item()
        return value

    def _array(self, key: str) -> GgufValue:
        kind, length = self._number("<I"), self._count(_LONGEST_ARRAY, "entries of an array")
        if kind == _STRING:
            return [self._text() for _ in range(length)]
        if kind not in _SCALARS:
            raise _Malformed(f"{key[:80]!r} is an array of the type {kind}")
        layout = np.dtype(_SCALARS[kind])
        return np.frombuffer(self._bytes(layout.itemsize * length), layout)

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text()
        dimensions = self._number("<I")
        if not 0 < dimensions <= _MOST_DIMENSIONS:
            raise _Malformed(f"tensor {name[:80]!r} has {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return name, shape[::-1], self._number("<I"), self._number("<Q")
