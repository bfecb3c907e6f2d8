"""What a rephrasing may not change is found without a model, and faithful ones pass."""

import random

import pytest

from divsyn_jax.synthesis.rephrasing.faithfulness import numbers_of, unfaithful
from tests.synthesis import facts

SOURCE = (
    "The bridge at Bergen was built in 1972 by Ingrid Solberg. It carries 12,500 cars a day and is"
    " 430 metres long. The toll was not raised after 1990. Twenty-one workers lost no day of work."
    " In Oslo, 12 ships and 30 men were counted. Engineers did not trust the eastern pylon."
)


@pytest.mark.parametrize(
    "text",
    [
        "Built in 1972 by Ingrid Solberg, Bergen's bridge is 430 metres long; 12500 cars use it.",
        "After 1990 the toll was never raised. The 21 workers lost no day of work.",
        "12.5 thousand cars use the bridge at Bergen a day.",
        "Q1: Who built the bridge?\nA1: Ingrid Solberg built it in 1972.\nQ2: How long is it?",
        "1. Look at the bridge, built in 1972.\nStep 2: Remember the 12 ships in Oslo.",
        "| What | Value |\n|---|---|\n| Length | 430 metres |\n| Ships in Oslo | 12 |",
        "# The Bridge At Bergen And Its Builder\nHowever, nobody trusts long bridges blindly.",
        "Is the bridge not safe? Engineers did not trust its eastern pylon.",
    ],
)
def test_faithful_texts_pass(text):
    assert unfaithful(SOURCE, text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The bridge at Bergen was built in 1973.", "number"),
        ("It carries 12.5 cars a day.", "number"),
        ("Twenty-two workers lost no day of work.", "number"),
        ("In Oslo, 30 ships and 12 men were counted.", "number"),  # both stand in the source
        ("It is 43 metres long.", "number"),
        ("The bridge at Bergen was built by Astrid Solberg.", "name"),
        ("The bridge at Trondheim was built in 1972.", "name"),
        ("The toll was raised after 1990.", "negation"),
        ("The bridge does not carry 12,500 cars a day.", "negation"),
        ("Engineers did trust the eastern pylon.", "negation"),
        (
            "The toll wasn\u2019t raised after 1990. Engineers trusted the eastern pylon.",
            "negation",
        ),
    ],
)
def test_a_changed_number_name_or_denial_is_found(text, reason):
    assert unfaithful(SOURCE, text) == reason


def test_numbers_are_read_as_they_are_written():
    text = "1. 1.5 million, 3,5 kg, 1 000 and 2,000.50 in ten days; Step 2: 50% on the third day"
    numbers = [number for number, _ in numbers_of(text)]
    assert numbers == ["1500000", "3.5", "1000", "2000.5", "10", "50", "3"]


def test_capitals_of_german_nouns_are_no_names():
    source, text = "Die Brücke wurde 1972 gebaut.", "Der Bau der Brücke war 1972."
    assert unfaithful(source, text, "de") is None
    assert unfaithful(source, text, "en") == "name"


@pytest.mark.parametrize("change", facts.CHANGES)
def test_planted_changes_are_rejected_and_faithful_rephrasings_are_not(change):
    rng = random.Random(change)
    caught = passed = 0
    for number in range(120):
        given = facts.facts(rng)
        source = facts.document(given)
        user = ("", "questions that a reader", "numbered steps")[number % 3]
        passed += unfaithful(source, facts.told(given, rng, user)) is None
        wrong = facts.told(facts.changed(given, rng, change), rng, user)
        caught += unfaithful(source, wrong) is not None
    assert caught >= 0.95 * 120
    assert passed >= 0.95 * 120
