import itertools

import pytest

from divsyn_jax.synthesis.grammar import grammar
from divsyn_jax.synthesis.grammar.formats import (
    GRAMMAR_FORMATS,
    flattened,
    in_format,
    words_of_text,
)
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.grammar.styles import STYLES


def test_a_layout_is_taken_off():
    assert flattened("A title\n\nFirst. Second one?\n\n1. Do this.\n2. Do that.") == [
        "A title.",
        "First.",
        "Second one?",
        "Do this.",
        "Do that.",
    ]
    assert flattened('"No," he said. "It is 3.5 m." Then he left.') == [
        '"No," he said.',
        '"It is 3.5 m."',
        "Then he left.",
    ]


@pytest.mark.parametrize("layout", GRAMMAR_FORMATS, ids=lambda layout: layout.name)
def test_a_format_keeps_every_word_and_adds_what_it_says(layout):
    style = dict.fromkeys(("topics", "personas"), 1)
    documents = itertools.islice(
        grammar.generate_passages(Breadth(**style, styles=len(STYLES), wordings=1), 0), 36
    )
    seen = set()
    for d in documents:
        laid_out = in_format(d["text"], layout)
        assert words_of_text(laid_out) == words_of_text(d["text"]) + layout.added_words
        plain = " ".join(flattened(d["text"])).split()
        rest = iter(laid_out.replace("|", " ").split())
        assert all(word in rest for word in plain)  # in their order
        seen.add(laid_out.split()[0])
    assert len(seen) == 1 or layout.name in ("running text", "spaced lines")


def test_formats_are_dealt_and_named():
    breadth = Breadth(2, 2, 1, wordings=1, formats=len(GRAMMAR_FORMATS))
    documents = list(itertools.islice(grammar.generate_passages(breadth, 0), 80))
    assert {d["format"] for d in documents} == {layout.name for layout in GRAMMAR_FORMATS}
    assert {d["wording"] for d in documents} == {"wording 0"}
    assert documents[0]["cell"].count(" / ") == 4
