"""The built-in grammar: passages from topics x styles x personas x generators, whose breadth is a
knob.

The breadths of the four prompt templates of Chen et al. 2024 (appendix F): Topic has one style and
the neutral persona; Topic Styles more styles; Topic Styles Persona more personas; Multi-Topic
Styles Persona two topics in a document.

Every document is a pure function of (breadth, seed, index): topics, styles and personas are dealt
in shuffled rounds, and the passage's own randomness is seeded by SHA-256, never by `hash()`, so
that all machines write the same corpus."""

import dataclasses
import functools
import hashlib
import itertools
import random
from collections.abc import Iterator
from typing import Any

from divsyn_jax.synthesis.grammar.knowledge import Topic, topics
from divsyn_jax.synthesis.grammar.personas import Persona, Voice, personas
from divsyn_jax.synthesis.grammar.sentences import capitalise, spaced_words
from divsyn_jax.synthesis.grammar.styles import GENERATORS, MAX_WORDS, MIN_WORDS, STYLES, Style

# Goes up with every change of the texts that the grammar writes.
GRAMMAR_VERSION = 3

BETWEEN_TOPICS = " + "  # in the name of two topics

_ATTEMPTS = 20
_BRIDGES = (
    "So much for {first}. There is also {second} to speak of.",
    (
        "From {first} it is a short way to {second}, or so it seems to anyone who is curious about"
        " both."
    ),
    "The next subject is a different one: {second}.",
    "Whoever has had enough of {first} may like to hear about {second}.",
    "What {first} and {second} have in common is left to the reader.",
)


@dataclasses.dataclass(frozen=True)
class Breadth:
    """What a corpus draws on: so many topics, styles and personas, each from the front of its fixed
    list.

    Attributes: topics, styles, personas: how many. topics_per_document: 1, or 2 for documents of
      two passages on different topics. generators: which of `GENERATORS` write in turn; a dialect
      uses about half of the sentence templates.

    Raises `ValueError` naming the limit when a number is out of range, or a generator is unknown.
    """

    topics: int
    styles: int
    personas: int
    topics_per_document: int = 1
    generators: tuple[str, ...] = ("grammar",)

    def __post_init__(self) -> None:
        most = {
            **limits(),
            "topics_per_document": min(2, self.topics) if isinstance(self.topics, int) else 2,
        }
        for name, limit in most.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise ValueError(f"{name} must be a whole number from 1 to {limit}, not {value!r}")
        object.__setattr__(self, "generators", tuple(self.generators))
        unknown = [name for name in self.generators if name not in GENERATORS]
        if unknown or not self.generators or len(set(self.generators)) < len(self.generators):
            known = ", ".join(GENERATORS)
            raise ValueError(
                f"generators must be one or more of {known}, each once, not"
                f" {list(self.generators)!r}"
            )

    @property
    def template(self) -> str:
        """Which of the paper's prompt templates documents of this breadth correspond to."""
        if self.topics_per_document > 1:
            return "multi_topic_styles_persona"
        if self.personas > 1:
            return "topic_styles_persona"
        return "topic_styles" if self.styles > 1 else "topic"


def limits() -> dict[str, int]:
    """The greatest breadth: how many topics, styles and personas there are."""
    return {"topics": len(topics()), "styles": len(STYLES), "personas": len(personas())}


def write_passage(
    topic: Topic, style: Style, persona: Persona, rng: random.Random, generator: str = "grammar"
) -> str:
    """One passage of 90 to 150 words on `topic`; the same arguments and state of `rng` give the
    same text.
    """
    best = ""
    for _ in range(_ATTEMPTS):
        text = style.write(topic, Voice(persona, rng, generator), rng)
        excess = _excess(text)
        if not excess:
            return text
        if not best or excess < _excess(best):
            best = text
    return best


def generate_passages(breadth: Breadth, seed: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield document `first` and all that follow (see `document`), without end.

    Among any first n documents every topic, style, persona and generator occurs equally often, give
    or take one."""
    return (document(breadth, seed, index) for index in itertools.count(first))


def document(breadth: Breadth, seed: int, index: int) -> dict[str, Any]:
    """Document `index` of a corpus: id, text, template, topic, field, style, persona, generator,
    seed and version.

    `cell` names topic, style and persona in one. A second topic follows the first after " + ";
    `field` is the first's."""
    topic = topics()[_dealt("topics", breadth, seed, index)]
    style = STYLES[_dealt("styles", breadth, seed, index)]
    persona = personas()[_dealt("personas", breadth, seed, index)]
    generator = breadth.generators[
        _round("generators", len(breadth.generators), breadth, seed, index)
    ]
    rng = seeded(f"passage/{_key(breadth)}", seed, index)
    text, name = write_passage(topic, style, persona, rng, generator), topic.name
    if breadth.topics_per_document > 1:
        second = topics()[_second_topic(breadth, seed, index)]
        rng = seeded(f"second passage/{_key(breadth)}", seed, index)
        bridge = capitalise(rng.choice(_BRIDGES).format(first=topic.name, second=second.name))
        text = f"{text}\n\n{bridge}\n\n{write_passage(second, style, persona, rng, generator)}"
        name = f"{topic.name}{BETWEEN_TOPICS}{second.name}"
    return {
        "id": f"grammar-{seed}-{index}",
        "text": text,
        "template": breadth.template,
        "topic": name,
        "field": topic.field,
        "style": style.name,
        "persona": persona.name,
        "cell": f"{name} / {style.name} / {persona.name}",
        "generator": generator,
        "seed": seed,
        "version": GRAMMAR_VERSION,
    }


def _second_topic(breadth: Breadth, seed: int, index: int) -> int:
    """Any topic but the document's first, in rounds like the first."""
    offset = 1 + _round("second topics", breadth.topics - 1, breadth, seed, index)
    return (_dealt("topics", breadth, seed, index) + offset) % breadth.topics


def _dealt(axis: str, breadth: Breadth, seed: int, index: int) -> int:
    """Which entry of `axis` document `index` has."""
    return _round(axis, getattr(breadth, axis), breadth, seed, index)


def _round(axis: str, size: int, breadth: Breadth, seed: int, index: int) -> int:
    """Entry `index` of an endless deal of `size` entries:

    each round of as many deals all of them, in random order.
    """
    return _order(f"{axis}/{_key(breadth)}", size, seed, index // size)[index % size]


@functools.lru_cache(maxsize=16)
def _order(purpose: str, size: int, seed: int, number: int) -> tuple[int, ...]:
    order = list(range(size))
    seeded(purpose, seed, number).shuffle(order)
    return tuple(order)


def _key(breadth: Breadth) -> str:
    # Neither generators nor a second topic enter: they change how a passage reads or what follows
    # it, not which it is.
    return f"{breadth.topics}/{breadth.styles}/{breadth.personas}"


def seeded(purpose: str, seed: int, number: int) -> random.Random:
    """The random numbers of one purpose, the same on every machine."""
    return random.Random(
        int.from_bytes(hashlib.sha256(f"{purpose}/{seed}/{number}".encode()).digest(), "big")
    )


def _excess(text: str) -> int:
    """How many words `text` is too short or too long."""
    count = spaced_words(text)
    return max(MIN_WORDS - count, count - MAX_WORDS, 0)
