"""The formats of the grammar: how a passage is laid out on the page, whatever its style.

A style has a layout of its own (an essay's paragraphs, a guide's numbered steps). A format takes
the passage's sentences, without that layout, and lays them out anew, so that register and layout
are two factors. The words are the same in every format, but for a few headings."""

import dataclasses
import re
from collections.abc import Callable, Sequence

from divsyn_jax.synthesis.grammar.sentences import sentence

# A sentence ends at a closing mark, perhaps inside quotation marks or brackets, before a capital.
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)[\"')]*\s+(?=[\"'(]?[A-Z0-9])")
_NUMBERED = re.compile(r"^\d+\. ")
_WORD = re.compile(r"\S*[^\W\d_]\S*")
_ENDS = (".", "!", "?", ":", ",", ";")
_HEADINGS = ("Beginning", "Middle", "End")


@dataclasses.dataclass(frozen=True)
class Format:
    """A way to lay out: its name, the function from sentences to text, and the words it adds."""

    name: str
    lay_out: Callable[[Sequence[str]], str]
    added_words: int = 0


def in_format(text: str, layout: Format) -> str:
    """A passage laid out in `layout`."""
    return layout.lay_out(flattened(text))


def flattened(text: str) -> list[str]:
    """The sentences of a passage, without its layout: numbers of steps are left out, a title is a
    sentence."""
    units = []
    for line in text.split("\n"):
        line = _NUMBERED.sub("", line).strip()
        if line:
            units += _sentences(line)
    return [unit if unit.rstrip("\"')").endswith(_ENDS) else sentence(unit) for unit in units]


def _sentences(line: str) -> list[str]:
    found, start = [], 0
    for end in _SENTENCE_END.finditer(line):
        found.append(line[start : end.end()].strip())
        start = end.end()
    return [*found, line[start:]]


def words_of_text(text: str) -> int:
    """The number of white-space separated words that hold a letter: marks and numbers of a layout
    do not count."""
    return sum(1 for _ in _WORD.finditer(text))


def _thirds(sentences: Sequence[str]) -> list[Sequence[str]]:
    size = -(-len(sentences) // len(_HEADINGS))
    return [sentences[start : start + size] for start in range(0, len(sentences), size)]


def _running(sentences: Sequence[str]) -> str:
    return " ".join(sentences)


def _bulleted(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in sentences)


def _sections(sentences: Sequence[str]) -> str:
    return "\n\n".join(
        f"## {heading}\n\n{' '.join(part)}"
        for heading, part in zip(_HEADINGS, _thirds(sentences), strict=False)
    )


def _numbered(sentences: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(sentences, start=1))


def _spaced_lines(sentences: Sequence[str]) -> str:
    return "\n\n".join(sentences)


def _table(sentences: Sequence[str]) -> str:
    rows = [f"| {number} | {text} |" for number, text in enumerate(sentences, start=1)]
    return "\n".join(["| - | - |", *rows])


def _quoted(sentences: Sequence[str]) -> str:
    return "\n>\n".join("> " + " ".join(part) for part in _thirds(sentences))


def _outline(sentences: Sequence[str]) -> str:
    return "\n".join(
        f"* {part[0]}" + "".join(f"\n    * {text}" for text in part[1:])
        for part in _thirds(sentences)
    )


GRAMMAR_FORMATS = (
    Format("running text", _running),
    Format("bulleted list", _bulleted),
    Format("headed sections", _sections, len(_HEADINGS)),
    Format("numbered list", _numbered),
    Format("spaced lines", _spaced_lines),
    Format("table", _table),
    Format("quotation", _quoted),
    Format("outline", _outline),
)
