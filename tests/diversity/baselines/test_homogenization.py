import itertools
import random

import numpy as np
import pytest

from divsyn_jax.base.words import words as words_of
from divsyn_jax.diversity.baselines import PARITY
from divsyn_jax.diversity.baselines.homogenization import (
    homogenization,
    published_words,
    rouge_l,
)

from .test_lexical import DISJOINT, FOXES, REPEATED


def _lcs(first, second):
    """The textbook dynamic programme."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, j in itertools.product(range(len(first)), range(len(second))):
        table[i + 1][j + 1] = (
            table[i][j] + 1 if first[i] == second[j] else max(table[i][j + 1], table[i + 1][j])
        )
    return table[-1][-1]


def _folded(texts):
    return [words_of(text.lower()) for text in texts]


def _texts(vocabulary, count=12):
    rng = random.Random(vocabulary)
    return [
        " ".join(f"w{rng.randrange(vocabulary)}" for _ in range(rng.randrange(1, 90)))
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "vocabulary", [5, 400]
)  # words under and beyond the 256 characters of the quick table
def test_rouge_l_equals_the_slow_reference(vocabulary):
    texts = _texts(vocabulary)
    f1_NN = rouge_l(_folded(texts))
    words = [text.split() for text in texts]
    for i, j in itertools.permutations(range(len(texts)), 2):
        expected = 2 * _lcs(words[i], words[j]) / (len(words[i]) + len(words[j]))
        assert f1_NN[i, j] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("texts", "published", "true"), [(FOXES, 0.771, None), (REPEATED, 1.0, 1.0), (DISJOINT, 1.0, 0)]
)
def test_golden_values(texts, published, true):
    assert homogenization(list(map(published_words, texts)), PARITY).value == published
    value = homogenization(_folded(texts)).value
    assert value == (pytest.approx(published, abs=5e-4) if true is None else true)


def test_case_punctuation_and_other_alphabets():
    texts = ["Straße, größer!", "STRASSE straße größer", "Иван пьёт чай", "иван пьёт кофе"]
    f1_NN = rouge_l(_folded(texts))
    assert f1_NN[0, 1] == pytest.approx(2 * 2 / 5)
    assert f1_NN[2, 3] == pytest.approx(2 * 2 / 6)
    assert (
        homogenization(list(map(published_words, texts[2:])), PARITY).value == 1.0
    )  # the published tokenizer sees no word: its "identical"


def test_the_interval_is_the_jackknife_over_documents():
    texts = _texts(20)
    found = homogenization(_folded(texts))
    without = [homogenization(_folded(texts[:i] + texts[i + 1 :])).value for i in range(len(texts))]
    variance = (len(texts) - 1) * np.var(without)
    half_width = 2.200985 * np.sqrt(variance)  # t, 11 degrees of freedom
    assert found.ci_low == pytest.approx(found.value - half_width, abs=1e-6)
    assert found.ci_high == pytest.approx(found.value + half_width, abs=1e-6)


def test_the_interval_covers_the_mean_of_the_generator():
    rng = random.Random(0)

    def corpus(count):  # documents of one of three phrase books, so pairs are dependent
        books = [[f"{book}{word}" for word in range(6)] for book in "abc"]
        return [" ".join(rng.choices(rng.choice(books), k=12)) for _ in range(count)]

    truth = homogenization(_folded(corpus(1500))).value
    intervals = [homogenization(_folded(corpus(40))) for _ in range(300)]
    assert 0.91 <= np.mean([found.ci_low <= truth <= found.ci_high for found in intervals]) <= 0.99


def test_too_few_documents():
    assert homogenization([["a"]]).reason == "fewer than two documents"
    assert homogenization([["a", "b"], ["a", "c"]]).to_json() == {
        "value": 0.5,
        "method": "no interval: fewer than three documents",
        "documents": 2,
    }
