"""The knowledge behind the built-in grammar:

one TOML file a topic (format: knowledge/README.md), loaded and checked once.
"""

import dataclasses
import functools
import importlib.resources
import tomllib
from importlib.resources.abc import Traversable
from typing import Any

FACT_KINDS = frozenset(
    (
        "number",
        "material",
        "person",
        "place",
        "process",
        "tool",
        "term",
        "animal",
        "plant",
        "date",
        "organ",
        "substance",
    )
)
MIN_KINDS = 3
# Names that may open a clause in capitals; any other capital there is a slip. A new topic adds its
# own.
PROPER_NAMES = frozenset(("Roman", "Shor's"))
_PREPOSITIONS = frozenset(
    (
        "in",
        "at",
        "near",
        "on",
        "under",
        "beside",
        "by",
        "inside",
        "outside",
        "along",
        "above",
        "below",
        "behind",
        "between",
    )
)


@dataclasses.dataclass(frozen=True)
class Fact:
    """One checkable fact of a topic:

    a question, its short answer, and the sentence that states it.
    """

    kind: str
    question: str
    answer: str
    statement: str


@dataclasses.dataclass(frozen=True)
class Topic:
    """What the grammar knows about one topic; the fields are those of knowledge/README.md, in the
    order of the file.

    Attributes:
      file: name of the file the topic was read from.
    """

    file: str
    name: str
    field: str
    definition: str
    terms: tuple[tuple[str, str], ...]
    processes: tuple[str, ...]
    causes: tuple[tuple[str, str], ...]
    tools: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    people: tuple[str, ...]
    quantities: tuple[tuple[str, str, str], ...]
    mistakes: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclasses.dataclass(frozen=True)
class _Shape:
    """How many entries a list has, and what each part of an entry is:

    a noun phrase, a lower-case clause, or free text.
    """

    count: int
    parts: tuple[str, ...]


_LISTS = {
    "terms": _Shape(10, ("noun", "noun")),
    "processes": _Shape(6, ("clause",)),
    "causes": _Shape(5, ("noun", "clause")),
    "tools": _Shape(4, ("noun", "clause")),
    "places": _Shape(3, ("place",)),
    "people": _Shape(3, ("person",)),
    "quantities": _Shape(3, ("noun", "clause", "text")),
    "mistakes": _Shape(3, ("clause", "clause")),
    "steps": _Shape(6, ("clause",)),
}
_FACTS = 8
# The last entries of these lists are told in documents and never asked there: so many are left to
# the instructions that fine-tuning learns from, and so many to the items that evaluation asks
# (questions.py).
HELD_OUT = {"terms": (2, 2), "tools": (1, 1), "facts": (2, 2)}


def without_held_out(topic: "Topic") -> "Topic":
    """What documents may put as questions: the topic without its held-out entries."""
    return dataclasses.replace(
        topic, **{name: getattr(topic, name)[: -sum(HELD_OUT[name])] for name in HELD_OUT}
    )


def of_instructions(topic: "Topic", entries: str) -> tuple:
    """The held-out entries that instructions ask."""
    count, of_items = HELD_OUT[entries]
    return getattr(topic, entries)[-count - of_items : -of_items]


def of_items(topic: "Topic", entries: str) -> tuple:
    """The held-out entries that nothing but items asks."""
    return getattr(topic, entries)[-HELD_OUT[entries][1] :]


@functools.cache
def topics() -> tuple[Topic, ...]:
    """All topics in file-name order.

    Raises `ValueError` naming the file and field of anything malformed.
    """
    return load_topics(importlib.resources.files("divsyn_jax.synthesis.grammar") / "knowledge")


def load_topics(folder: Traversable) -> tuple[Topic, ...]:
    """The topics of the TOML files in `folder`, in file-name order; raises `ValueError` as `topics`
    does.
    """
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    loaded = tuple(_topic(entry.name, entry.read_text(encoding="utf-8")) for entry in files)
    owners: dict[str, str] = {}
    for topic in loaded:
        if topic.name in owners:
            raise ValueError(
                f"{topic.file}: name: {topic.name!r} is already the topic of {owners[topic.name]}"
            )
        owners[topic.name] = topic.file
    return loaded


def _topic(file: str, source: str) -> Topic:
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not valid TOML ({error})") from None
    expected = {field.name for field in dataclasses.fields(Topic)} - {"file"}
    if set(values) != expected:
        missing, unknown = sorted(expected - set(values)), sorted(set(values) - expected)
        raise ValueError(
            f"{file}: {', '.join(missing + unknown)}: missing fields {missing}, unknown fields"
            f" {unknown}"
        )
    for name, part in (("name", "clause"), ("field", "clause"), ("definition", "noun")):
        _check(f"{file}: {name}", values[name], part)
    lists = {name: _entries(file, name, values[name], shape) for name, shape in _LISTS.items()}
    facts = _facts(file, values["facts"])
    return Topic(file, values["name"], values["field"], values["definition"], facts=facts, **lists)


def _entries(file: str, name: str, entries: Any, shape: _Shape) -> tuple:
    if not isinstance(entries, list) or len(entries) != shape.count:
        found = len(entries) if isinstance(entries, list) else type(entries).__name__
        raise ValueError(
            f"{file}: {name}: a list of {shape.count} entries is expected, not {found}"
        )
    checked = []
    for index, entry in enumerate(entries):
        where = f"{file}: {name}[{index}]"
        parts = [entry] if len(shape.parts) == 1 else entry
        if not isinstance(parts, list) or len(parts) != len(shape.parts):
            raise ValueError(f"{where}: {len(shape.parts)} strings are expected, not {entry!r}")
        for text, part in zip(parts, shape.parts, strict=True):
            _check(where, text, part)
        checked.append(entry if len(shape.parts) == 1 else tuple(entry))
    if len(set(checked)) != len(checked):
        raise ValueError(f"{file}: {name}: an entry occurs twice")
    return tuple(checked)


def _facts(file: str, entries: Any) -> tuple[Fact, ...]:
    if not isinstance(entries, list) or len(entries) != _FACTS:
        raise ValueError(f"{file}: facts: a list of {_FACTS} tables is expected")
    names = {field.name for field in dataclasses.fields(Fact)}
    facts = []
    for index, entry in enumerate(entries):
        where = f"{file}: facts[{index}]"
        if not isinstance(entry, dict) or set(entry) != names:
            raise ValueError(f"{where}: the fields {sorted(names)} are expected")
        for name, value in entry.items():
            _check(f"{where}.{name}", value, "text")
        fact = Fact(**entry)
        if fact.kind not in FACT_KINDS:
            raise ValueError(
                f"{where}.kind: {fact.kind!r} is not one of {', '.join(sorted(FACT_KINDS))}"
            )
        if not fact.question.endswith("?"):
            raise ValueError(f"{where}.question: must end with a question mark: {fact.question!r}")
        if not (fact.statement[0].isupper() or fact.statement[0].isdigit()):
            raise ValueError(
                f"{where}.statement: must start with a capital letter: {fact.statement!r}"
            )
        facts.append(fact)
    if len({fact.kind for fact in facts}) < MIN_KINDS:
        raise ValueError(f"{file}: facts: at least {MIN_KINDS} different kinds are expected")
    return tuple(facts)


def _check(where: str, text: Any, part: str) -> None:
    """Raise `ValueError` starting with `where` unless `text` can stand where the grammar puts a
    `part`.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: a text that is not empty is expected, not {text!r}")
    if text != " ".join(text.split()):
        raise ValueError(f"{where}: spare white space in {text!r}")
    if text.endswith("."):
        raise ValueError(f"{where}: no full stop at the end: {text!r}")
    first = text.split()[0]
    # An acronym or a name such as "X-rays" may open a clause in capitals; an ordinary capitalised
    # word may not.
    if (
        part == "clause"
        and first[0].isupper()
        and first[1:2].islower()
        and first not in PROPER_NAMES
    ):
        raise ValueError(f"{where}: must start in lower case: {text!r}")
    if part in ("noun", "person", "place") and first in ("A", "An", "The"):
        raise ValueError(f"{where}: its article must be in lower case: {text!r}")
    if part == "place" and first not in _PREPOSITIONS:
        raise ValueError(f"{where}: must start with a preposition such as 'in' or 'near': {text!r}")
    if part == "person" and first not in ("a", "an", "the"):
        raise ValueError(f"{where}: must start with an article: {text!r}")
