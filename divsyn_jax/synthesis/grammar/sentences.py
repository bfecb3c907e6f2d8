"""The sentence finisher, and the deck that deals a topic's knowledge without repeating itself
within a passage.
"""

import functools
import random
import re
from collections.abc import Iterable, Mapping, Sequence

from divsyn_jax.synthesis.grammar.knowledge import Topic, without_held_out

_ARTICLE = re.compile(r"^(an?|the) ", re.IGNORECASE)
# Sound decides between a and an, not the letter.
_VOWEL_LETTERS_CONSONANT_SOUND = re.compile(
    r"(uni(?!n|m)|us[aeu]|ut[ei]|eu|ewe|one\b|once\b|ubiq)", re.IGNORECASE
)
_SILENT_H = re.compile(r"(hour|honest|honour|heir)", re.IGNORECASE)
# Read letter by letter, these begin with a vowel sound: "an X-ray", "an MRI scan".
_LETTER_VOWEL_SOUND = re.compile(r"[AEFHILMNORSX](?=[A-Z]|-|\b)")


def with_article(noun: str) -> str:
    """`noun` with the indefinite article that its first sound asks for: "a unit", "an hour"."""
    if noun[0].isdigit():
        vowel = noun[0] == "8"
    elif len(noun.split()[0]) == 1 or noun[:2].isupper() or noun[1:2] == "-":
        vowel = bool(_LETTER_VOWEL_SOUND.match(noun))
    elif noun[0].lower() in "aeiou":
        vowel = not _VOWEL_LETTERS_CONSONANT_SOUND.match(noun)
    else:
        vowel = bool(_SILENT_H.match(noun))
    return f"{'an' if vowel else 'a'} {noun}"


def bare(noun_phrase: str) -> str:
    """`noun_phrase` without its leading article."""
    return _ARTICLE.sub("", noun_phrase)


@functools.lru_cache(
    maxsize=1 << 14
)  # every value of every sentence comes here, mostly the same ones
def capitalise(text: str) -> str:
    """`text` with its first letter in upper case; an opening quotation mark or bracket before it is
    passed over.
    """
    for index, character in enumerate(text):
        if character.isalnum():
            return text[:index] + character.upper() + text[index + 1 :]
    return text


def sentence(text: str) -> str:
    """`text` as a finished sentence:

    single spaces, a capital letter first and a closing mark last.
    """
    text = capitalise(" ".join(text.split()))
    if text.rstrip('")').endswith((".", "!", "?", ":")):
        return text
    # The stop of a quotation stands inside it.
    return (
        text[:-1] + '."'
        if text.endswith('"') and text.count('"') > 1 and _is_speech(text)
        else text + "."
    )


def _is_speech(text: str) -> bool:
    """Whether the quotation that ends `text` is a sentence of speech rather than a quoted word."""
    return " " in text[text.rindex('"', 0, -1) : -1]


def join_list(clauses: Sequence[str]) -> str:
    """`clauses` as one list in prose: "a", "a and b", "a, b and c"; clauses with commas inside are
    parted by semicolons.
    """
    clauses = list(clauses)
    if len(clauses) < 2:
        return "".join(clauses)
    if any("," in clause for clause in clauses):
        return "; ".join(clauses[:-1]) + "; and " + clauses[-1]
    return ", ".join(clauses[:-1]) + " and " + clauses[-1]


def spaced_words(text: str) -> int:
    """The number of white-space separated words of `text`."""
    return len(text.split())


def asks(template: str) -> bool:
    """Whether a template puts a question or answers one, which no held-out entry may enter."""
    return "?" in template or any(slot in template.lower() for slot in ("{question}", "{answer}"))


class Deck:
    """One topic's knowledge shuffled for one passage: every entry and every template is used at
    most once.

    Held-out entries are told and never asked: they enter no template that `asks`, and no deck of a
    style that is all questions and answers.

    Attributes:
      topic: the topic dealt from.
      common: values every template may use, such as {name} or {place}; a style adds its own.
    """

    def __init__(self, topic: Topic, rng: random.Random, all_asked: bool = False) -> None:
        self.topic = topic
        self._rng = rng
        self._askable = _entries(without_held_out(topic))
        told = self._askable if all_asked else _entries(topic)
        self._piles = {kind: _shuffled(entries, rng) for kind, entries in told.items()}
        self._spent: set[str] = set()
        people, places = _shuffled(topic.people, rng), _shuffled(topic.places, rng)
        self.common = {
            "name": topic.name,
            "field": topic.field,
            "definition": topic.definition,
            "people": join_list(people),
            "tools": join_list(_shuffled((tool for tool, _ in topic.tools), rng)),
            "person": people[0],
            "who": f"the {bare(people[0])}",
            "other": people[1],
            "other_who": f"the {bare(people[1])}",
            "place": places[0],
            "other_place": places[1],
        }

    def left(self, kind: str) -> int:
        """How many entries of `kind` are left; kinds without entries (openings, scenes) never run
        out.
        """
        return len(self._piles[kind]) if kind in self._piles else 1

    def draw(self, kind: str) -> Mapping[str, str]:
        """The next entry of `kind` as template values; raises `IndexError` when none is left."""
        return self._piles[kind].pop() if kind in self._piles else {}

    def say(self, kind: str, templates: Sequence[str], **values: str) -> str:
        """One finished sentence or more:

        the next entry of `kind` in a template that this passage has not used yet.
        """
        entry = self.draw(kind)
        if entry and entry not in self._askable[kind]:
            templates = [template for template in templates if not asks(template)]
        fresh = [template for template in templates if template not in self._spent] or list(
            templates
        )
        template = self._rng.choice(fresh)
        self._spent.add(template)
        return fill(template, {**self.common, **entry, **values})


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """`template` with its slots filled; {value} takes a value as it stands, {Value} with a capital
    letter.
    """
    capitals = {capitalise(name): capitalise(text) for name, text in values.items()}
    return template.format_map({**capitals, **values})


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` rendered and finished as a sentence."""
    return sentence(fill_template(template, values))


def _shuffled(entries: Iterable, rng: random.Random) -> list:
    entries = list(entries)
    rng.shuffle(entries)
    return entries


def _entries(topic: Topic) -> dict[str, list[dict[str, str]]]:
    steps = topic.steps
    return {
        "define": [{"definition": topic.definition}],
        "term": [
            {"term": term, "meaning": meaning, "bare_term": bare(term)}
            for term, meaning in topic.terms
        ],
        "process": [{"process": process} for process in topic.processes],
        "cause": [{"cause": cause, "effect": effect} for cause, effect in topic.causes],
        "tool": [{"tool": tool, "does": does} for tool, does in topic.tools],
        "quantity": [
            {"subject": subject, "verb": verb, "amount": amount}
            for subject, verb, amount in topic.quantities
        ],
        "mistake": [{"mistake": mistake, "remedy": remedy} for mistake, remedy in topic.mistakes],
        # Two steps that follow each other, so that an order quoted out of its list still is the
        # right one.
        "step": [{"step": steps[i], "next": steps[i + 1]} for i in range(0, len(steps) - 1, 2)],
        "fact": [
            {"question": fact.question, "answer": fact.answer, "statement": fact.statement}
            for fact in topic.facts
        ],
    }
