"""A document taken apart for the facets: the lines of its layout, and its text without them.

A line has one kind: what a reader sees with the words blotted out. The running text is what is left
when the marks of the layout are taken away, so that a list and a paragraph of the same sentences
have the same one."""

import dataclasses
import re

_FENCE = re.compile(r"^\s*(```|~~~)")
_MARKS = (
    ("rule", re.compile(r"^\s*(?:[-*_=#] ?){3,}\s*$")),
    ("heading", re.compile(r"^\s{0,3}#{1,6}\s+")),
    ("table", re.compile(r"^\s*\|(?:.*\|)?\s*")),
    ("quote", re.compile(r"^\s*>+\s?")),
    ("bullet", re.compile(r"^\s*[-*+•‣–]\s+")),
    ("numbered", re.compile(r"^\s*(?:\(?\d{1,3}[.):]|\(?[a-zA-Z][.)])\s+")),
    ("label", re.compile(r"^\s*(?:\*\*|__)?[A-Z][\w'.-]*(?: [\w'.-]+){0,3}:(?:\*\*|__)?\s")),
)
_INDENT = re.compile(r"^(?: {4}|\t)")
_TAG = re.compile(r"^\s*</?[A-Za-z][^>]*>\s*$")
_LETTER = re.compile(r"[^\W\d_]")
_EMPHASIS = re.compile(r"(\*\*|__|`)")
_CODE = re.compile(
    r"^\s*(?:import [\w.]+\s*$|def \w+\(|class \w+[(:]|#include\b|from [\w.]+ import )"
)
_CLOSING = re.compile(r"[.!?:;,\"')\]]\s*$")
SHORT_WORDS = 8  # of a line that may be a title, if nothing closes it

# Every kind of line there is, in the order in which a line is tried.
LINE_KINDS = (
    "blank", "code", "rule", "heading", "table", "quote", "bullet", "numbered", "indented item",
    "label", "tag", "title", "prose",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TextParts:
    """A document taken apart.

    Attributes:
      kinds: of every line, blank ones among them (`LINE_KINDS`).
      sizes: words of every line.
      running: the text without the marks of its layout, code left out.
    """

    kinds: tuple[str, ...]
    sizes: tuple[int, ...]
    running: str


def text_parts(text: str) -> TextParts:
    """The parts of a document."""
    kinds: list[str] = []
    sizes: list[int] = []
    running: list[str] = []
    in_code = False
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        if fence or in_code:
            in_code = in_code != fence
            kind, rest = "code", ""
        else:
            kind, rest = _line(line)
        kinds.append(kind)
        sizes.append(len(line.split()))
        if rest:
            running.append(rest)
    return TextParts(tuple(kinds), tuple(sizes), " ".join(running))


def _line(line: str) -> tuple[str, str]:
    """The kind of a line, and its words without the marks."""
    if not line.strip():
        return "blank", ""
    indented = _INDENT.match(line) is not None
    for kind, mark in _MARKS:
        if not (found := mark.match(line)):
            continue
        if kind == "rule":
            return kind, ""
        if kind == "label":
            return kind, _plain(line)
        rest = line[found.end() :]
        if kind == "table":
            cells = [cell.strip() for cell in line.split("|") if _LETTER.search(cell)]
            return kind, _plain(" ".join(cells))
        if indented and kind in ("bullet", "numbered"):
            return "indented item", _plain(rest)
        return kind, _plain(rest)
    if _TAG.match(line):
        return "tag", ""
    if indented or _is_code(line):
        return "code", ""
    short = len(line.split()) <= SHORT_WORDS and not _CLOSING.search(line)
    return ("title" if short else "prose"), _plain(line)


def _is_code(line: str) -> bool:
    """Whether a line reads as a statement of a program; a line of prose may end in a semicolon."""
    end = line.rstrip()
    statement = end.endswith(";") and ("(" in end or "=" in end)
    return statement or end.endswith(("{", "}")) or _CODE.match(line) is not None


def _plain(text: str) -> str:
    return _EMPHASIS.sub("", text).strip()
