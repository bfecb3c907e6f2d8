"""What strangers wrote is shown, not obeyed.

A terminal obeys escape sequences (colours, titles, the clipboard), and marks of direction turn
numbers around; names of files and fields, messages of servers and of templates may hold both."""

import re
import sys
import textwrap
from typing import Any, TextIO

# C0 and C1 controls and DEL; marks of direction, characters without width (but the joiners that
# scripts and emoji need), line and paragraph separators; halves of surrogate pairs, which no
# terminal can be sent; and the tags that spell text invisibly. Tab and line feed stay.
_OBEYED_BUT_RETURN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
TERMINAL_COLUMNS = 80  # of a terminal
_OBEYED = re.compile(f"[\r{_OBEYED_BUT_RETURN}]")
_OBEYED_ON_A_STREAM = re.compile(f"[{_OBEYED_BUT_RETURN}]")


def visible(text: str) -> str:
    r"""`text` with every character that a terminal obeys, or that is not seen, as its escape, such
    as `\x1b` or `\u202e`.

    Tab and line feed stay; what is visible already is left as it is. In a JSON text the escapes are
    those of JSON: it keeps its meaning."""
    return _OBEYED.sub(_escape, text)


def one_line(text: str, longest: int = 10_000) -> str:
    """`visible(text)` on one line of at most `longest` characters; what is cut is counted."""
    line = visible(" ".join(text.splitlines()))
    if len(line) <= longest:
        return line
    return f"{line[:longest]}... ({len(line) - longest:,} characters more)"


def for_terminal(text: str, hanging: int = 0) -> str:
    """`one_line(text)`, wrapped at `TERMINAL_COLUMNS` where a terminal reads it: a program that
    reads the output finds it on one line. `hanging` spaces stand before what is carried over.
    """
    line = one_line(text)
    if not sys.stdout.isatty():
        return line
    return textwrap.fill(
        line,
        TERMINAL_COLUMNS,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


class VisibleStream:
    """A text stream that is written `visible` text, whoever writes: messages, tables and progress
    bars (which need the carriage return).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`; returns its length."""
        self._stream.write(_OBEYED_ON_A_STREAM.sub(_escape, text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write every one of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_output() -> None:
    """Let this process write nothing to its terminal that a terminal obeys."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, VisibleStream):
            setattr(sys, name, VisibleStream(stream))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return f"\\x{code:02x}"
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
