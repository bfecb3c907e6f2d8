"""Instructions and multiple-choice items by an endpoint: for fine-tuning and evaluation sets whose
diversity is set.

Raise `ASKED_VERSION` with every change of wording."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.words import count_words
from divsyn_jax.endpoint.answers.strict_schema import list_of, object_of
from divsyn_jax.endpoint.fence import SYSTEM_NOTE, fence
from divsyn_jax.endpoint.request import Request
from divsyn_jax.synthesis.by_endpoint.forms import RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid
from divsyn_jax.synthesis.by_endpoint.templates import ITEM_OPTIONS, PAPER_STYLES, Prompt
from divsyn_jax.synthesis.grammar.grammar import seeded

ASKED_VERSION = 1
_SEED_CHARACTERS = 1000  # of a seed that a prompt shows
_TEXT = {"type": "string"}
_TURN = re.compile(r"^\W*(?:user|assistant|human|system)\W*:", re.IGNORECASE | re.MULTILINE)
# Choices are shuffled: none may speak of the others, or bear a letter.
_OF_OTHERS = re.compile(
    r"\b(?:all|none|both|neither|either|any) of (?:the|these|them|those)\b|\boptions? [A-D1-4]\b"
    r"|\b(?:above|below)\b",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"\s*[(\[]?[A-Da-d1-4][.):\]]\s")
# What an instruction asks for, in turn: one wish for all would be what all of them share.
INSTRUCTION_TASKS: Mapping[str, str] = {
    "explain": "asks to explain something",
    "question": "asks a factual question",
    "steps": "asks how something is done, step by step",
    "compare": "asks to compare two things",
    "advice": "describes a situation and asks for advice",
    "example": "asks for an example, worked out",
    "error": "states something that is not quite true and asks whether it is",
    "list": "asks for a short list with a reason for each entry",
}


def _fenced(cell: Cell, seed: str) -> str:
    shown = [topic.describe() for topic in cell.topics]
    shown += [f"persona: {persona}" for persona in cell.personas]
    return fence(shown, seed, _SEED_CHARACTERS).text


def _who(cell: Cell) -> str:
    if not cell.personas:
        return ""
    several = " one of" if len(cell.personas) > 1 else ""
    return f" It comes from{several} the persona{'s' if several else ''} below, in their words."


def _provenance(grid: Grid, cell: Cell) -> dict[str, Any]:
    return {
        "template": grid.template,
        "topic": cell.topics[0].name,
        "style": cell.style,
        "persona": " | ".join(cell.personas) or "neutral",
        "generator": grid.models[cell.model],
    }


def _about(cell: Cell) -> str:
    return "the topics below together" if len(cell.topics) > 1 else "the topic below"


@dataclasses.dataclass(frozen=True)
class InstructionForm:
    """What a user asks of an assistant, and the answer; the gates' length is the answer's."""

    grid: Grid
    gates: Gates
    name: str = "schema"
    kind: str = "instructions"
    is_plain: bool = False

    def settings(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"prompt_version": ASKED_VERSION}

    def prompt(self, cell: Cell, candidate: int) -> Prompt:
        """Ask for candidate number `candidate` of a cell."""
        manner = f" Its style: {PAPER_STYLES[cell.style]}." if len(self.grid.styles) > 1 else ""
        least, most = self.gates.min_words, self.gates.max_words
        task = INSTRUCTION_TASKS[self._task(cell, candidate)]
        request = Request(
            purpose="instruction",
            system=(
                "You write examples from which an assistant learns to answer. You state nothing"
                f" false.\n{SYSTEM_NOTE}"
            ),
            user=(
                f"Write one exchange about {_about(cell)}. Under `prompt` write what a user says:"
                f" it {task} and can be understood without anything else.{_who(cell)} Under"
                f" `response` write the assistant's answer in {least} to {most} words,"
                f" complete and to the point.{manner} Name neither the persona nor"
                " the documents below.\n\n"
                + _fenced(cell, f"{self.grid.seed} instruction {candidate} {cell.name}")
            ),
            schema=object_of({"prompt": _TEXT, "response": _TEXT}),
            identity={"cell": cell.name, "candidate": candidate},
            check=_check_instruction,
            max_output_tokens=400 + 2 * most,
        )
        return Prompt(request, {}, {})

    def record(
        self, prompt: Prompt, cell: Cell, candidate: int, value: Mapping[str, Any]
    ) -> dict[str, Any] | RejectedAnswer:
        """The two sides, in the keys of the built-in instructions."""
        return {
            "prompt": value["prompt"].strip(),
            "response": value["response"].strip(),
            **_provenance(self.grid, cell),
            "form": self._task(cell, candidate),
        }

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why a record, taken alone, is rejected."""
        return self.gates.fault(record["response"])

    def _task(self, cell: Cell, candidate: int) -> str:
        """The tasks in an order of the cell's own, one after another."""
        order = list(INSTRUCTION_TASKS)
        seeded(f"tasks/{cell.name}", self.grid.seed, 0).shuffle(order)
        return order[candidate % len(order)]


def _check_instruction(value: Mapping[str, Any]) -> list[str]:
    prompt, response = value["prompt"].strip(), value["response"].strip()
    problems = []
    if not prompt or not response:
        problems.append("Prompt and response both need text.")
    elif _plain_words(prompt) == _plain_words(response):
        problems.append("The response must answer the prompt, not repeat it.")
    if _TURN.search(prompt) or _TURN.search(response):
        problems.append("Give one prompt and one response, without names of speakers.")
    return problems


@dataclasses.dataclass(frozen=True)
class ItemForm:
    """A question with choices, one of them right; its length is not gated."""

    grid: Grid
    gates: Gates
    name: str = "schema"
    kind: str = "items"
    is_plain: bool = False

    def settings(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"prompt_version": ASKED_VERSION}

    def prompt(self, cell: Cell, candidate: int) -> Prompt:
        """Ask for candidate number `candidate` of a cell."""
        request = Request(
            purpose="item",
            system=(
                "You write examination questions that have one right answer. You state nothing"
                f" false.\n{SYSTEM_NOTE}"
            ),
            user=(
                f"Write one question about {_about(cell)} that can be answered without any other"
                f" text.{_who(cell)} Under `choices` give {ITEM_OPTIONS} answers, short, alike in"
                " form and length, without letters or numbers before them; one is right and the"
                " others are wrong but tempting. None speaks of another, since they are shuffled."
                " `answer` is the position of the right one, counted from 1; `explanation` says in"
                " a sentence why.\n\n"
                + _fenced(cell, f"{self.grid.seed} item {candidate} {cell.name}")
            ),
            schema=object_of(
                {
                    "question": _TEXT,
                    "choices": list_of(_TEXT, ITEM_OPTIONS),
                    "answer": {"type": "integer", "enum": list(range(1, ITEM_OPTIONS + 1))},
                    "explanation": _TEXT,
                }
            ),
            identity={"cell": cell.name, "candidate": candidate},
            check=_check_item,
            max_output_tokens=600,
        )
        return Prompt(request, {}, {})

    def record(
        self, prompt: Prompt, cell: Cell, candidate: int, value: Mapping[str, Any]
    ) -> dict[str, Any] | RejectedAnswer:
        """The item, its choices shuffled, in the keys of the built-in items."""
        question = value["question"].strip()
        choices = [" ".join(choice.split()) for choice in value["choices"]]
        right = choices[value["answer"] - 1]
        if count_words(right) > 1 and _plain_words(right) in _plain_words(question):
            return RejectedAnswer("answer_in_question")
        seeded(f"choices/{cell.name}", self.grid.seed, candidate).shuffle(choices)
        return {
            "text": question,
            "choices": choices,
            "label": choices.index(right),
            "explanation": value["explanation"].strip(),
            **_provenance(self.grid, cell),
        }

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why a record, taken alone, is rejected."""
        whole = " ".join([record["text"], *record["choices"], record["explanation"]])
        return dataclasses.replace(self.gates, min_words=0, max_words=1000).fault(whole)


def _check_item(value: Mapping[str, Any]) -> list[str]:
    choices = [" ".join(choice.split()) for choice in value["choices"]]
    problems = []
    if not value["question"].strip() or not value["explanation"].strip():
        problems.append("The question needs a text and an explanation.")
    if (
        len(choices) != ITEM_OPTIONS
        or len({_plain_words(choice) for choice in choices}) < ITEM_OPTIONS
        or not all(choices)
    ):
        problems.append(f"Give {ITEM_OPTIONS} different choices.")
    if any(_OF_OTHERS.search(choice) for choice in choices):
        problems.append("No choice may speak of the others.")
    if all(map(_LETTERED.match, choices)):
        problems.append("Give the choices without letters or numbers before them.")
    return problems


def _plain_words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
