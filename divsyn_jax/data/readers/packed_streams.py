"""Files as streams of what they hold unpacked: gzip, Zstandard, bzip2, xz or plain."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, cast

import zstandard

from divsyn_jax.base import remote
from divsyn_jax.data.readers.mistaken_files import check_text
from divsyn_jax.data.readers.zstd_stream import ZstdStream

PACKED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
# What a damaged or truncated file raises, whatever packed it.
DAMAGES = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError)
_CHUNK = 1 << 17
_HEAD = 512  # bytes: the first header of a tar archive
_XZ_MEMORY = (2 << 30) + (64 << 20)  # bytes; as much as the widest window of zstd --long=31


def open_unpacked(path: str, packing: str | None = None) -> IO[bytes]:
    """The file at a path or URL, unpacked by its suffix, or by `packing` (a suffix)."""
    stream: IO[bytes] = remote.open_file(path) if remote.is_remote(path) else open(path, "rb")
    name = (path if packing is None else packing).lower()
    if name.endswith(".gz"):
        return cast(IO[bytes], gzip.open(stream, "rb"))
    if name.endswith((".zst", ".zstd")):
        return cast(IO[bytes], io.BufferedReader(ZstdStream(stream), buffer_size=1 << 20))
    if name.endswith(".bz2"):
        return _buffered(stream, bz2.BZ2Decompressor)
    if name.endswith(".xz"):
        return _buffered(stream, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))
    return stream


def open_text(path: str, packing: str | None = None) -> IO[bytes]:
    """`open_unpacked` of a file of text. Raises `UserError` where it begins like something else, an
    archive for instance, whose members would be read as if they were its lines.
    """
    stream = open_unpacked(path, packing)
    try:
        if isinstance(stream, io.BufferedReader | gzip.GzipFile):
            head = stream.peek(_HEAD)
        else:  # of a store
            head = stream.read(_HEAD)
            stream.seek(0)
        check_text(path, head)
    except BaseException:
        stream.close()
        raise
    return stream


_Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor


def _buffered(file: IO[bytes], make: Callable[[], _Decompressor]) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_ConcatenatedStreams(file, make), 1 << 20))


class _ConcatenatedStreams(io.RawIOBase):
    """Decompresses one stream after another and, unlike the standard library's readers, reports
    what follows the last one and is no stream.

    No more is unpacked at a time than is asked for."""

    def __init__(self, file: IO[bytes], make: Callable[[], _Decompressor]) -> None:
        self._file, self._make = file, make
        self._decompressor = make()
        self._is_started = False  # whether the present stream has been given anything

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while True:
            data = b""
            if self._decompressor.eof:
                data = self._decompressor.unused_data
                self._decompressor, self._is_started = self._make(), False
            if not data and self._decompressor.needs_input:
                data = self._file.read(_CHUNK)
                if not data:
                    if self._is_started:
                        raise EOFError("compressed file ended before the end of its last stream")
                    return 0
            if not self._is_started:
                data = data.lstrip(b"\0")  # padding between streams
                if not data:
                    continue
            self._is_started = True
            unpacked = self._decompressor.decompress(data, len(buffer))
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)

    def close(self) -> None:
        self._file.close()
        super().close()
