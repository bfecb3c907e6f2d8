"""Records of JSON files: an object a line, or one array (or several objects) over many lines.

Shapes of memory: a line, or an item of an array, is held whole and no more than that.
"""

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.lines import LONGEST_LINE, TooLong, bounded_lines
from divsyn_jax.data.readers.packed_streams import open_text
from divsyn_jax.data.readers.records import Malformed, Unreadable

_BOM = b"\xef\xbb\xbf"
# Around an object: white space, NUL padding of copied files, the separator of JSON text sequences.
_PADDING = b" \t\r\n\0\x1e"
_CHUNK = 1 << 20


def jsonl_records(path: str, packing: str | None = None) -> Iterator[tuple[str, bytes | TooLong]]:
    """(`file:line`, bytes) of every line that is not blank; `TooLong` for one over `LONGEST_LINE`.

    A byte order mark may open any line: files are joined by cat.
    """
    with open_text(path, packing) as stream:
        for number, line in enumerate(bounded_lines(stream), 1):
            if isinstance(line, TooLong):
                yield f"{path}:{number}", line
                continue
            line = line.strip(_PADDING)
            if line.startswith(_BOM):
                line = line.removeprefix(_BOM).strip(_PADDING)
            if line:
                yield f"{path}:{number}", line


def parsed_line(line: bytes) -> Any:
    """The value of a line of JSON. Raises `Malformed`, saying why it is none."""
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 (byte {error.start}); convert the file to UTF-8") from None
    except (ValueError, RecursionError) as error:
        # The error of json itself, or a number of thousands of digits.
        raise Malformed(f"not JSON ({_why(error)}); one object a line is expected") from None


def is_spread_out(path: str, packing: str | None = None) -> bool:
    """Whether a JSON file is an array, or holds objects that are no lines: it begins with a
    bracket, or its first line is no whole value and the next one does not begin an object."""
    with open_text(path, packing) as stream:
        head = stream.read(1 << 16).removeprefix(_BOM).lstrip(_PADDING)
    if head[:1] == b"[":
        # A file of lines that are arrays is none of ours, but is named line by line.
        first = head.partition(b"\n")[0].rstrip(b"\r")
        following = head.partition(b"\n")[2].lstrip(_PADDING)[:1]
        return not (first.endswith(b"]") and following in (b"[", b"{"))
    if head[:1] != b"{":
        return False
    first, _, rest = head.partition(b"\n")
    return first.strip() == b"{" or (
        first.rstrip().endswith((b",", b"{", b"[")) and rest.lstrip()[:1] in (b'"', b"{", b"}")
    )


def spread_records(
    path: str, packing: str | None = None
) -> Iterator[tuple[str, "dict[str, Any] | list[Any] | str | Unreadable | Any"]]:
    """(`file:line[item]`, value) of every item of an array, or of every value in turn.

    The item counts from 0. Raises `UserError` where the file stops being JSON: what follows cannot
    be told apart.
    """
    with open_text(path, packing) as stream:
        values = _Values(path, stream)
        is_array = values.next_character() == "["
        if is_array:
            values.skip("[")
        number = 0
        while (first := values.next_character()) and first != "]":
            where = f"{path}:{values.line}[{number}]"
            yield where, values.value(where)
            number += 1
            if is_array and values.next_character() != "]":
                values.skip(",")
        if is_array:
            values.skip("]")
            if values.next_character():
                raise UserError(
                    f"{path}:{values.line}: not JSON (more follows the end of the array); give"
                    " one array, or one object a line"
                )


class _Values:
    """A stream of characters from which JSON values are taken."""

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream
        # Bytes that are no UTF-8 become half surrogates, which are found in the value that has
        # them.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._decoder = json.JSONDecoder()
        self._text, self._place, self._is_over = "", 0, False
        self.line = 1  # of the next character

    def next_character(self) -> str:
        """The next one that is no white space; '' at the end."""
        while True:
            rest = self._place
            while rest < len(self._text) and self._text[rest] in " \t\r\n\0\x1e\ufeff":
                rest += 1
            self._advance(rest)
            if rest < len(self._text):
                return self._text[rest]
            if not self._more(_CHUNK):
                return ""

    def skip(self, character: str) -> None:
        """Pass a character that must come next."""
        found = self.next_character()
        if found != character:
            shown = repr(found) if found else "the end of the file"
            raise UserError(
                f"{self._path}:{self.line}: not JSON ({character!r} is expected, not {shown});"
                " the file is damaged or truncated"
            )
        self._advance(self._place + 1)

    def value(self, where: str) -> Any:
        """The value that begins at the next character."""
        wanted = _CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
                # A number may go on beyond what has been read.
                if end < len(self._text) or not self._more(_CHUNK):
                    break
                continue
            except RecursionError:
                raise UserError(f"{where}: not JSON (nested too deeply)") from None
            except ValueError as error:
                if len(self._text) - self._place > LONGEST_LINE:
                    raise UserError(
                        f"{where}: not JSON ({_why(error)}), or longer than"
                        f" {LONGEST_LINE >> 20} MiB; split it"
                    ) from None
                if not self._more(wanted):
                    raise UserError(f"{where}: not JSON ({_why(error)})") from None
                wanted *= 2
        source = self._text[self._place : end]
        self._advance(end)
        if not source.isascii():
            try:
                source.encode("utf-8")
            except UnicodeEncodeError:
                return Unreadable("not UTF-8; convert the file to UTF-8")
        return value

    def _advance(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _more(self, characters: int) -> bool:
        """Whether there was more to read."""
        if self._is_over:
            return False
        data = self._stream.read(characters)
        self._is_over = not data
        self._text = self._text[self._place :] + self._decode(data, final=self._is_over)
        self._place = 0
        return not self._is_over


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(getattr(error, "msg", error))
