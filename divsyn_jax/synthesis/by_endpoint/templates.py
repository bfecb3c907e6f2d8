"""The four prompt templates of Chen et al. 2024 (arXiv 2410.15226, appendix F) in our own words,
and topic extraction.

  topic                        one topic, as a textbook
  topic_styles                 one topic in a given style
  topic_styles_persona         besides, the model chooses the reader out of a panel of personas
  multi_topic_styles_persona   besides, it may combine the topic with others or keep to one

An answer holds 3 to 5 consecutive passages of rising nuance, each with its keywords, and a question
with four options and an explanation. Seeds and documents come from users and from the web: they
stand in fences, as data, and an answer names
them by tag. Raise `VERSION` with every change of wording: it is part of provenance and manifest.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from divsyn_jax.endpoint.answers.strict_schema import list_of, object_of
from divsyn_jax.endpoint.fence import SYSTEM_NOTE, fence
from divsyn_jax.endpoint.request import Request
from divsyn_jax.synthesis.by_endpoint.grid import Cell

TEMPLATES_VERSION = 2
PASSAGES = (3, 5)
ITEM_OPTIONS = 4
PATH_LEVELS = (3, 6)
_MOST_TOPICS = 3
TOPICS_CHARACTERS = 4000  # of a document whose topics are asked for
_SEED_CHARACTERS = 1000  # of a seed that a prompt shows
# Five passages of 200 words, a question, and JSON around them: about twice 1200 words.
_MAX_OUTPUT_TOKENS = 2500
_MOST_KEYWORDS = 12  # of a passage or a path
_TEXT = {"type": "string"}

# How each style of the grammar is asked for; the first four are the paper's.
PAPER_STYLES: Mapping[str, str] = {
    "narrative textbook": (
        "a textbook that tells its subject as a story, with scenes and people who meet it in"
        " practice"
    ),
    "academic textbook": (
        "a textbook for college students: exact terms, definitions before use, arguments step by"
        " step"
    ),
    "blog post": "a blog post: personal, lively, written to be read in one go",
    "how-to": "a how-to article: numbered steps, what each is for, and what tends to go wrong",
    "dialogue": "a conversation of two people, one of whom knows the subject better",
    "question-and-answer page": "a page of questions that a reader would ask, each with its answer",
    "letter": "a letter to one person whom the writer knows",
    "news report": "a news report: what happened first, then who, where, why and what follows",
    "encyclopaedia entry": (
        "an encyclopaedia entry: neutral, dense, from the definition to the particulars"
    ),
}

_WRITER = (
    "You write texts from which people and language models learn. You know your subject and state"
    " nothing false."
)


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A request for one document, and what the tags in its answer stand for."""

    request: Request
    topic_of_tag: Mapping[str, str]
    persona_of_tag: Mapping[str, str]


def document_prompt(cell: Cell, candidate: int, seed: int) -> Prompt:
    """Ask for candidate number `candidate` of a cell."""
    identity = {"cell": cell.name, "candidate": candidate}
    shown = fence(
        [
            *(topic.describe() for topic in cell.topics),
            *(f"persona: {persona}" for persona in cell.personas),
        ],
        f"{seed} {candidate} {cell.name}",
        _SEED_CHARACTERS,
    )
    topic_tags, persona_tags = shown.tags[: len(cell.topics)], shown.tags[len(cell.topics) :]
    properties: dict[str, Any] = {}
    steps = []
    if len(cell.topics) > 1:
        properties["topics"] = {
            "type": "array",
            "items": {"type": "string", "enum": list(topic_tags)},
            "maxItems": len(topic_tags),
        }
        steps.append(
            f"Choose what to write about. The main topic is {topic_tags[0]}; combine it with such"
            f" of {', '.join(topic_tags[1:])} as belong together with it naturally, or keep to it"
            " alone. Under `topics` give the tags of those you use."
        )
    else:
        steps.append(
            "Write about the topic below. Subtopic and keywords, where given, say which part of it"
            " is meant."
        )
    if persona_tags:
        properties["persona"] = {"type": "string", "enum": list(persona_tags)}
        steps.append(
            "Choose the persona below who fits the topic best, give the tag under `persona`, and"
            " write as this persona would for readers of the same kind, with their examples and"
            " their way of speaking. Do not name the persona."
        )
    steps += [
        f"Style: {PAPER_STYLES[cell.style]}.",
        (
            f"Under `passages` write {PASSAGES[0]} to {PASSAGES[1]} passages of 60 to 200 words"
            " that follow one another. The first needs no previous knowledge; each later one goes"
            " further into detail, exceptions and connections. They continue one text: no"
            " headings, no summaries, nothing said twice. With each give the `keywords` it"
            " turns on."
        ),
        (
            "Under `question` ask one question that only a reader who understood the passages can"
            f" answer, with {ITEM_OPTIONS} different `options` without letters or numbers, one of"
            " them right: `answer` is its position, counted from 1. Let `explanation` reason step"
            " by step to the right answer; it names options by what they say, never by position."
        ),
    ]
    passage = object_of({"keywords": list_of(_TEXT, _MOST_KEYWORDS), "text": _TEXT})
    question = object_of(
        {
            "question": _TEXT,
            "options": list_of(_TEXT, ITEM_OPTIONS),
            "answer": {"type": "integer", "enum": list(range(1, ITEM_OPTIONS + 1))},
            "explanation": _TEXT,
        }
    )
    request = Request(
        purpose="document",
        system=f"{_WRITER}\n{SYSTEM_NOTE}",
        user="\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        + f"\n\n{shown.text}",
        schema=object_of(
            {**properties, "passages": list_of(passage, PASSAGES[1]), "question": question}
        ),
        identity=identity,
        check=_check_document,
        max_output_tokens=_MAX_OUTPUT_TOKENS,
    )
    topic_of_tag = {tag: topic.name for tag, topic in zip(topic_tags, cell.topics, strict=True)}
    return Prompt(request, topic_of_tag, dict(zip(persona_tags, cell.personas, strict=True)))


def _check_document(value: Mapping[str, Any]) -> list[str]:
    problems = []
    passages, options = (
        value["passages"],
        [" ".join(option.split()) for option in value["question"]["options"]],
    )
    if not PASSAGES[0] <= len(passages) <= PASSAGES[1]:
        problems.append(f"Give {PASSAGES[0]} to {PASSAGES[1]} passages.")
    if not all(passage["text"].strip() and passage["keywords"] for passage in passages):
        problems.append("Every passage needs text and keywords.")
    if (
        len(options) != ITEM_OPTIONS
        or len(set(map(str.casefold, options))) < ITEM_OPTIONS
        or not all(options)
    ):
        problems.append(f"Give {ITEM_OPTIONS} different options.")
    if not value["question"]["question"].strip() or not value["question"]["explanation"].strip():
        problems.append("The question needs a text and an explanation.")
    if "topics" in value and not value["topics"]:
        problems.append("Name at least one topic.")
    return problems


def topics_prompt(text: str, number: int, seed: int) -> Request:
    """Ask for the topics of one document of a corpus, each as a path from general to specific, with
    keywords.
    """
    shown = fence([text], f"{seed} topics {number}", TOPICS_CHARACTERS)
    return Request(
        purpose="topics",
        system=f"You catalogue documents by subject.\n{SYSTEM_NOTE}",
        user=(
            "Name the one to three subjects that the document below is mainly about, each as a"
            f" `path` of {PATH_LEVELS[0]} to {PATH_LEVELS[1]} levels from a field of knowledge down"
            " to the particular subject, and with three to eight `keywords` that stand for what"
            " the document says of it. Levels are short noun phrases that make sense without the"
            " document; they name a subject, not the document.\n\n" + shown.text
        ),
        schema=object_of(
            {
                "topics": list_of(
                    object_of(
                        {
                            "path": list_of(_TEXT, PATH_LEVELS[1]),
                            "keywords": list_of(_TEXT, _MOST_KEYWORDS),
                        }
                    ),
                    _MOST_TOPICS,
                )
            }
        ),
        identity={"extraction": "topics"},
        check=_check_topics,
        max_output_tokens=1000,
    )


def _check_topics(value: Mapping[str, Any]) -> list[str]:
    paths = [topic["path"] for topic in value["topics"]]
    problems = [] if 1 <= len(paths) <= _MOST_TOPICS else ["Give one to three topics."]
    if not all(
        PATH_LEVELS[0] <= len(path) <= PATH_LEVELS[1] and all(map(str.strip, path))
        for path in paths
    ):
        problems.append(
            f"Every path needs {PATH_LEVELS[0]} to {PATH_LEVELS[1]} levels, none of them empty."
        )
    return problems
