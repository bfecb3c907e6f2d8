import collections
import importlib.resources
import itertools
import re

import pytest

from divsyn_jax.synthesis.grammar import grammar, wordings
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.grammar.knowledge import topics
from divsyn_jax.synthesis.grammar.personas import personas
from divsyn_jax.synthesis.grammar.styles import STYLES, frames
from divsyn_jax.synthesis.grammar.wordings import in_wording, synonym_sets
from tests.synthesis.grammar.test_grammar import FAULTS

WIDE = Breadth(8, len(STYLES), 8, wordings=wordings.count_of_wordings(), formats=1)


@pytest.fixture(scope="module")
def corpus():
    return list(itertools.islice(grammar.generate_passages(WIDE, 3), 160))


def test_the_first_wording_is_the_grammars_own():
    template = 'an error recurs, "{Name}," said {who}; a mistake'
    assert in_wording(template, 0) == template
    # Case, slots, hyphens and articles are kept in order.
    assert in_wording("an error of {error}", 1) == "a mistake of {error}"
    assert in_wording("An error", 1) == "A mistake"
    assert in_wording("Suddenly error-free", 1) == "Abruptly error-free"
    assert in_wording("a story", 2) == "an account"


def _frame_files():
    folder = importlib.resources.files("divsyn_jax.synthesis.grammar") / "frames"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


def test_wordings_differ_in_many_words_of_every_style():
    for file in _frame_files():
        own = frames(file, "grammar").templates
        for wording in range(1, wordings.count_of_wordings()):
            other = frames(file, "grammar", wording).templates
            pairs = [(a, b) for slot in own for a, b in zip(own[slot], other[slot], strict=True)]
            assert sum(a != b for a, b in pairs) > 0.4 * len(pairs), (file, wording)
            # What is filled in is nobody's wording.
            assert all(re.findall(r"\{\w+\}", a) == re.findall(r"\{\w+\}", b) for a, b in pairs)


def test_every_set_is_met_in_some_frame():
    written = [
        template
        for file in _frame_files()
        for templates in frames(file, "grammar").templates.values()
        for template in templates
    ]
    changed = [(text, in_wording(text, 1).lower()) for text in (*written, *grammar._BRIDGES)]
    unmet = [
        words[0]
        for words in synonym_sets()
        if not any(
            re.search(rf"\b{re.escape(words[0])}\b", text, re.IGNORECASE)
            and words[1].lower() in other
            for text, other in changed
        )
    ]
    assert not unmet


@pytest.mark.parametrize("pattern", FAULTS.values(), ids=FAULTS.keys())
def test_no_fault_of_form(corpus, pattern):
    found = [match.group() for d in corpus if (match := re.search(pattern, d["text"]))]
    assert not found, collections.Counter(found).most_common(5)


def test_knobs_change_neither_what_is_told_nor_who_tells_it():
    """Two corpora that differ in the number of wordings alone share their knowledge."""
    one, many = (
        list(
            itertools.islice(
                grammar.generate_passages(Breadth(4, 3, 3, wordings=n, formats=1), 0), 60
            )
        )
        for n in (1, 6)
    )
    for a, b in zip(one, many, strict=True):
        assert (a["topic"], a["style"], a["persona"]) == (b["topic"], b["style"], b["persona"])
    # Entries of the knowledge stand in both word for word.
    clauses = [process for topic in topics()[:4] for process in topic.processes]
    told = [
        sum(clause in d["text"] for d in documents for clause in clauses)
        for documents in (one, many)
    ]
    assert min(told) > 30
    words = [len({w for d in documents for w in d["text"].split()}) for documents in (one, many)]
    assert words[1] > 1.08 * words[0]


def test_knobs_do_not_leak_into_length():
    """Persona, style, wording and format each explain next to nothing of the length."""
    breadth = Breadth(4, len(STYLES), 4, wordings=4, formats=4)
    documents = list(itertools.islice(grammar.generate_passages(breadth, 0), 360))
    lengths = [grammar.words_of_text(d["text"]) for d in documents]
    # A few passages cannot be made so short or so long.
    assert sum(abs(length - 126) <= 16 for length in lengths) > 0.98 * len(lengths)
    mean = sum(lengths) / len(lengths)
    total = sum((length - mean) ** 2 for length in lengths)
    for axis in ("topic", "style", "persona", "wording", "format"):
        groups = collections.defaultdict(list)
        for d, length in zip(documents, lengths, strict=True):
            groups[d[axis]].append(length)
        between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups.values())
        assert between < 0.05 * total, axis


def test_held_out_text_can_be_new_on_one_axis():
    trained = Breadth(20, 6, 12, wordings=4, formats=6)
    seen = list(itertools.islice(grammar.generate_passages(trained, 0), 240))
    for axis, label in (
        ("topics", "topic"), ("styles", "style"), ("personas", "persona"),
        ("wordings", "wording"), ("formats", "format"),
    ):  # fmt: skip
        count = grammar.limits()[axis] - getattr(trained, axis)
        new = Breadth(
            **{
                **{name: getattr(trained, name) for name in grammar.limits()},
                axis: count,
                "from_back": (axis,),
            }
        )
        unseen = list(itertools.islice(grammar.generate_passages(new, 1), 60))
        assert not {d[label] for d in unseen} & {d[label] for d in seen}
        assert len({d[label] for d in unseen}) == count
    with pytest.raises(ValueError, match="from_back names 'topic'; known are topics"):
        Breadth(1, 1, 1, from_back=("topic",))


def test_personas_are_left_in_their_own_words(corpus):
    asides = {
        persona.name: [text for text in persona.asides if "{" not in text] for persona in personas()
    }
    said = [any(text in d["text"] for text in asides[d["persona"]]) for d in corpus]
    assert sum(said) > 12
