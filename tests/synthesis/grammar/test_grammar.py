import collections
import itertools
import os
import random
import re
import subprocess
import sys

import pytest

from divsyn_jax.data.readers.corpus import TextFingerprint
from divsyn_jax.synthesis.grammar import grammar
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.grammar.knowledge import (
    of_instructions,
    of_items,
    topics,
    without_held_out,
)
from divsyn_jax.synthesis.grammar.personas import Voice, personas
from divsyn_jax.synthesis.grammar.styles import GENERATORS, STYLES, frames

# By version of the grammar: any edit of it or of its knowledge makes a new version.
GOLDEN = {3: "a58a4b049cc098435a4977d27c691a0ce654bd75388dfd70b6a000b5db6b7037"}

FULL = Breadth(**grammar.limits())


def generate(breadth, documents, seed):
    return itertools.islice(grammar.generate_passages(breadth, seed), documents)


def fingerprint(documents):
    total = TextFingerprint()
    for document in documents:
        total.update(document["text"])
    return total.hexdigest()


@pytest.fixture(scope="module")
def grid():
    """Every topic x style x persona once, as (style, persona, text)."""
    return [
        (
            style,
            persona,
            grammar.write_passage(
                topic, style, persona, random.Random(f"{topic.name}/{style.name}/{persona.name}")
            ),
        )
        for topic, style, persona in itertools.product(topics(), STYLES, personas())
    ]


def test_golden():
    assert fingerprint(generate(Breadth(8, 9, 16), 200, seed=0)) == GOLDEN[grammar.GRAMMAR_VERSION]


def test_processes_with_other_hash_seeds_write_the_same():
    program = (
        "from divsyn_jax.synthesis.grammar.grammar import *; import hashlib;"
        " print(hashlib.sha256(repr(list(itertools.islice(generate_passages(Breadth(5, 8, 5), 3),"
        " 50))).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_document_does_not_depend_on_those_before():
    assert next(grammar.generate_passages(FULL, 1, first=39)) == list(generate(FULL, 40, 1))[-1]


def test_seed_and_breadth_change_the_texts():
    texts = [
        tuple(d["text"] for d in generate(Breadth(2, 2, k), 5, seed))
        for k, seed in ((1, 0), (2, 0), (1, 1))
    ]
    assert len(set(texts)) == 3


def test_provenance():
    document = next(generate(Breadth(1, 1, 1), 1, 7))
    assert document.pop("text")
    expected = {
        "template": "topic",
        "cell": "beekeeping / narrative textbook / neutral",
        "generator": "grammar",
        "version": grammar.GRAMMAR_VERSION,
        "topic": "beekeeping",
        "field": "agriculture",
        "style": "narrative textbook",
        "persona": "neutral",
        "seed": 7,
    }
    assert document == {"id": "grammar-7-0", **expected}
    ids = [document["id"] for document in generate(FULL, 100, 7)]
    assert ids == [f"grammar-7-{index}" for index in range(100)]


@pytest.mark.parametrize("documents", [1, 31, 200, 777])
def test_every_axis_is_balanced(documents):
    corpus = list(generate(Breadth(8, 5, 3), documents, 0))
    assert len(corpus) == documents
    for axis, size in (("topic", 8), ("style", 5), ("persona", 3)):
        counts = collections.Counter(document[axis] for document in corpus)
        assert max(counts.values()) - (min(counts.values()) if len(counts) == size else 0) <= 1


def test_topics_styles_and_personas_are_crossed_and_shuffled():
    corpus = list(generate(Breadth(4, 4, 4), 2000, 0))
    cells = collections.Counter((d["topic"], d["style"], d["persona"]) for d in corpus)
    assert len(cells) == 64
    assert max(cells.values()) < 4 * min(cells.values())
    order = [d["topic"] for d in corpus]
    assert order[:4] != order[4:8] or order[4:8] != order[8:12]


def test_a_broader_corpus_contains_the_entries_of_a_narrower_one():
    def entries(breadth, axis):
        return {document[axis] for document in generate(breadth, 300, 0)}

    for axis in ("topic", "style", "persona"):
        narrow, broad, full = (
            entries(breadth, axis) for breadth in (Breadth(2, 2, 2), Breadth(8, 4, 4), FULL)
        )
        assert narrow < broad < full


@pytest.mark.parametrize("axis", ["topics", "styles", "personas"])
@pytest.mark.parametrize("value", [0, -1, 10_000, 2.5, True])
def test_bad_breadth_names_axis_and_limit(axis, value):
    limit = grammar.limits()[axis]
    with pytest.raises(ValueError, match=rf"{axis} must be a whole number from 1 to {limit}"):
        Breadth(**{"topics": 1, "styles": 1, "personas": 1, axis: value})


def test_lists_are_as_long_as_promised():
    assert [style.name for style in STYLES[:4]] == [
        "narrative textbook",
        "academic textbook",
        "blog post",
        "how-to",
    ]
    assert grammar.limits()["topics"] >= 32
    assert len(STYLES) >= 8
    assert len(personas()) >= 16
    assert personas()[0].name == "neutral"
    assert personas()[0].neutral
    assert not any(persona.neutral for persona in personas()[1:])


def test_every_cell_has_a_passage_of_fair_length(grid):
    for _, _, text in grid:
        assert 80 <= len(text.split()) <= 160, text


FAULTS = {
    "doubled space": r"\S  +\S",
    "unfilled slot": r"[{}]",
    "doubled stop": r"\.\.|[.?!]\.|,\.|;\.|\.,",
    "a before a vowel": r"\b[Aa] (?!one|once|uni[^nm]|us[aeu]|eu|ewe|ut[ei])[aeiou]\w+",
    "space before a mark": r" [,.;:?!]",
    "lower case after a full stop": r"(?<!\.)(?<! [A-Z])[a-z0-9)][.?!] [a-z]",
    "lower case at the start of a line": r"(?m)^[a-z]|^(?:\d\.|Q:|A:) [a-z]",
    "repeated word": r"\b(\w+) \1\b",
    "quoted full stop outside": r'[.?!]"\.',
    "trailing space": r"(?m) $",
}


@pytest.mark.parametrize("pattern", FAULTS.values(), ids=FAULTS.keys())
def test_no_fault_of_form(grid, pattern):
    found = [match.group() for _, _, text in grid if (match := re.search(pattern, text))]
    assert not found, collections.Counter(found).most_common(5)


def test_quotation_marks_are_paired(grid):
    assert not [text for _, _, text in grid if text.count('"') % 2]


def test_personas_colour_passages_and_neutral_does_not(grid):
    coloured = [
        any(
            phrase in text
            for phrase in (
                persona.name,
                *persona.asides,
                *persona.things,
                *persona.sayings,
                *persona.closings,
            )
        )
        for _, persona, text in grid
        if not persona.neutral
    ]
    # A blog post may be coloured by its opening alone.
    assert sum(coloured) > 0.97 * len(coloured)
    worlds = re.compile(rf"\b({'|'.join(persona.world for persona in personas()[1:])})\b")
    assert not [text for _, persona, text in grid if persona.neutral and worlds.search(text)]


def test_styles_have_their_own_form():
    def write(name):
        style = next(style for style in STYLES if style.name == name)
        return [
            grammar.write_passage(topic, style, personas()[1], random.Random(0))
            for topic in topics()
        ]

    assert all(
        re.findall(r"(?m)^(\d)\. ", text) in (list("123"), list("1234"), list("12345"))
        for text in write("how-to")
    )
    assert all(len(re.findall(r"(?m)^[A-Z][a-z]+: ", text)) >= 6 for text in write("dialogue"))
    assert all(
        text.count("\nQ: ") == text.count("\nA: ") >= 4
        for text in write("question-and-answer page")
    )
    assert all(
        re.match(r"[^\n]*[Dd]ear[^\n]*,\n\n", text) and re.search(r",\n[A-Z]\w+$", text)
        for text in write("letter")
    )
    assert all(re.match(r"[A-Z]\w+, [A-Z]\w+day - [A-Z]", text) for text in write("news report"))
    assert all(
        text.count("\n\n") <= 1
        for name in ("narrative textbook", "academic textbook", "blog post")
        for text in write(name)
    )


def _near_copies(texts):
    """The share of pairs in which more than half of the shorter text's word 5-grams occur in the
    other.
    """
    grams = []
    for text in texts:
        tokens = text.split()
        grams.append({tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)})
    pairs = list(itertools.combinations(grams, 2))
    return sum(len(a & b) > 0.5 * min(len(a), len(b)) for a, b in pairs) / len(pairs)


def test_one_cell_still_varies():
    texts = [document["text"] for document in generate(Breadth(1, 1, 1), 300, 0)]
    assert len(set(texts)) == len(texts)
    assert _near_copies(texts) < 0.05


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_style_varies_within_one_topic(style):
    texts = [
        grammar.write_passage(topics()[1], style, personas()[0], random.Random(i))
        for i in range(120)
    ]
    assert len(set(texts)) == len(texts)
    assert _near_copies(texts) < 0.05


def test_near_copies_are_found():
    text = " ".join(map(str, range(100)))
    assert _near_copies([text, text + " end", "quite another text of six words"]) == pytest.approx(
        1 / 3
    )


def test_a_persona_colours_two_or_three_places(monkeypatch):
    places = []
    values = Voice.values
    monkeypatch.setattr(
        Voice, "values", lambda self, name: places.append(name) or values(self, name)
    )
    for style, seed in itertools.product(STYLES, range(60)):
        places.clear()
        style.write(topics()[0], Voice(personas()[1], random.Random(seed)), random.Random(seed))
        assert len(places) in (2, 3), (style.name, seed)


def test_templates_follow_from_the_breadth():
    breadths = {
        "topic": Breadth(4, 1, 1),
        "topic_styles": Breadth(4, 4, 1),
        "topic_styles_persona": Breadth(4, 4, 3),
        "multi_topic_styles_persona": Breadth(4, 4, 3, topics_per_document=2),
    }
    for template, breadth in breadths.items():
        assert {document["template"] for document in generate(breadth, 3, 0)} == {template}


def test_a_document_of_two_topics_continues_that_of_one():
    pairs = collections.Counter()
    single = generate(Breadth(5, 2, 2), 400, 3)
    double = generate(Breadth(5, 2, 2, topics_per_document=2), 400, 3)
    for one, two in zip(single, double, strict=True):
        assert two["text"].startswith(one["text"] + "\n\n")
        first, second = two["topic"].split(grammar.BETWEEN_TOPICS)
        assert first == one["topic"] != second
        assert second.lower() in two["text"][len(one["text"]) :].lower()
        pairs[first, second] += 1
    assert len(pairs) == 20
    with pytest.raises(ValueError, match="topics_per_document must be a whole number from 1 to 1"):
        Breadth(1, 1, 1, topics_per_document=2)


def test_dialects_word_the_same_passages_with_half_of_the_templates():
    def texts(*generators):
        return [
            document["text"]
            for document in generate(Breadth(3, 9, 3, generators=generators), 60, 0)
        ]

    written = {name: texts(name) for name in GENERATORS}
    assert all(a != b for a, b in itertools.combinations(written.values(), 2))
    mixed = list(generate(Breadth(3, 9, 3, generators=GENERATORS), 60, 0))
    assert all(
        document["text"] == written[document["generator"]][i] for i, document in enumerate(mixed)
    )
    assert set(collections.Counter(document["generator"] for document in mixed).values()) == {12}
    everything = frames("02_academic_textbook", "grammar").templates
    for dialect in GENERATORS[1:]:
        own = frames("02_academic_textbook", dialect).templates
        assert own.keys() == everything.keys()
        assert all(own[slot] and set(own[slot]) <= set(everything[slot]) for slot in own)
    assert sum(map(len, own.values())) < 0.7 * sum(map(len, everything.values()))
    for generators in ((), ("grammar", "grammar"), ("gpt-4o",)):
        with pytest.raises(
            ValueError, match="generators must be one or more of grammar, dialect-a"
        ):
            Breadth(1, 1, 1, generators=generators)


def test_held_out_knowledge_is_told_and_never_asked(grid):
    everything = "\n".join(text for _, _, text in grid).lower()
    asking = "\n".join(
        text for style, _, text in grid if style.name in ("dialogue", "question-and-answer page")
    ).lower()
    told = []
    for topic in topics():
        for part in (of_instructions, of_items):
            for fact in part(topic, "facts"):
                told.append(fact.statement.lower() in everything)
                assert fact.question.lower() not in everything
            for _, says in (*part(topic, "terms"), *part(topic, "tools")):
                told.append(says.lower() in everything)
                assert says.lower() not in asking
        told += [fact.question.lower() in everything for fact in without_held_out(topic).facts]
    assert sum(told) > 0.97 * len(told)  # about 150 passages a topic tell nearly everything
