import gzip
import math
import random

import pytest

from divsyn_jax.diversity import baselines


def _words(texts):
    return [text.split() for text in texts]


REPEATED = ["a b c d e f"] * 4
DISJOINT = ["a b c d e", "f g h i j", "k l m n o"]
rng = random.Random(0)
NATURAL = [
    " ".join(rng.choice(["to", "be", "or", "not", "that", "is", "the", "question"]) for _ in range(60))
    for _ in range(40)
]


@pytest.mark.parametrize(("texts", "diversity"), [(REPEATED, 1.069), (DISJOINT, 4.0)])
def test_ngram_diversity_golden(texts, diversity):
    assert baselines.ngram_diversity(_words(texts)) == pytest.approx(diversity, abs=5e-4)


@pytest.mark.parametrize(("texts", "repetition"), [(REPEATED, 2.302585092994046), (DISJOINT, 0.0)])
def test_self_repetition_golden(texts, repetition):
    assert baselines.self_repetition(_words(texts)) == pytest.approx(repetition, abs=1e-12)


def test_ngram_diversity_equals_its_definition():
    words = " ".join(NATURAL).split()
    expected = 0.0
    for order in range(1, 5):
        grams = [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]
        expected += len(set(grams)) / len(grams)
    assert baselines.ngram_diversity(_words(NATURAL)) == pytest.approx(expected, abs=1e-12)


def test_self_repetition_equals_its_definition():
    documents = [*_words(NATURAL), ["to", "be", "or"], ["to", "be", "or", "not"]]
    sets = [{tuple(words[i : i + 4]) for i in range(len(words) - 3)} for words in documents]
    expected = [math.log(1 + sum(sum(gram in other for other in sets) - 1 for gram in grams)) for grams in sets]
    assert baselines.self_repetition(documents) == pytest.approx(sum(expected) / len(expected), abs=1e-12)


def test_too_few_words():
    assert baselines.ngram_diversity([["a", "b"]]) is None
    assert baselines.self_repetition([["a", "b"]]) == 0.0
    assert baselines.self_repetition([["a", "b"], ["c", "d"], ["e"]]) == 0.0  # no 4-gram crosses documents


@pytest.mark.parametrize("texts", [REPEATED, DISJOINT, NATURAL, ["é" * 50, "ü" * 70]])
def test_compression_ratio_is_one_gzip_pass(texts):
    data = " ".join(texts).encode()
    expected = len(data) / len(gzip.compress(data, 9, mtime=0))
    assert baselines.compression_ratio(texts) == pytest.approx(expected, abs=1e-12)


def test_compression_ratio_reads_no_more_than_its_limit():
    data = " ".join(NATURAL).encode()[:1000]
    expected = len(data) / len(gzip.compress(data, 9, mtime=0))
    assert baselines.compression_ratio(NATURAL, 1000) == pytest.approx(expected, abs=1e-12)


def test_budgets():
    assert baselines.cut_to_words(["a b c", "d e f", "g"], 4) == [["a", "b", "c"], ["d"]]
    assert baselines.largest_budget(["a b c", "d e f", "g"], 4) == baselines.Budget(4, len("a b c d e f"))
    assert baselines.largest_budget(["a b c"], 100) == baselines.Budget(3, 5)
    assert baselines.common_budget([baselines.Budget(5, 60), baselines.Budget(9, 30)]) == baselines.Budget(5, 30)
