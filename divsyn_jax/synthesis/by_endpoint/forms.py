"""What an endpoint is asked for in one answer, and what becomes of it: the record of a document, or
why there is none."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from divsyn_jax.synthesis.by_endpoint import templates
from divsyn_jax.synthesis.by_endpoint.flatten import flatten
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid
from divsyn_jax.synthesis.grammar.grammar import BETWEEN_TOPICS, seeded


@dataclasses.dataclass(frozen=True)
class RejectedAnswer:
    """Why a candidate cannot be accepted, whatever the others are."""

    reason: str


class AnswerForm(Protocol):
    """A form of answer.

    Attributes: name: as --form has it. kind: what it makes, as --kind has it. is_plain: whether the
      answer is prose, which no schema shapes.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def is_plain(self) -> bool: ...

    def settings(self) -> dict[str, Any]:
        """What the manifest says of it."""
        ...

    def prompt(self, cell: Cell, candidate: int) -> templates.Prompt:
        """Ask for candidate number `candidate` of a cell."""
        ...

    def record(
        self, prompt: templates.Prompt, cell: Cell, candidate: int, value: Mapping[str, Any]
    ) -> dict[str, Any] | RejectedAnswer:
        """The record of an answer, but for what all records have."""
        ...

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why a record, taken alone, is rejected."""
        ...


@dataclasses.dataclass(frozen=True)
class SchemaForm:
    """A document of passages and a question, by the JSON schema of `templates`."""

    grid: Grid
    gates: Gates
    name: str = "schema"
    kind: str = "documents"
    is_plain: bool = False

    def settings(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"prompt_version": templates.TEMPLATES_VERSION}

    def prompt(self, cell: Cell, candidate: int) -> templates.Prompt:
        """Ask for candidate number `candidate` of a cell."""
        return templates.document_prompt(cell, candidate, self.grid.seed)

    def record(
        self, prompt: templates.Prompt, cell: Cell, candidate: int, value: Mapping[str, Any]
    ) -> dict[str, Any] | RejectedAnswer:
        """The answer's parts as one text."""
        used = (
            [prompt.topic_of_tag[tag] for tag in dict.fromkeys(value["topics"])]
            if "topics" in value
            else []
        )
        return {
            "text": flatten(value, seeded(f"flatten/{cell.name}", self.grid.seed, candidate)),
            "template": self.grid.template,
            "topic": BETWEEN_TOPICS.join(used or [cell.topics[0].name]),
            "style": cell.style,
            "persona": prompt.persona_of_tag[value["persona"]] if "persona" in value else "neutral",
            "generator": self.grid.models[cell.model],
            "keywords": sorted(
                {keyword for passage in value["passages"] for keyword in passage["keywords"]}
            ),
        }

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why a record, taken alone, is rejected."""
        return self.gates.fault(record["text"])
