import gzip
import math
import random

import numpy as np
import pytest

from divsyn_jax.base.words import words as words_of
from divsyn_jax.diversity.baselines import PARITY, lexical

FOXES = [
    "The quick brown fox jumps over the lazy dog.",
    "The quick brown fox jumps over the lazy dog again.",
    "Suddenly, the quick brown fox leaps swiftly over the sleeping dog.",
]
REPEATED = ["a b c d e f"] * 4
DISJOINT = ["a b c d e", "f g h i j", "k l m n o"]
rng = random.Random(0)


def _split(texts):
    return [text.split() for text in texts]


NATURAL = [
    " ".join(
        rng.choice(["to", "be", "or", "not", "that", "is", "the", "question"]) for _ in range(60)
    )
    for _ in range(40)
]


# The values of PyPI diversity 0.3.1. The time in its gzip header costs a byte more or less: 47 / 67
# on the day it was measured, 47 / 66 on another.
@pytest.mark.parametrize(
    ("texts", "ratio", "diversity", "repetition"),
    [
        (FOXES, 1.141, 2.72, 1.1945063128187032),
        (REPEATED, 0.701, 1.069, 2.302585092994046),
        (DISJOINT, 0.372, 4.0, 0.0),
    ],
)
def test_golden_values_under_parity(texts, ratio, diversity, repetition):
    assert lexical.compression_ratio(texts, parity=PARITY) == pytest.approx(
        ratio, abs=0.0115 if ratio == 0.701 else 0
    )
    assert lexical.published_ngram_diversity(texts) == diversity
    assert lexical.self_repetition(_split(texts)) == pytest.approx(repetition, abs=1e-12)


def test_the_default_is_the_true_value():
    assert lexical.compression_ratio(FOXES) == 162 / 108 == 1.5
    assert lexical.ngram_diversity(" ".join(FOXES).split()) == pytest.approx(2.72, abs=5e-4)
    assert lexical.ngram_diversity(" ".join(FOXES).split()) != 2.72  # not rounded


def test_parity_splits_words_at_single_spaces_only():
    texts = ["a  b\nc d", "a b\nc"]
    words = " ".join(texts).split(" ")
    assert words == ["a", "", "b\nc", "d", "a", "b\nc"]
    assert lexical.published_ngram_diversity(texts) == round(4 / 6 + 5 / 5 + 4 / 4 + 3 / 3, 3)
    assert lexical.ngram_diversity(words_of(" ".join(texts))) == pytest.approx(
        4 / 7 + 4 / 6 + 4 / 5 + 4 / 4
    )


def test_ngram_diversity_equals_its_definition():
    words = " ".join(NATURAL).split()
    expected = 0.0
    for order in range(1, 5):
        grams = [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]
        expected += len(set(grams)) / len(grams)
    assert lexical.ngram_diversity(words) == pytest.approx(expected, abs=1e-12)


def _grams(text):
    words = text.split()
    return [tuple(words[i : i + 4]) for i in range(len(words) - 3)]


def test_self_repetition_equals_its_definition():
    texts = [*NATURAL, "to be or", "to be or not"]
    sets = [set(_grams(text)) for text in texts]
    expected = [
        math.log(1 + sum(sum(gram in other for other in sets) - 1 for gram in grams))
        for grams in sets
    ]
    assert lexical.self_repetition(_split(texts)) == pytest.approx(np.mean(expected), abs=1e-12)


def test_legacy_self_repetition_equals_its_definition():
    texts = [*NATURAL, NATURAL[0], NATURAL[0], "to be or", "to be or not to be or not"]
    total = 0.0
    for text in texts:
        others = [set(_grams(other)) for other in texts if other != text]
        total += math.log(
            sum(1 + sum(gram in other for other in others) for gram in _grams(text)) or 1
        )
    assert lexical.self_repetition_legacy(_split(texts)) == pytest.approx(
        total / len(texts), abs=1e-12
    )


@pytest.mark.parametrize("words", [50, 100, 200, 400])
def test_legacy_self_repetition_measures_length(words):
    texts = [" ".join(f"{document}-{word}" for word in range(words)) for document in range(3)]
    assert lexical.self_repetition_legacy(_split(texts)) == pytest.approx(math.log(words - 3))
    assert lexical.self_repetition(_split(texts)) == 0


def test_too_few_words():
    assert lexical.ngram_diversity(["a", "b"]) is None
    for metric in (lexical.self_repetition, lexical.self_repetition_legacy):
        assert metric([["a", "b"]]) == 0.0
        assert metric([["a", "b"], ["c", "d"], ["e"]]) == 0.0  # no 4-gram crosses documents


@pytest.mark.parametrize("texts", [REPEATED, DISJOINT, NATURAL, ["é" * 50, "ü" * 70]])
def test_compression_ratio_is_one_gzip_pass(texts):
    data = " ".join(texts).encode()
    expected = len(data) / len(gzip.compress(data, 9, mtime=0))
    assert lexical.compression_ratio(texts) == pytest.approx(expected, abs=1e-12)


def test_compression_ratio_reads_no_more_than_its_limit():
    data = " ".join(NATURAL).encode()[:1000]
    expected = len(data) / len(gzip.compress(data, 9, mtime=0))
    assert lexical.compression_ratio(NATURAL, 1000) == pytest.approx(expected, abs=1e-12)


def test_context_length_has_quantiles_of_the_sample():
    value, found = lexical.context_length(np.arange(1, 102), 51.0, 29.3, 1000)
    assert (value, found["sd"], found["documents"]) == (51.0, 29.3, 1000)
    assert found["quantiles"] == {
        "0.05": 6.0,
        "0.25": 26.0,
        "0.5": 51.0,
        "0.75": 76.0,
        "0.95": 96.0,
    }


@pytest.mark.parametrize(
    "metric", [lexical.ngram_diversity, lexical.self_repetition, lexical.self_repetition_legacy]
)
def test_what_is_sorted_grows_as_the_words(metric, monkeypatch):
    """Words of a fixed vocabulary:

    ten times the words are ten times the elements that numpy sorts, not a hundred.
    """
    sorted_elements = 0
    unique = np.unique

    def counting(values, **options):
        nonlocal sorted_elements
        sorted_elements += len(values)
        return unique(values, **options)

    monkeypatch.setattr(lexical.np, "unique", counting)
    sizes = []
    for documents in (20, 200):
        sorted_elements = 0
        texts = (NATURAL * 10)[:documents]
        metric(" ".join(texts).split() if metric is lexical.ngram_diversity else _split(texts))
        sizes.append(sorted_elements)
    assert 0 < sizes[0] <= 4 * 20 * 60
    assert sizes[1] <= 10.1 * sizes[0]
