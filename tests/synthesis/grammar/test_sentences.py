import random

import pytest

from divsyn_jax.synthesis.grammar import sentences
from divsyn_jax.synthesis.grammar.knowledge import topics


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("bees  dance", "Bees dance."),
        ("is it so?", "Is it so?"),
        ("done.", "Done."),
        ('"wait," said Ada', '"Wait," said Ada.'),
        ('Ada said: "wait for a dry day"', 'Ada said: "wait for a dry day."'),
        ('the word is "slip"', 'The word is "slip".'),
        ('"who is there?"', '"Who is there?"'),
        ("I was wrong. (It rained.)", "I was wrong. (It rained.)"),
        ("it is heavy (a ton)", "It is heavy (a ton)."),
        ("42 kilometres are run", "42 kilometres are run."),
    ],
)
def test_sentence(text, finished):
    assert sentences.sentence(text) == finished


@pytest.mark.parametrize(
    "phrase",
    [
        "an apple",
        "a pear",
        "an hour",
        "a unit",
        "a university",
        "an uninvited guest",
        "an umbrella",
        "a European",
        "a one-way valve",
        "an X-ray",
        "an MRI scan",
        "a DNA strand",
        "a user",
        "an usher",
        "an heir",
        "a house",
        "a UV lamp",
        "an 8-bit code",
        "a ewe",
    ],
)
def test_with_article(phrase):
    assert sentences.with_article(phrase.split(" ", 1)[1]) == phrase


def test_join():
    assert sentences.join_list([]) == ""
    assert sentences.join_list(["a"]) == "a"
    assert sentences.join_list(["a", "b"]) == "a and b"
    assert sentences.join_list(["a", "b", "c"]) == "a, b and c"
    assert sentences.join_list(["a, b", "c", "d"]) == "a, b; c; and d"


def test_bare():
    assert [sentences.bare(noun) for noun in ("a smoker", "the queen", "an apple", "ants")] == [
        "smoker",
        "queen",
        "apple",
        "ants",
    ]


def test_render_capitalises_on_request():
    assert (
        sentences.fill_template("{Who} or {who}", {"who": "the judge"}) == "The judge or the judge"
    )
    with pytest.raises(KeyError):
        sentences.fill_template("{nobody}", {"who": "the judge"})


def test_deck_deals_every_entry_once_and_no_template_twice():
    deck = sentences.Deck(topics()[0], random.Random(0))
    templates = [f"{number}: {{process}}" for number in range(6)]
    said = [deck.say("process", templates) for _ in topics()[0].processes]
    assert {text.split(": ")[1] for text in said} == {
        f"{process}." for process in topics()[0].processes
    }
    assert {text.split(": ")[0] for text in said} == set("012345")
    assert deck.left("process") == 0
    with pytest.raises(IndexError):
        deck.draw("process")
