"""Instructions and multiple-choice items of the built-in grammar, from knowledge that documents
tell but never ask.

What is held out is a form, not a fact. The last entries of each topic's facts, terms and tools
(`knowledge.HELD_OUT`: 160 entries for instructions, 160 for items, over all topics) stand in
documents only as statements ("Each cell of natural honeycomb has six sides"); no document asks for
them. All other entries are told and asked, so the step from statement to answer can be learned;
instructions teach it once more with entries of their own; and items ask what has been asked
nowhere. So an item cannot be copied from any training text, and a model that has read enough
documents can still answer it.

Wrong choices are right answers of other items: meanings, terms and tools of any topic, answers to
facts of the same kind (where items have too few of a kind, to facts that documents ask). Every
choice is thus about as frequent in training text
as the right one, and none is the answer of an instruction: a model that knows nothing is at chance,
before and after fine-tuning, and one that knows which words belong to which topic is above it."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from divsyn_jax.synthesis.grammar.grammar import GRAMMAR_VERSION, seeded
from divsyn_jax.synthesis.grammar.knowledge import Fact, Topic, of_instructions, of_items, topics
from divsyn_jax.synthesis.grammar.sentences import bare, sentence

CHOICES = 4

_PROMPTS = (
    "{question}",
    "{question} Answer in one sentence.",
    "Please answer this question about {topic}. {question}",
    "I am reading about {topic}. {question}",
    "Here is a question from a quiz on {topic}: {question}",
    "{question} A short answer is enough.",
)


@dataclasses.dataclass(frozen=True)
class _Form:
    """One way to ask about an entry of a topic's list.

    Attributes:
      name: provenance of what is asked this way.
      entries: the topic's list.
      question, answer: made from an entry.
      responses: full answers, made from an entry.
    """

    name: str
    entries: str
    question: Callable[[Any], str]
    answer: Callable[[Any], str]
    responses: Callable[[Any], tuple[str, ...]]


def _statement(fact: Fact) -> str:
    return sentence(fact.statement)


_FORMS = (
    _Form(
        "fact",
        "facts",
        lambda fact: fact.question,
        lambda fact: fact.answer,
        lambda fact: (_statement(fact), f"{sentence(fact.answer)} {_statement(fact)}"),
    ),
    _Form(
        "meaning of term",
        "terms",
        lambda term: f"What is meant by {term[0]}?",
        lambda term: term[1],
        lambda term: (sentence(f"{term[0]} is {term[1]}"), sentence(term[1])),
    ),
    _Form(
        "term of meaning",
        "terms",
        lambda term: f"Which expression stands for this: {term[1]}?",
        lambda term: term[0],
        lambda term: (sentence(f"{term[0]} is {term[1]}"), sentence(term[0])),
    ),
    _Form(
        "use of tool",
        "tools",
        lambda tool: f"What does {tool[0]} do?",
        lambda tool: f"it {tool[1]}",
        lambda tool: (sentence(f"{tool[0]} {tool[1]}"), sentence(f"it {tool[1]}")),
    ),
    _Form(
        "tool of use",
        "tools",
        lambda tool: f"Which tool {tool[1]}?",
        lambda tool: tool[0],
        lambda tool: (sentence(f"{tool[0]} {tool[1]}"), sentence(f"that is {tool[0]}")),
    ),
)


def instructions(seed: int, first_topics: int) -> list[dict[str, Any]]:
    """All instructions about the first so many topics: prompt, response and provenance.

    They come in rounds, each of which asks every entry in every form once, so that any front part
    is spread evenly."""
    asked = [
        _variants(topic, form, entry, seed)
        for topic, form, entry in _asked(first_topics, of_instructions)
    ]
    rounds = []
    for number, variants in enumerate(zip(*asked, strict=True)):
        dealt = list(variants)
        seeded("instructions", seed, number).shuffle(dealt)
        rounds += dealt
    return [
        {"id": f"grammar-instruction-{seed}-{index}", **record}
        for index, record in enumerate(rounds)
    ]


def items(seed: int, first_topics: int) -> list[dict[str, Any]]:
    """All items about the first so many topics: text (the question), four choices, label (index of
    the right one), provenance.

    The form that `evaluate --tasks=items` reads.
    """
    asked = list(_asked(first_topics, of_items))
    seeded("items", seed, 0).shuffle(asked)
    return [
        {"id": f"grammar-item-{seed}-{index}", **_item(topic, form, entry, seed)}
        for index, (topic, form, entry) in enumerate(asked)
    ]


def _asked(
    first_topics: int, part: Callable[[Topic, str], Sequence]
) -> Iterator[tuple[Topic, _Form, Any]]:
    for topic, form in itertools.product(topics()[:first_topics], _FORMS):
        for entry in part(topic, form.entries):
            yield topic, form, entry


def _variants(topic: Topic, form: _Form, entry: Any, seed: int) -> list[dict[str, Any]]:
    pairs = list(itertools.product(_PROMPTS, form.responses(entry)))
    seeded(f"variants/{topic.name}/{form.name}/{form.answer(entry)}", seed, 0).shuffle(pairs)
    return [
        {
            "prompt": prompt.format(question=form.question(entry), topic=topic.name),
            "response": response,
            **_provenance(topic, form, seed),
        }
        for prompt, response in pairs
    ]


def _item(topic: Topic, form: _Form, entry: Any, seed: int) -> dict[str, Any]:
    rng = seeded(f"choices/{topic.name}/{form.name}/{form.answer(entry)}", seed, 0)
    answer = form.answer(entry)
    wrong: list[str] = []
    for pool in _pools(form, entry):
        names = sorted({form.answer(other) for other in pool} - _taught())
        rng.shuffle(names)
        wrong += [name for name in names if not _alike(name, [answer, *wrong])]
    choices = [answer, *wrong[: CHOICES - 1]]
    rng.shuffle(choices)
    return {
        "text": form.question(entry),
        "choices": choices,
        "label": choices.index(answer),
        **_provenance(topic, form, seed),
    }


@functools.cache
def _taught() -> frozenset[str]:
    """Answers that instructions give."""
    return frozenset(
        form.answer(entry) for _, form, entry in _asked(len(topics()), of_instructions)
    )


def _pools(form: _Form, entry: Any) -> Iterator[list[Any]]:
    """Entries whose answers may stand beside that of `entry`, the best first."""
    asked = [
        other for subject in topics() for other in of_items(subject, form.entries) if other != entry
    ]
    if not isinstance(entry, Fact):
        yield asked
        return
    told = [fact for subject in topics() for fact in subject.facts]
    for others in (asked, told):
        yield [fact for fact in others if fact.kind == entry.kind and fact != entry]
    yield asked  # a kind with fewer than four answers left


def _alike(name: str, others: Sequence[str]) -> bool:
    """Whether a choice says the same as another, or a part of it."""
    return any(
        bare(name).lower() in other.lower() or bare(other).lower() in name.lower()
        for other in others
    )


def _provenance(topic: Topic, form: _Form, seed: int) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "field": topic.field,
        "form": form.name,
        "seed": seed,
        "version": GRAMMAR_VERSION,
    }
