"""The formats in which a document can be told again, and the prompts that ask for them.

As in WRAP (Maini et al. 2024, arXiv 2401.16380) and Nemotron-CC (Su et al. 2024, arXiv 2412.02595)
one document stands in a prompt; it comes from the web, so it stands in a fence, as data. Raise
`REPHRASING_VERSION` with every change of wording.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from divsyn_jax.endpoint.answers.strict_schema import object_of
from divsyn_jax.endpoint.fence import SYSTEM_NOTE, fence
from divsyn_jax.endpoint.request import Request

REPHRASING_VERSION = 1
_MAX_OUTPUT_TOKENS = 4000
_TEXT = {"type": "string"}


@dataclasses.dataclass(frozen=True)
class RephrasingFormat:
    """One way to tell a document again.

    Attributes:
      name: as --formats names it.
      wanted: what it is, for the prompt.
      mark: what every text of it contains so often at least.
      least: how often.
      lacking: what to tell a writer whose text lacks it.
    """

    name: str
    wanted: str
    mark: re.Pattern[str]
    least: int
    lacking: str


def _format(
    name: str, wanted: str, mark: str = r"\S", least: int = 1, lacking: str = "Write a text."
) -> RephrasingFormat:
    return RephrasingFormat(name, wanted, re.compile(mark, re.MULTILINE), least, lacking)


REPHRASING_FORMATS: Mapping[str, RephrasingFormat] = {
    each.name: each
    for each in (
        _format(
            "faq",
            "a page of questions that a reader would ask, each followed by its answer",
            r"[?？؟]",
            2,
            "Ask at least two questions.",
        ),
        _format(
            "table",
            "a Markdown table of what the document states, below a sentence on what it shows",
            r"^\s*\|.*\|\s*$",
            3,
            "Write a Markdown table: a heading, the line under it, and rows.",
        ),
        _format(
            "tutorial",
            "a tutorial that leads a learner through the content in numbered steps",
            r"^\s*(?:\W*step\s+)?\d+\s*[.):]",
            2,
            "Number at least two steps, each on a line of its own.",
        ),
        _format("textbook", "a passage of a textbook: definitions before use, plain sentences"),
        _format(
            "dialogue",
            "a conversation of two people, one of whom explains the content to the other",
            r"^[^\n:：]{1,40}[:：]\s*\S",
            4,
            "Write at least four turns, each on a line that begins with the speaker and a colon.",
        ),
        _format(
            "encyclopaedia", "an encyclopaedia entry: neutral, dense, no address of the reader"
        ),
        _format(
            "summary", "a summary for readers with little time: what matters, in full sentences"
        ),
        _format(
            "notes",
            "lecture notes: short points in the order of the document",
            r"^\s*[-*\u2022]\s+\S",
            3,
            "Write at least three points, each on a line that begins with a hyphen.",
        ),
    )
}


def rephrasing_prompt(
    source: str, form: RephrasingFormat, cell: str, candidate: int, seed: int, characters: int
) -> Request:
    """Ask for candidate number `candidate` of a document in a format."""
    shown = fence([source], f"{seed} {candidate} {cell}", characters)

    def check(value: Mapping[str, Any]) -> list[str]:
        found = len(form.mark.findall(value["text"]))
        return [] if found >= form.least else [form.lacking]

    return Request(
        purpose="rephrase",
        system=(
            "You tell what a document says in another form, for readers who do not have it. You add"
            f" nothing and change nothing.\n{SYSTEM_NOTE}"
        ),
        user=(
            f"Tell the document below again as {form.wanted}.\n"
            "1. State only what the document states. Every name, number, date and unit in your text"
            " stands in the document as you write it; leave out what you are not sure of.\n"
            "2. What the document denies stays denied, what it doubts stays doubtful.\n"
            "3. Use your own words, not the document's sentences. Do not mention the document, its"
            " author or this task.\n"
            "4. Write in the language of the document. Under `text` give the text alone.\n\n"
            f"{shown.text}"
        ),
        schema=object_of({"text": _TEXT}),
        identity={"cell": cell, "candidate": candidate},
        check=check,
        max_output_tokens=_MAX_OUTPUT_TOKENS,
    )


def entailment_prompt(source: str, text: str, cell: str, seed: int, characters: int) -> Request:
    """Ask a judge whether a rephrasing states only what its source states."""
    shown = fence([source, text], f"{seed} entailment {cell}", characters)
    original, told = shown.tags
    return Request(
        purpose="entailment",
        system=f"You check whether one text follows from another.\n{SYSTEM_NOTE}",
        user=(
            f"Does document {original} support everything that document {told} states? Compare"
            " every number, date, name, denial, cause and comparison. Form, order, headings and"
            " what is left out do not matter. Under `unsupported` quote the first statement of"
            f" {told} that {original} does not support, or leave it empty; under `verdict` say"
            " supported or unsupported.\n\n" + shown.text
        ),
        schema=object_of(
            {
                "unsupported": _TEXT,
                "verdict": {"type": "string", "enum": ["supported", "unsupported"]},
            }
        ),
        identity={"judged": cell},
        max_output_tokens=500,
    )
