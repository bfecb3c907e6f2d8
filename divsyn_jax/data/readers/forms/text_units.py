"""The documents of a text file: the file, its paragraphs or its lines."""

from collections.abc import Iterator
from typing import IO

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.lines import LONGEST_LINE, TOO_LONG, TooLong, bounded_lines
from divsyn_jax.data.readers.packed_streams import open_text
from divsyn_jax.data.readers.records import Unreadable


def text_records(path: str, unit: str) -> Iterator[tuple[str, str | TooLong | Unreadable]]:
    """(`file:line`, text) of every document of a text file; of what is none, why."""
    try:
        opened = open_text(path)
    except UserError as error:  # one of many texts, and so counted
        yield f"{path}:1", Unreadable(str(error).removeprefix(f"{path}: "))
        return
    with opened as stream:
        for number, raw in _text_units(stream, unit):
            where = f"{path}:{number}"
            if isinstance(raw, TooLong):
                yield where, raw
                continue
            try:
                yield where, raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                yield (
                    where,
                    Unreadable(f"not UTF-8 (byte {error.start}); convert the file to UTF-8"),
                )


def _text_units(stream: IO[bytes], unit: str) -> Iterator[tuple[int, bytes | TooLong]]:
    """Line number and bytes of every document of a text file."""
    if unit == "file":
        data = stream.read(LONGEST_LINE + 1)
        yield 1, data if len(data) <= LONGEST_LINE else TOO_LONG
        return
    start, held = 1, 0
    block: list[bytes] = []
    for number, line in enumerate(bounded_lines(stream), 1):
        if unit == "line":
            yield number, line if isinstance(line, TooLong) else line.rstrip(b"\r")
        elif isinstance(line, TooLong) or line.strip():
            start = start if held else number
            held += LONGEST_LINE + 1 if isinstance(line, TooLong) else len(line) + 1
            if isinstance(line, TooLong) or held > LONGEST_LINE:
                block.clear()
            else:
                block.append(line)
        elif held:
            yield start, _paragraph(block, held)
            block, held = [], 0
    if held:
        yield start, _paragraph(block, held)


def _paragraph(lines: list[bytes], held: int) -> bytes | TooLong:
    return b"\n".join(lines).rstrip() if held <= LONGEST_LINE else TOO_LONG
