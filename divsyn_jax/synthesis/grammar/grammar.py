"""The built-in grammar: passages from topics x styles x personas x wordings x formats x generators,
whose breadth is a knob.

The breadths of the four prompt templates of Chen et al. 2024 (appendix F): Topic has one style and
the neutral persona; Topic Styles more styles; Topic Styles Persona more personas; Multi-Topic
Styles Persona two topics in a document.

For factorial designs five knobs are independent of each other: `topics`, `styles`, `personas`,
`wordings` (the same templates in other words) and `formats` (the same sentences in another layout).
As soon as one of the last two is given, lengths are dealt like everything else, so that no knob
leaks into length. Without them the texts are what they were before these knobs existed.

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

from divsyn_jax.synthesis.grammar.formats import GRAMMAR_FORMATS, Format, in_format, words_of_text
from divsyn_jax.synthesis.grammar.knowledge import Topic, topics
from divsyn_jax.synthesis.grammar.personas import Persona, Voice, personas
from divsyn_jax.synthesis.grammar.sentences import capitalise, spaced_words
from divsyn_jax.synthesis.grammar.styles import GENERATORS, MAX_WORDS, MIN_WORDS, STYLES, Style
from divsyn_jax.synthesis.grammar.wordings import count_of_wordings, in_wording

# Goes up with every change of the texts that the grammar writes.
GRAMMAR_VERSION = 3

BETWEEN_TOPICS = " + "  # in the name of two topics

_ATTEMPTS = 20
# Words of a passage where lengths are dealt, and how near a passage must come to its own.
DEALT_LENGTHS = tuple(range(112, 144, 4))
_LENGTH_WITHIN = 2
_LENGTH_ATTEMPTS = 60
# A passage ends with the statement that reaches its aim: by so many words too late, for a start.
_OVERSHOOT = 8
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
    """What a corpus draws on: so many topics, styles, personas, wordings and formats, each from the
    front of its fixed list.

    Attributes: topics, styles, personas: how many. topics_per_document: 1, or 2 for documents of
      two passages on different topics. generators: which of `GENERATORS` write in turn; a dialect
      uses about half of the sentence templates. wordings: how many (1: the grammar's own words);
      0 writes as 1 does. formats: how many layouts (1: running text); 0: the layout that each style
      has of its own. Where either is above 0, lengths are dealt. from_back: axes (topics, styles,
      personas, wordings, formats) whose entries come from the back of their list, for held-out text
      that is new on them: two corpora share no entry of an axis as long as their numbers together
      stay within `limits()`.

    Raises `ValueError` naming the limit when a number is out of range, or a generator is unknown.
    """

    topics: int
    styles: int
    personas: int
    topics_per_document: int = 1
    generators: tuple[str, ...] = ("grammar",)
    wordings: int = 0
    formats: int = 0
    from_back: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        most = {
            **limits(),
            "topics_per_document": min(2, self.topics) if isinstance(self.topics, int) else 2,
        }
        for name, limit in most.items():
            value = getattr(self, name)
            least = 0 if name in _OFF_AT_0 else 1
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not least <= value <= limit:
                raise ValueError(
                    f"{name} must be a whole number from {least} to {limit}, not {value!r}"
                )
        object.__setattr__(self, "from_back", tuple(self.from_back))
        if unknown := [axis for axis in self.from_back if axis not in limits()]:
            raise ValueError(f"from_back names {unknown[0]!r}; known are {', '.join(limits())}")
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

    @property
    def deals_lengths(self) -> bool:
        """Whether lengths are dealt."""
        return bool(self.wordings or self.formats)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict of the knobs; those of factorial designs only where they are given, as corpora
        written before they existed have none."""
        given = {**dataclasses.asdict(self), "generators": list(self.generators)}
        given["from_back"] = list(self.from_back)
        return {
            name: value
            for name, value in given.items()
            if value or name not in (*_OFF_AT_0, "from_back")
        }


# Knobs that are off at 0.
_OFF_AT_0 = ("wordings", "formats")


def limits() -> dict[str, int]:
    """The greatest breadth: how many topics, styles, personas, wordings and formats there are."""
    return {
        "topics": len(topics()),
        "styles": len(STYLES),
        "personas": len(personas()),
        "wordings": count_of_wordings(),
        "formats": len(GRAMMAR_FORMATS),
    }


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


def write_dealt_passage(
    topic: Topic,
    style: Style,
    persona: Persona,
    rng: random.Random,
    length: int,
    generator: str = "grammar",
    wording: int = 0,
    layout: Format | None = None,
) -> str:
    """One passage in a wording and a layout (None: the style's own) whose `words_of_text` are
    within 2 of `length`, or as near as 60 attempts come."""
    best, nearest = "", 0
    goal = length - (layout.added_words if layout else 0)
    overshoots = [_OVERSHOOT]
    for _ in range(_LENGTH_ATTEMPTS):
        aim = goal - round(sum(overshoots) / len(overshoots)) + rng.randint(-2, 2)
        text = style.write(topic, Voice(persona, rng, generator, wording, aim), rng)
        overshoots.append(words_of_text(text) - aim)
        off = abs(words_of_text(text) - goal)
        if not best or off < nearest:
            best, nearest = text, off
        if nearest <= _LENGTH_WITHIN:
            break
    return in_format(best, layout) if layout else best


def generate_passages(breadth: Breadth, seed: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield document `first` and all that follow (see `document`), without end.

    Among any first n documents every topic, style, persona and generator occurs equally often, give
    or take one."""
    return (document(breadth, seed, index) for index in itertools.count(first))


def document(breadth: Breadth, seed: int, index: int) -> dict[str, Any]:
    """Document `index` of a corpus: id, text, template, topic, field, style, persona, generator,
    seed and version; wording and format too, where lengths are dealt.

    `cell` names topic, style and persona (wording and format too) in one. A second topic follows
    the first after " + "; `field` is the first's."""
    topic = topics()[_entry("topics", breadth, seed, index)]
    style = STYLES[_entry("styles", breadth, seed, index)]
    persona = personas()[_entry("personas", breadth, seed, index)]
    generator = breadth.generators[
        _round("generators", len(breadth.generators), breadth, seed, index)
    ]
    wording = _entry("wordings", breadth, seed, index) if breadth.wordings else 0
    layout = GRAMMAR_FORMATS[_entry("formats", breadth, seed, index)] if breadth.formats else None

    def passage(about: Topic, rng: random.Random) -> str:
        if not breadth.deals_lengths:
            return write_passage(about, style, persona, rng, generator)
        length = DEALT_LENGTHS[_round("lengths", len(DEALT_LENGTHS), breadth, seed, index)]
        return write_dealt_passage(about, style, persona, rng, length, generator, wording, layout)

    rng = seeded(f"passage/{_key(breadth)}", seed, index)
    text, name = passage(topic, rng), topic.name
    if breadth.topics_per_document > 1:
        second = topics()[_second_topic(breadth, seed, index)]
        rng = seeded(f"second passage/{_key(breadth)}", seed, index)
        template = in_wording(rng.choice(_BRIDGES), wording)
        bridge = capitalise(template.format(first=topic.name, second=second.name))
        text = f"{text}\n\n{bridge}\n\n{passage(second, rng)}"
        name = f"{topic.name}{BETWEEN_TOPICS}{second.name}"
    labels = {"style": style.name, "persona": persona.name}
    if breadth.deals_lengths:
        labels["wording"] = f"wording {wording}"
        labels["format"] = layout.name if layout else "of its style"
    return {
        "id": f"grammar-{seed}-{index}",
        "text": text,
        "template": breadth.template,
        "topic": name,
        "field": topic.field,
        **labels,
        "cell": " / ".join([name, *labels.values()]),
        "generator": generator,
        "seed": seed,
        "version": GRAMMAR_VERSION,
    }


def _second_topic(breadth: Breadth, seed: int, index: int) -> int:
    """Any topic but the document's first, in rounds like the first."""
    offset = 1 + _round("second topics", breadth.topics - 1, breadth, seed, index)
    first = _round("topics", breadth.topics, breadth, seed, index)
    return _placed("topics", breadth, (first + offset) % breadth.topics)


def _entry(axis: str, breadth: Breadth, seed: int, index: int) -> int:
    """Which entry of `axis` document `index` has."""
    return _placed(axis, breadth, _round(axis, getattr(breadth, axis), breadth, seed, index))


def _placed(axis: str, breadth: Breadth, number: int) -> int:
    """The place in its list of entry `number` of those in use."""
    return limits()[axis] - 1 - number if axis in breadth.from_back else number


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
    # Neither generators, wordings, formats nor a second topic enter: they change how a passage
    # reads or what follows it, not which it is.
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
