"""Lines of a stream, none of them longer than memory should hold."""

from collections.abc import Iterator
from typing import IO

# A document of 64 MiB is about fifty books; a longer line is damaged or made to fill the memory.
LONGEST_LINE = 64 << 20
_CHUNK = 1 << 20


class TooLong:
    """Stands for a line, paragraph or file that is longer than `LONGEST_LINE`."""


TOO_LONG = TooLong()


def bounded_lines(stream: IO[bytes], longest: int = LONGEST_LINE) -> Iterator[bytes | TooLong]:
    """Every line of `stream` without its line feed; `TOO_LONG` in place of one of over `longest`
    bytes, which is never held whole.
    """
    parts: list[bytes] = []  # of the line that has not ended
    held = 0
    while chunk := stream.read(min(_CHUNK, longest)):
        first, *rest = chunk.split(b"\n")
        held += len(first)
        if held <= longest:
            parts.append(first)
        else:
            parts.clear()
        if not rest:
            continue
        yield b"".join(parts) if held <= longest else TOO_LONG
        *whole, last = rest
        yield from whole  # within one chunk, so shorter than any limit
        parts, held = [last], len(last)
    if held:
        yield b"".join(parts) if held <= longest else TOO_LONG
