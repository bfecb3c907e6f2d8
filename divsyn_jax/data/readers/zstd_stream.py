"""Reading Zstandard files as a stream, in memory that the reader bounds and not the file."""

import io
from typing import IO, TYPE_CHECKING, cast

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_CONTENT_SIZE_BYTES, _DICTIONARY_BYTES = (0, 2, 4, 8), (0, 1, 2, 4)
_RLE = 1


class ZstdStream(io.RawIOBase):
    """Decompresses concatenated Zstandard frames and, unlike zstandard's own reader, reports a
    truncated last frame.

    No more is unpacked at a time than is asked for: a few kilobytes of a file may stand for
    gigabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = _Frames(file)
        # Archives are packed with windows of up to 2 GiB (zstd --long=31).
        self._reader = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(
            cast(IO[bytes], self._file), read_size=1 << 17, read_across_frames=True
        )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        count = self._reader.readinto(buffer)
        if not count and not self._file.is_between_frames:
            raise EOFError("compressed file ended before the end-of-frame marker was reached")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Frames:
    """A file that follows the frames and blocks in what is read from it (RFC 8878, section 3.1).

    The decompressor does not say whether its input ended inside a frame."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._skip = 0  # bytes until the next header
        self._header = b""  # what has been read of it
        self._wanted, self._next = 4, self._magic
        self._checksum = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether what was read so far is whole frames."""
        return self._next == self._magic and not self._skip and not self._header

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the file."""
        data = self._file.read(size)
        place = 0
        while place < len(data):
            if self._skip:
                taken = min(self._skip, len(data) - place)
                self._skip -= taken
            else:
                taken = min(self._wanted - len(self._header), len(data) - place)
                self._header += data[place : place + taken]
                if len(self._header) == self._wanted:
                    header, self._header = self._header, b""
                    self._next(header)
            place += taken
        return data

    def close(self) -> None:
        self._file.close()

    def _magic(self, header: bytes) -> None:
        number = int.from_bytes(header, "little")
        if number == _MAGIC:
            self._wanted, self._next = 1, self._descriptor
        elif number & ~0xF == _SKIPPABLE:
            self._wanted, self._next = 4, self._skippable
        # Anything else the decompressor refuses.

    def _skippable(self, header: bytes) -> None:
        self._skip = int.from_bytes(header, "little")
        self._wanted, self._next = 4, self._magic

    def _descriptor(self, header: bytes) -> None:
        (descriptor,) = header
        single_segment = bool(descriptor & 0x20)
        content_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or int(single_segment)
        self._checksum = 4 if descriptor & 4 else 0
        self._skip = (not single_segment) + _DICTIONARY_BYTES[descriptor & 3] + content_size
        self._wanted, self._next = 3, self._block

    def _block(self, header: bytes) -> None:
        fields = int.from_bytes(header, "little")
        is_last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        self._skip = 1 if kind == _RLE else size
        if is_last:
            self._skip += self._checksum
            self._wanted, self._next = 4, self._magic
