"""Reading Zstandard files as a stream."""

import io

import zstandard


class ZstdStream(io.RawIOBase):
    """Decompresses concatenated Zstandard frames and, unlike zstandard's own reader, reports a
    truncated last frame.
    """

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._frame = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._ready:
            compressed = self._file.read(1 << 17)
            if not compressed:
                if self._frame is not None:
                    raise EOFError(
                        "compressed file ended before the end-of-frame marker was reached"
                    )
                return 0
            output = []
            while compressed:
                self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
                output.append(self._frame.decompress(compressed))
                compressed = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame = None
            self._ready = memoryview(b"".join(output))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
