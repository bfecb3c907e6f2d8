"""What strangers wrote is shown, not obeyed.

A terminal obeys escape sequences (colours, titles, the clipboard), and text direction marks turn
numbers around; names of files and fields, messages of servers and of templates may hold both."""

import re

# C0 and C1 controls and DEL; marks of direction and other invisible format characters; line and
# paragraph separators; halves of surrogate pairs, which no terminal can be sent; and the tags that
# spell text invisibly. Tab and line feed stay.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    r"""`text` with every character that a terminal obeys, or that is not seen, as its escape, such as
    `\x1b` or `\u202e`.

    Tab and line feed stay; what is visible already is left as it is."""
    return _OBEYED.sub(_escape, text)


def one_line(text: str, longest: int = 10_000) -> str:
    """`visible(text)` on one line of at most `longest` characters; what is cut is counted."""
    line = visible(" ".join(text.splitlines()))
    if len(line) <= longest:
        return line
    return f"{line[:longest]}... ({len(line) - longest:,} characters more)"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
