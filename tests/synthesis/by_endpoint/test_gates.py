import random

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.synthesis.by_endpoint import gates
from divsyn_jax.synthesis.by_endpoint.gates import Gates, NearDuplicates
from divsyn_jax.synthesis.grammar.grammar import Breadth, document
from tests.synthesis.writer_brains import GERMAN

ENGLISH, OTHER = (document(Breadth(2, 1, 1), 0, number)["text"] for number in range(2))
LOOP = "septal " * 60


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{ENGLISH} {OTHER}", None),
        (f"{ENGLISH} {ENGLISH}", "repetition"),
        # A loop is found whatever stands before it, and after it.
        (f"{ENGLISH} {OTHER} {LOOP}", "repetition"),
        (f"{ENGLISH} {LOOP} {OTHER}", "repetition"),
        (
            ENGLISH + " and then it was again the love of a person that loves you," * 40,
            "repetition",
        ),
        (ENGLISH[:100], "too_short"),
        (ENGLISH * 20, "too_long"),
        (GERMAN * 12, "language"),
        ("水は川を流れて海に注ぐ。 " * 60, "language"),
        (f"I'm sorry, but I can't write that. {ENGLISH * 2}", "refusal"),
        (f"{ENGLISH} As an AI language model, I have no bees. {ENGLISH}", "refusal"),
        (f"{ENGLISH}\n\nI cannot help with this request. {ENGLISH}", "refusal"),
        (f"{ENGLISH}\n\nI’m sorry, but I am not able to provide that. {ENGLISH}", "refusal"),
        (
            (
                f'{ENGLISH} "I am sorry," said Oona. "Sorry, I can\'t come tomorrow." I cannot'
                f" swim. {OTHER}"
            ),
            None,
        ),
        # A text about refusing, or about machines, is none.
        (
            (
                f"{ENGLISH} The clerk said that she was sorry she could not help; an AI would have."
                f" {OTHER}"
            ),
            None,
        ),
    ],
)
def test_faults_of_one_text(text, fault):
    assert Gates(min_words=150, max_words=1500).fault(text) == fault


def test_any_language_may_be_asked_for():
    assert Gates(language="de", most_repeated=1.0).fault(GERMAN * 12) is None
    assert Gates(language="", most_repeated=1.0).fault(GERMAN * 12) is None
    with pytest.raises(UserError, match="language='english'"):
        Gates(language="english")


def similarity(first, second):
    """Jaccard similarity of sets of word 5-grams, exactly."""
    one, two = (
        {tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in (first.split(), second.split())
    )
    return len(one & two) / len(one | two)


def test_near_duplicates_are_those_of_exact_jaccard_similarity():
    rng = random.Random(0)
    base = [f"w{rng.randrange(10_000)}" for _ in range(400)]
    outcome = {}
    for changed in (1, 4, 8, 30, 60):
        found = []
        for _ in range(20):
            other = list(base)
            for place in rng.sample(range(len(other)), changed):
                other[place] = "else"
            near = NearDuplicates(0.75)
            assert near.enter(" ".join(base))
            found.append(not near.enter(" ".join(other)))
        outcome[round(similarity(" ".join(base), " ".join(other)), 1)] = sum(found)
    assert {
        similar: found for similar, found in outcome.items() if similar >= 0.9
    } == dict.fromkeys((1.0, 0.9), 20)
    assert all(found == 0 for similar, found in outcome.items() if similar <= 0.5), outcome


def test_only_the_latest_are_remembered(monkeypatch):
    monkeypatch.setattr(gates, "_REMEMBERED", 3)
    near, texts = NearDuplicates(0.75), [" ".join(f"{a}{i}" for i in range(50)) for a in "abcd"]
    assert all(map(near.enter, texts))
    assert not near.enter(texts[3])
    assert not near.enter(texts[1])
    assert near.enter(texts[0])


def test_above_one_no_text_is_near_another():
    near = NearDuplicates(2.0)
    assert near.enter("one two three four five six")
    assert near.enter("one two three four five six")


def test_how_much_repeats_is_counted_in_five_words():
    assert gates.repeated_share(["a", "b", "c", "d", "e", "f"]) == 0
    assert gates.repeated_share(["a", "b", "c", "d"]) == 0
    assert gates.repeated_share(["a"] * 14) == pytest.approx(0.9)
    with pytest.raises(UserError, match="most_repeated=0"):
        Gates(most_repeated=0)
    assert Gates(most_repeated=1.0, min_words=1).fault(LOOP * 3 + ENGLISH) is None


def test_above_one_nothing_is_near():
    near = NearDuplicates(2.0)
    assert near.enter(ENGLISH)
    assert near.enter(ENGLISH)
