"""The built-in grammar: passages from topics x styles x personas, whose breadth is a knob.

Every document is a pure function of (breadth, seed, index): topics, styles and personas are dealt in shuffled rounds, and
the passage's own randomness is seeded by SHA-256, never by `hash()`, so that all machines write the same corpus.
"""

import dataclasses
import functools
import hashlib
import random
from collections.abc import Iterator
from typing import Any

from divsyn_jax.synthesis.knowledge import Topic, topics
from divsyn_jax.synthesis.personas import Persona, Voice, personas
from divsyn_jax.synthesis.sentences import words
from divsyn_jax.synthesis.styles import MAX_WORDS, MIN_WORDS, STYLES, Style

_ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class Breadth:
    """How many topics, styles and personas a corpus draws on, each from the front of its fixed list.

    Raises `ValueError` naming the limit when a number is not between 1 and the length of its list.
    """

    topics: int
    styles: int
    personas: int

    def __post_init__(self) -> None:
        for name, limit in limits().items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise ValueError(f"{name} must be a whole number from 1 to {limit}, not {value!r}")


def limits() -> dict[str, int]:
    """The greatest breadth: how many topics, styles and personas there are."""
    return {"topics": len(topics()), "styles": len(STYLES), "personas": len(personas())}


def write_passage(topic: Topic, style: Style, persona: Persona, rng: random.Random) -> str:
    """One passage of 90 to 150 words on `topic`; the same arguments and state of `rng` give the same text."""
    best = ""
    for _ in range(_ATTEMPTS):
        text = style.write(topic, Voice(persona, rng), rng)
        excess = _excess(text)
        if not excess:
            return text
        if not best or excess < _excess(best):
            best = text
    return best


def generate(breadth: Breadth, documents: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `documents` documents: id, text, topic, field, style, persona and seed.

    Among any first n documents every topic, style and persona occurs equally often, give or take one. Document i is the
    same whatever `documents` is. Raises `ValueError` for a negative number of documents.
    """
    if documents < 0:
        raise ValueError(f"documents must not be negative, not {documents}")
    return (_document(breadth, seed, index) for index in range(documents))


def _document(breadth: Breadth, seed: int, index: int) -> dict[str, Any]:
    topic = topics()[_dealt("topics", breadth, seed, index)]
    style = STYLES[_dealt("styles", breadth, seed, index)]
    persona = personas()[_dealt("personas", breadth, seed, index)]
    text = write_passage(topic, style, persona, _seeded("passage", breadth, seed, index))
    return {
        "id": f"grammar-{seed}-{index}",
        "text": text,
        "topic": topic.name,
        "field": topic.field,
        "style": style.name,
        "persona": persona.name,
        "seed": seed,
    }


def _dealt(axis: str, breadth: Breadth, seed: int, index: int) -> int:
    """Which entry of `axis` document `index` has: each round of as many documents as there are entries deals all of them."""
    size = getattr(breadth, axis)
    return _round(axis, breadth, seed, index // size)[index % size]


@functools.lru_cache(maxsize=16)
def _round(axis: str, breadth: Breadth, seed: int, number: int) -> tuple[int, ...]:
    order = list(range(getattr(breadth, axis)))
    _seeded(axis, breadth, seed, number).shuffle(order)
    return tuple(order)


def _seeded(purpose: str, breadth: Breadth, seed: int, number: int) -> random.Random:
    key = f"{purpose}/{breadth.topics}/{breadth.styles}/{breadth.personas}/{seed}/{number}"
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


def _excess(text: str) -> int:
    """How many words `text` is too short or too long."""
    count = words(text)
    return max(MIN_WORDS - count, count - MAX_WORDS, 0)
