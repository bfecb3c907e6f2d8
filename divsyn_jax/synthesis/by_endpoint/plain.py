"""Documents in prose, for models that cannot write JSON: what to write about stands in the prompt,
and all of the answer is the document.

Topic, style, persona and audience are chosen here, since the answer cannot name them. Raise
`PLAIN_VERSION` with every change of wording."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from divsyn_jax.endpoint.fence import quoted
from divsyn_jax.endpoint.request import PLAIN_SCHEMA, Request
from divsyn_jax.synthesis.by_endpoint.forms import RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid
from divsyn_jax.synthesis.by_endpoint.templates import Prompt
from divsyn_jax.synthesis.grammar.grammar import BETWEEN_TOPICS, seeded
from divsyn_jax.synthesis.grammar.sentences import with_article

PLAIN_VERSION = 1
CUT = "cut_at_length_limit"
_KEYWORDS = 2  # of a topic's that one document is asked to turn on
_SEED_CHARACTERS = 200  # of a topic, keyword or persona in the prompt
# English prose takes 1.2 to 1.5 tokens a word; a writer that says more than was asked is cut.
_TOKENS_PER_WORD = 2
_LEAST_TOKENS = 48
_LEAST_KEPT = 0.5  # of a text that was cut and ends at its last sentence
_SYSTEM = "You write short texts from which people learn."
_ARTICLE = re.compile(r"(?:an?|the|one|some)\b|[A-Z][a-z]+ ", re.ASCII)
_TITLE = re.compile(r"\A[\W_]*title[\W_]*:[^\n]*\n+", re.IGNORECASE)
# What an assistant says in the place of a text.
_TALK = re.compile(
    r"\bI(?: am|['’]m) (?:ready|here|happy|glad|delighted) to (?:assist|help)\b"
    r"|\A\W*(?:sure|certainly|of course|here is|here['’]s)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s|$))|(?:[。！？]+[」』”’）]*)")


@dataclasses.dataclass(frozen=True)
class PlainForm:
    """Prose, without any schema."""

    grid: Grid
    gates: Gates
    name: str = "plain"
    kind: str = "documents"
    is_plain: bool = True

    @property
    def words(self) -> int:
        """How long a document is asked to be: well inside the gates."""
        least, most = self.gates.min_words, self.gates.max_words
        return max(1, min(2 * max(least, 50), (least + most) // 2))

    def settings(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"form": self.name, "prompt_version": PLAIN_VERSION}

    def prompt(self, cell: Cell, candidate: int) -> Prompt:
        """Ask for candidate number `candidate` of a cell."""
        topics, persona, keywords = self._chosen(cell, candidate)
        title = " and ".join(map(_shown, topics))
        if keywords:
            title += f": {' and '.join(map(_shown, keywords))}"
        # One plain order: a small model writes about a list of particulars, not what they ask for.
        readers = "for curious readers"
        if persona:
            readers = f"written by {_somebody(persona)} for people like the writer"
        order = (
            f"Write about {self.words} words of {with_article(cell.style)} titled"
            f' "{title}", {readers}. Write only the text of it, in whole sentences.'
        )
        request = Request(
            purpose="plain_document",
            system=_SYSTEM,
            user=order,
            schema=PLAIN_SCHEMA,
            identity={"cell": cell.name, "candidate": candidate},
            max_output_tokens=max(_LEAST_TOKENS, _TOKENS_PER_WORD * self.words),
            plain=True,
        )
        return Prompt(request, {}, {})

    def record(
        self, prompt: Prompt, cell: Cell, candidate: int, value: Mapping[str, Any]
    ) -> dict[str, Any] | RejectedAnswer:
        """The text; one that the length limit cut ends at its last whole sentence."""
        said = _TITLE.sub("", value["text"])
        text = whole_sentences(said) if value["was_cut"] else said
        if len(text) < _LEAST_KEPT * len(said):
            return RejectedAnswer(CUT)
        if _TALK.search(text):
            return RejectedAnswer("assistant_talk")
        topics, persona, keywords = self._chosen(cell, candidate)
        return {
            "text": text,
            "template": self.grid.template,
            "topic": BETWEEN_TOPICS.join(topics),
            "style": cell.style,
            "persona": persona or "neutral",
            "generator": self.grid.models[cell.model],
            "keywords": sorted(keywords),
            "form": self.name,
        }

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why a record, taken alone, is rejected."""
        return self.gates.fault(record["text"])

    def _chosen(self, cell: Cell, candidate: int) -> tuple[list[str], str, list[str]]:
        """Names of topics, the persona ('' for none) and the keywords of a candidate."""
        random = seeded(f"plain/{cell.name}", self.grid.seed, candidate)
        further = random.sample(cell.topics[1:], random.randint(0, len(cell.topics) - 1))
        persona = random.choice(cell.personas) if cell.personas else ""
        known = cell.topics[0].keywords
        keywords = random.sample(known, min(_KEYWORDS, len(known)))
        return [topic.name for topic in (cell.topics[0], *further)], persona, keywords


def whole_sentences(text: str) -> str:
    """`text` up to the end of its last whole sentence; '' where none ends."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def _shown(seed: str) -> str:
    """A seed, which users and the web write, as one line of a prompt."""
    return quoted(seed[:_SEED_CHARACTERS])


def _somebody(persona: str) -> str:
    """A persona as running text names it; users write theirs with an article, or as sentences."""
    shown = _shown(persona)
    return shown if not shown or _ARTICLE.match(shown) else with_article(shown)
