"""What documents are written about and for whom:

topics and personas from the user's files, or those the grammar knows.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, Document, ReadOptions
from divsyn_jax.synthesis.grammar.knowledge import topics
from divsyn_jax.synthesis.grammar.personas import personas
from divsyn_jax.synthesis.grammar.sentences import bare

_KEYWORDS = 6  # of a built-in topic


@dataclasses.dataclass(frozen=True)
class TopicSeed:
    """A topic, with what narrows it where that is known."""

    topic: str
    subtopic: str = ""
    keywords: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Topic and subtopic in one."""
        return f"{self.topic}: {self.subtopic}" if self.subtopic else self.topic

    def describe(self) -> str:
        """The seed as a prompt shows it."""
        lines = [f"topic: {self.topic}"]
        if self.subtopic:
            lines.append(f"subtopic: {self.subtopic}")
        if self.keywords:
            lines.append(f"keywords: {', '.join(self.keywords)}")
        return "\n".join(lines)


_Seed = TypeVar("_Seed", TopicSeed, str)


def built_in_topics(count: int) -> list[TopicSeed]:
    """The first so many topics of the grammar."""
    return [
        TopicSeed(topic.name, keywords=tuple(bare(term) for term, _ in topic.terms[:_KEYWORDS]))
        for topic in topics()[:count]
    ]


def built_in_personas(count: int) -> list[str]:
    """The first so many personas of the grammar; the neutral one is none."""
    return [persona.name for persona in personas()[:count] if not persona.neutral]


def read_topics(path: str | os.PathLike) -> list[TopicSeed]:
    """The topics of a text file (one a line) or of JSON lines {topic, [subtopic], [keywords]};
    other fields are left alone.

    Raises `UserError` naming file and line of an entry that cannot be used or is there twice.
    """
    return list(_distinct(path, "topic", _topic))


def read_personas(path: str | os.PathLike) -> list[str]:
    """The personas of a text file (one a line) or of JSON lines {persona}.

    Raises as `read_topics` does.
    """
    return list(_distinct(path, "persona", lambda document: _line(document.text)))


def _distinct(
    path: str | os.PathLike, field: str, parse: Callable[[Document], _Seed]
) -> Iterator[_Seed]:
    """What `parse` makes of each line.

    Cells, and so cached answers, are told apart by name: it must be there once.
    """
    seen: dict[str, str] = {}
    for document in CorpusReader(
        os.fspath(path),
        ReadOptions(text_field=field, text_unit="line", strict=True),
        fields=("subtopic", "keywords"),
    ):
        seed = parse(document)
        name = seed.name if isinstance(seed, TopicSeed) else seed
        if name in seen:
            raise UserError(f"{document.where}: the {field} of {seen[name]} once more; remove one")
        seen[name] = document.where
        yield seed


def _topic(document: Document) -> TopicSeed:
    subtopic, keywords = (
        document.fields.get("subtopic") or "",
        document.fields.get("keywords") or [],
    )
    if not isinstance(subtopic, str):
        raise UserError(f"{document.where}: subtopic must be text")
    if not isinstance(keywords, list) or not all(isinstance(keyword, str) for keyword in keywords):
        raise UserError(f"{document.where}: keywords must be a list of texts")
    return TopicSeed(
        _line(document.text), _line(subtopic), tuple(_line(keyword) for keyword in keywords)
    )


def _line(text: Any) -> str:
    return " ".join(text.split())
