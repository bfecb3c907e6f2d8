"""The styles of the grammar: each turns a topic and a voice into one passage with its own discourse
structure.

The sentence templates of a style are in frames/; this module holds what a template cannot express:
the order of paragraphs, numbered steps, turns of a conversation, pairs of question and answer, a
letter's head and foot."""

import dataclasses
import functools
import importlib.resources
import random
import tomllib
from collections.abc import Callable, Mapping, Sequence

from divsyn_jax.synthesis.grammar.knowledge import Topic
from divsyn_jax.synthesis.grammar.personas import Voice
from divsyn_jax.synthesis.grammar.sentences import (
    Deck,
    asks,
    capitalise,
    fill_template,
    spaced_words,
    with_article,
)
from divsyn_jax.synthesis.grammar.wordings import in_wording

MIN_WORDS, MAX_WORDS = 90, 150
_NAMES = (
    "Ada Amir Beatrix Bruno Chloe Daniel Edith Farah Felix Greta Hugo Ines Ivan Jonas Kavita Leon"
    " Lucia Magnus Maya Nadia Nils Oona Oscar Priya Quentin Rosa Samuel Selma Tariq Teresa Ursula"
    " Viktor Wanda Yusuf Zoe"
)
_FIRST_NAMES = _NAMES.split()
_TOWNS = (
    "Ashford",
    "Brackley",
    "Carrow",
    "Dunmere",
    "Eastwick",
    "Farley",
    "Harwick",
    "Langport",
    "Northam",
    "Wexcombe",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COUNTS = {3: "three", 4: "four", 5: "five"}


@dataclasses.dataclass(frozen=True)
class Frames:
    """The templates of one style (a file in frames/).

    Attributes:
      fillers: slots that may be added, in any order, until a passage is long enough.
      skeletons: alternative plans of a passage in prose: paragraphs of slots.
    """

    name: str
    templates: Mapping[str, Sequence[str]]
    fillers: Sequence[str]
    skeletons: Sequence[Sequence[Sequence[str]]] = ()


@dataclasses.dataclass(frozen=True)
class Style:
    """A style:

    its name, and the function that writes one passage of `MIN_WORDS` to `MAX_WORDS` words, give or
    take.
    """

    name: str
    write: Callable[[Topic, Voice, random.Random], str]


# The built-in generators: one with every template, and four that word things in their own way.
GENERATORS = ("grammar", "dialect-a", "dialect-b", "dialect-c", "dialect-d")


@functools.cache
def frames(file: str, generator: str, wording: int = 0) -> Frames:
    """The templates of frames/`file`.toml that `generator` uses, in a wording: all of them, or
    about half when it is a dialect.
    """
    path = importlib.resources.files("divsyn_jax.synthesis.grammar") / "frames" / f"{file}.toml"
    own = Frames(**tomllib.loads(path.read_text(encoding="utf-8")))
    everything = dataclasses.replace(
        own,
        templates={
            slot: [in_wording(template, wording) for template in templates]
            for slot, templates in own.templates.items()
        },
    )
    dialect = GENERATORS.index(generator) - 1
    if dialect < 0:
        return everything
    return dataclasses.replace(
        everything,
        templates={
            slot: _of_dialect(list_, dialect) for slot, list_ in everything.templates.items()
        },
    )


def _of_dialect(templates: Sequence[str], dialect: int) -> list[str]:
    """Two neighbours of every four templates; some that ask and some that tell wherever there are
    both.
    """
    kept = []
    for group in ([t for t in templates if asks(t)], [t for t in templates if not asks(t)]):
        own = [t for number, t in enumerate(group) if (number - dialect) % 4 < 2]
        kept += own or group[dialect % len(group) :][:1] if group else []
    return kept


class _Writer:
    """What writing one passage takes:

    the topic's deck, the voice, the style's templates, and the cast of names.
    """

    def __init__(
        self,
        file: str,
        topic: Topic,
        voice: Voice,
        rng: random.Random,
        personal: bool,
        all_asked: bool = False,
    ) -> None:
        self.frames = frames(file, voice.generator, voice.wording)
        self.rng = rng
        self.voice = voice
        self.deck = Deck(topic, rng, all_asked)
        self._personal = personal
        self.target = voice.aim or rng.randint(MIN_WORDS + 4, MAX_WORDS - 25)
        pupil, friend, sender = rng.sample(_FIRST_NAMES, 3)
        day = rng.choice(_DAYS)
        self.deck.common |= {
            "pupil": pupil,
            "friend": friend,
            "sender": sender,
            "day": day,
            "day_phrase": f"on {day}",
        }
        self.deck.common |= {"town": rng.choice(_TOWNS), "a_field": with_article(topic.field)}

    def say(self, slot: str) -> str:
        """The sentence for `slot`, or "" for a voice slot of the neutral persona.

        A slot is a kind, perhaps prefixed: quote_term.
        """
        if slot.startswith("voice_"):
            if self.voice.neutral:
                return ""
            return self.deck.say(
                "voice", self.frames.templates[slot], **self.voice.values(self.deck.topic.name)
            )
        kind = slot.rpartition("_")[2]
        connective = self.voice.connective() if kind == "process" and self._personal else None
        if connective:
            return self.deck.say(kind, ["{connective}, {process}"], connective=connective)
        return self.deck.say(kind, self.frames.templates[slot])

    def pair(self, kind: str) -> tuple[str, str]:
        """A question and its answer about the same entry of `kind`."""
        entry = self.deck.draw(kind)
        # Drawn above for both halves, so that neither template may draw again.
        ask = self.deck.say("pair", self.frames.templates[f"ask_{kind}"], **entry)
        templates = self.frames.templates[f"tell_{kind}"]
        connective = self.voice.connective() if kind == "process" else None
        if connective:
            entry, templates = {**entry, "connective": connective}, ["{connective}, {process}"]
        return ask, self.deck.say("pair", templates, **entry)

    def title(self, slot: str, **values: str) -> str:
        """A line without full stop, such as a heading or a salutation."""
        return capitalise(
            fill_template(
                self.rng.choice(self.frames.templates[slot]), {**self.deck.common, **values}
            )
        )

    def fillers(self) -> list[str]:
        """The fillers in random order, kinds that still have entries only."""
        left = [slot for slot in self.frames.fillers if self.deck.left(slot.rpartition("_")[2])]
        self.rng.shuffle(left)
        return left


def _paragraphs(writer: _Writer, reserved: int = 0) -> list[str]:
    """The paragraphs of a passage in prose:

    a skeleton, filled up with sentences until `reserved` words are left to the target.
    """
    *body, end = writer.rng.choice(writer.frames.skeletons)
    endings = [slot for slot in end if slot.endswith("close")]
    plan = [*body, [slot for slot in end if slot not in endings]]
    if writer.voice.neutral and "close" not in endings:
        endings = ["close"]
    paragraphs = [[text for slot in slots if (text := writer.say(slot))] for slots in plan]
    closing = [text for slot in endings if (text := writer.say(slot))]
    reserved += spaced_words(" ".join(closing))
    while spaced_words(" ".join(map(" ".join, paragraphs))) < writer.target - reserved:
        index = writer.rng.randrange(len(paragraphs))
        paragraph = paragraphs[index]
        # The first two sentences of a passage set the scene: fillers go after them.
        first = min(2, len(paragraph)) if index == 0 else 0
        paragraph.insert(writer.rng.randint(first, len(paragraph)), writer.say(writer.fillers()[0]))
    paragraphs[-1] += closing
    return [" ".join(paragraph) for paragraph in paragraphs]


def _prose(file: str, personal: bool, topic: Topic, voice: Voice, rng: random.Random) -> str:
    return "\n\n".join(_paragraphs(_Writer(file, topic, voice, rng, personal)))


def narrative_textbook(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A scene from a lesson: characters, past tense, reported speech."""
    return _prose("01_narrative_textbook", False, topic, voice, rng)


def academic_textbook(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A section of a university textbook: impersonal and hedged."""
    return _prose("02_academic_textbook", False, topic, voice, rng)


def blog_post(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A chatty post in the first person."""
    return _prose("03_blog_post", True, topic, voice, rng)


def how_to(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A title, a remark, three to five numbered steps in their order, some with a note, and closing
    advice.
    """
    writer = _Writer("04_how-to", topic, voice, rng, personal=True)
    count = rng.choice(sorted(_COUNTS))
    start = rng.randint(0, len(topic.steps) - count)
    title = writer.title("title", count=_COUNTS[count])
    opening = rng.choice(("open", "voice_open"))
    head = [writer.say(slot) for slot in rng.choice(((opening,), (opening, "tool")))]
    # The neutral voice has no opening of its own.
    head = [text for text in head if text] or [writer.say("open")]
    slots = ["first_order", *["middle_order"] * (count - 2), "last_order"]
    orders = zip(slots, topic.steps[start : start + count], strict=True)
    steps = [
        writer.deck.say("order", writer.frames.templates[slot], order=order)
        for slot, order in orders
    ]
    # A guide that opens plainly has its two coloured places at the end.
    plan = (
        "voice_aside",
        "voice_close" if opening == "open" else rng.choice(("close", "voice_close")),
    )
    tail = [text for slot in plan if (text := writer.say(slot))]
    tail = tail or [writer.say("close")]
    while spaced_words(" ".join([title, *head, *steps, *tail])) + count < writer.target:
        note = writer.say(writer.fillers()[0])
        place = rng.randrange(count + 2)
        if place < count and steps[place].count(".") == 1:
            steps[place] += f" {note}"
        else:
            tail.insert(0, note)
    numbered = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
    return "\n".join([title, "", " ".join(head), "", *numbered, "", " ".join(tail)])


def dialogue(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """Turns of two speakers: one asks, the other, who has the voice, knows."""
    writer = _Writer("05_dialogue", topic, voice, rng, personal=True, all_asked=True)
    asker, teller = writer.deck.common["pupil"], writer.deck.common["friend"]
    first = writer.say("voice_open") if rng.random() < 0.5 else ""
    turns = [(asker, writer.say("open")), (teller, f"{first} {writer.say('define')}".strip())]
    ending = [(teller, writer.say("voice_close")), (asker, writer.say("close"))]
    ending = [(speaker, text) for speaker, text in ending if text]
    while _turn_words(turns + ending) < writer.target or len(turns) < 6:
        ask, tell = writer.pair(writer.fillers()[0])
        # The aside belongs to the conversation's middle, once.
        aside = writer.say("voice_aside") if len(turns) == 4 and not first else ""
        turns += [(asker, ask), (teller, f"{tell} {aside}".strip())]
    # Two turns of the same speaker in a row become one.
    if len(ending) == 2:
        turns[-1] = (teller, f"{turns[-1][1]} {ending.pop(0)[1]}")
    return "\n".join(f"{speaker}: {text}" for speaker, text in turns + ending)


def _turn_words(turns: Sequence[tuple[str, str]]) -> int:
    return sum(spaced_words(text) + 1 for _, text in turns)


def question_and_answer_page(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A help page: a title and four or more questions, each with its answer."""
    writer = _Writer(
        "06_question_and_answer_page", topic, voice, rng, personal=True, all_asked=True
    )
    title = writer.title("title")
    intro, aside, close = rng.choice(
        (("voice_open", "voice_aside", "close"), (None, "voice_aside", "voice_close"))
    )
    head = writer.say(intro) if intro else ""
    foot = writer.say(close) or writer.say("close")
    pairs = [writer.pair("define")] if rng.random() < 0.6 else []
    while (
        spaced_words(" ".join([title, head, foot]))
        + sum(spaced_words(f"Q: {q} A: {a}") for q, a in pairs)
        < writer.target
        or len(pairs) < 4
    ):
        ask, tell = writer.pair(writer.fillers()[0])
        if len(pairs) == 2:
            tell = f"{tell} {writer.say(aside)}".strip()
        pairs.append((ask, tell))
    blocks = [title, head, *(f"Q: {ask}\nA: {tell}" for ask, tell in pairs), foot]
    return "\n\n".join(block for block in blocks if block)


def letter(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A private letter with salutation, one or two paragraphs, farewell and name."""
    writer = _Writer("07_letter", topic, voice, rng, personal=True)
    greeting, farewell = writer.title("greeting"), writer.title("farewell")
    paragraphs = _paragraphs(writer, reserved=spaced_words(greeting) + spaced_words(farewell) + 1)
    return "\n\n".join([greeting, *paragraphs, f"{farewell}\n{writer.deck.common['sender']}"])


def news_report(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A local newspaper's report: dateline, lead, quotations, attributed statements."""
    writer = _Writer("08_news_report", topic, voice, rng, personal=False)
    return f"{writer.title('dateline')} - " + "\n\n".join(_paragraphs(writer, reserved=3))


def encyclopaedia_entry(topic: Topic, voice: Voice, rng: random.Random) -> str:
    """A reference entry: headword, definition and terse statements."""
    return _prose("09_encyclopaedia_entry", False, topic, voice, rng)


STYLES = (
    Style("narrative textbook", narrative_textbook),
    Style("academic textbook", academic_textbook),
    Style("blog post", blog_post),
    Style("how-to", how_to),
    Style("dialogue", dialogue),
    Style("question-and-answer page", question_and_answer_page),
    Style("letter", letter),
    Style("news report", news_report),
    Style("encyclopaedia entry", encyclopaedia_entry),
)
