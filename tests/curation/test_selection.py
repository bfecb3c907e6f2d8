"""Selection by vectors: what each rule is for."""

import numpy as np
import pytest

from divsyn_jax.curation import selection
from divsyn_jax.curation.vectors import DocumentVectors, nearest_items, semantic_duplicates
from divsyn_jax.diversity.baselines.novelsum import novelsum


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def of_kinds(counts, spread=0.3, dimensions=32, seed=0):
    """Vectors around as many centres as there are counts, shuffled, and the kind of each."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(counts), dimensions)))
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    noise = unit(rng.normal(size=(len(labels), dimensions)))
    return unit(centres[labels] + spread * noise), labels


def effective(labels):
    shares = np.bincount(labels) / len(labels)
    return 1 / (shares**2).sum()


@pytest.mark.parametrize("by", ["facility_location", "novelsum", "kinds", "random"])
def test_a_selection_has_its_size_and_is_the_same_again(by):
    vectors, _ = of_kinds([40, 30, 20, 10])
    rows = selection.select(vectors, 37, by, seed=3)
    assert len(set(rows.tolist())) == 37
    assert (np.diff(rows) > 0).all()
    assert (rows == selection.select(vectors.astype(np.float32), 37, by, seed=3)).all()


def test_parts_of_a_large_corpus_give_the_exact_count(monkeypatch):
    monkeypatch.setattr(selection, "_NOVELSUM_PART", 30)
    vectors, _ = of_kinds([40, 37, 20, 10])
    for count in (1, 2, 53, 106):
        assert len(selection.select(vectors, count, "novelsum", 0)) == count


@pytest.mark.parametrize("by", ["novelsum", "kinds"])
def test_selection_evens_out_kinds_that_a_random_subset_leaves_uneven(by):
    vectors, labels = of_kinds([200, 60, 20, 10, 10])
    chosen = selection.select(vectors, 50, by, 0)
    at_random = selection.select(vectors, 50, "random", 0)
    assert effective(labels[chosen]) > 1.8 * effective(labels[at_random])


def test_kinds_takes_equally_many_of_each_kind_as_long_as_there_are_any():
    vectors, labels = of_kinds([100, 30, 4], spread=0.1)
    counts = np.bincount(labels[selection.select(vectors, 24, "kinds", 0)])
    assert counts.tolist() == [10, 10, 4]


def test_novelty_raises_novelsum_and_facility_location_covers():
    vectors, _ = of_kinds([150, 40, 10])
    at_random = selection.random_subset(200, 20, 0)
    novel = selection.novelty(vectors, 20)
    assert novelsum(vectors[novel]) > novelsum(vectors[at_random])
    central = selection.facility_location(vectors, 20)

    def coverage(rows):
        return np.maximum(vectors @ vectors[rows].T, 0).max(axis=1).sum()

    assert coverage(central) > coverage(at_random)


def test_lazy_greedy_is_greedy():
    vectors, _ = of_kinds([20, 8, 4])
    cosines = np.maximum(vectors @ vectors.T, 0)
    covered, plain = np.zeros(32, np.float32), []
    for _ in range(10):
        gains = np.maximum(cosines - covered, 0).sum(axis=1)
        gains[plain] = -1
        plain.append(int(gains.argmax()))
        covered = np.maximum(covered, cosines[plain[-1]])
    assert selection.facility_location(vectors, 10).tolist() == plain


def test_semantic_duplicates_are_of_the_first_that_stays():
    rng = np.random.default_rng(0)
    base = unit(rng.normal(size=(700, 64)))
    near = unit(base[:100] + 0.01 * rng.normal(size=(100, 64)))
    documents = np.arange(800) * 2  # numbers in a corpus of which half is gone
    vectors = DocumentVectors(documents, np.concatenate([base, near]).astype(np.float16), "m")
    of_N, cosine_N = semantic_duplicates(vectors, 0.1, 1600)
    assert (of_N[1400::2] == documents[:100]).all()
    assert (of_N[:1400] < 0).all()
    assert (cosine_N[1400::2] > 0.98).all()
    item_N, _ = nearest_items(vectors, base[5:7], 0.1, 1600)
    assert sorted(np.flatnonzero(item_N >= 0).tolist()) == [10, 12, 1410, 1412]
