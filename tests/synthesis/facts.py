"""Documents of known facts, rephrasings of them, and a judge that knows the answers.

Also a brain of the test server (tests/endpoint/server.py): `rephraser` tells a document again, in
two of five answers with a number, a name or a denial changed, and judges by the facts.
"""

import random
import re
from typing import Any, NamedTuple

from tests.endpoint import brains


def _listed(text: str) -> list[str]:
    return text.split()


_FIRST = _listed("Alva Bruno Clara Dario Edith Frank Greta Hanno Irene Jonas Karla Linus Maren")
_LAST = _listed("Abbott Barker Carver Dalton Ellis Fisher Grover Harper Irving Keller Lawton")
_PLACES = _listed("Ashford Brookham Carlow Denmoor Eastwick Fairholm Greystone Hartwell Kirkby")
_VERBS = [("repair", "repaired"), ("count", "counted"), ("paint", "painted"), ("mend", "mended")]
_THINGS = _listed("boats bridges clocks engines ladders mirrors wheels windows barrels lanterns")
_FENCED = re.compile(
    r"<<<document (?P<tag>\S+) (?P<key>\w+)>>>\n(?P<body>.*?)\n<<<end (?P=tag) (?P=key)>>>",
    re.DOTALL,
)
CHANGES = ("number", "name", "negation")


class Fact(NamedTuple):
    """Who did, or did not do, what to how many of which things, where."""

    who: str
    verb: int
    number: int
    things: str
    place: str
    denied: bool


def facts(rng: random.Random, count: int = 6) -> list[Fact]:
    """Different facts: no two share person, number, thing or place together."""
    people = rng.sample([f"{first} {last}" for first in _FIRST for last in _LAST], count)
    numbers = rng.sample(range(13, 990), count)
    things = rng.sample(_THINGS, count)
    return [
        Fact(who, rng.randrange(4), number, thing, rng.choice(_PLACES), rng.random() < 0.4)
        for who, number, thing in zip(people, numbers, things, strict=True)
    ]


def document(given: list[Fact]) -> str:
    """The facts as a text."""
    return " ".join(
        f"{fact.who} {f'did not {_VERBS[fact.verb][0]}' if fact.denied else _VERBS[fact.verb][1]}"
        f" the {fact.number} {fact.things} at {fact.place}."
        for fact in given
    )


def told(given: list[Fact], rng: random.Random, user: str = "") -> str:
    """The facts in another order, other words and the format that the prompt asks for."""
    order = rng.sample(given, len(given))
    sentences = [
        f"The {fact.number} {fact.things} at {fact.place} {fact.who} did not"
        f" {_VERBS[fact.verb][0]}."
        if fact.denied
        else f"At {fact.place} the {fact.number} {fact.things} were {_VERBS[fact.verb][1]} by"
        f" {fact.who}."
        for fact in order
    ]
    if "questions that a reader" in user:
        asked = [f"What is known of the {fact.things}?" for fact in order]
        return "\n".join(map("{}\n{}".format, asked, sentences))
    if "numbered steps" in user:
        return "\n".join(f"{number}. {line}" for number, line in enumerate(sentences, 1))
    return " ".join(sentences)


def changed(given: list[Fact], rng: random.Random, change: str) -> list[Fact]:
    """The facts with one of them wrong."""
    place = rng.randrange(len(given))
    fact = given[place]
    if change == "number":
        other = next(n for n in iter(lambda: rng.randrange(13, 990), 0) if n != fact.number)
        wrong = fact._replace(number=other)
    elif change == "name":
        people = {person.who for person in given}
        names = [f"{first} {last}" for first in _FIRST for last in _LAST]
        parts = {part for person in people for part in person.split()}
        wrong = fact._replace(
            who=rng.choice([name for name in names if not parts & set(name.split())])
        )
    else:
        wrong = fact._replace(denied=not fact.denied)
    return [*given[:place], wrong, *given[place + 1 :]]


_VERB = "|".join(form for forms in _VERBS for form in forms)
_STATEMENTS = (
    re.compile(
        rf"(?P<who>[A-Z]\w+ [A-Z]\w+) (?P<not>did not )?(?P<verb>{_VERB}) the (?P<number>\d+)"
        r" (?P<things>\w+) at (?P<place>\w+)\."
    ),
    re.compile(
        r"The (?P<number>\d+) (?P<things>\w+) at (?P<place>\w+) (?P<who>[A-Z]\w+ [A-Z]\w+)"
        rf" (?P<not>did not )(?P<verb>{_VERB})\."
    ),
    re.compile(
        rf"At (?P<place>\w+) the (?P<number>\d+) (?P<things>\w+) were (?P<verb>{_VERB}) by"
        r" (?P<who>[A-Z]\w+ [A-Z]\w+)(?P<not>)\."
    ),
)


def stated(text: str) -> set[Fact]:
    """The facts that a document or a rephrasing states."""
    return {
        Fact(
            found["who"],
            next(place for place, forms in enumerate(_VERBS) if found["verb"] in forms),
            int(found["number"]),
            found["things"],
            found["place"],
            bool(found["not"]),
        )
        for statement in _STATEMENTS
        for found in statement.finditer(text)
    }


def rephraser(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Tells documents again, of five two unfaithfully; judges by the facts."""
    bodies = [match["body"] for match in _FENCED.finditer(user)]
    if name == "rephrase":
        given = sorted(stated(bodies[0]))
        fate = rng.randrange(15)
        if fate < 6:
            given = changed(given, rng, CHANGES[fate % 3])
        return {"text": told(given, rng, user)}
    if name == "entailment":
        source, text = map(stated, bodies)
        wrong = sorted(text - source)
        return {
            "unsupported": str(wrong[0]) if wrong else "",
            "verdict": "unsupported" if wrong or not text else "supported",
        }
    return brains.answer(name, system, user, schema, rng)
