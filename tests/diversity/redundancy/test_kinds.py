"""Kinds, near copies, key words and the map of samples whose kinds are known."""

import numpy as np
import pytest
from scipy.cluster import hierarchy

from divsyn_jax.diversity.estimation.near_copies import near_copies
from divsyn_jax.diversity.redundancy import sample_kinds as module
from divsyn_jax.diversity.redundancy.key_words import KeyWords
from divsyn_jax.diversity.redundancy.projection import principal_plane
from divsyn_jax.diversity.redundancy.sample_kinds import (
    clustered_documents,
    condensed_distances,
    sample_kinds,
)


def _around(centres: int, each: int, spread: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = np.linalg.qr(rng.normal(size=(64, centres)))[0].T
    vectors = np.repeat(middles, each, axis=0) + spread * rng.normal(size=(centres * each, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_planted_kinds_are_found_largest_first():
    vectors = np.concatenate([_around(3, 20, 0.03), _around(6, 1, 0.0, seed=1)[3:]])
    vectors = np.delete(vectors, slice(20, 25), axis=0)
    found = sample_kinds(vectors, 0.5)
    assert [len(kind.members_M) for kind in found[:3]] == [20, 20, 15]
    assert found[0].members_M.tolist() == list(range(20))
    assert all(len(kind.members_M) == 1 for kind in found[3:])


def test_shown_documents_run_from_the_centre_outward():
    vectors = _around(1, 30, 0.08)
    (kind,) = sample_kinds(vectors, 1.0)
    nearness = vectors @ vectors.mean(axis=0)
    first, _, last = (nearness[at] for at in kind.shown)
    assert first == nearness.max()
    assert last == nearness.min()


def test_blockwise_distances_are_scipys(monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    vectors = _around(4, 6, 0.3)
    expected = np.clip(1 - vectors @ vectors.T, 0, 2)[np.triu_indices(24, 1)]
    assert condensed_distances(vectors) == pytest.approx(expected, abs=1e-6)
    merges = hierarchy.linkage(expected, "average")
    labels = hierarchy.fcluster(merges, 0.4, "distance")
    assert len(sample_kinds(vectors, 0.4)) == labels.max()


@pytest.mark.parametrize("documents", [1, 2])
def test_the_smallest_samples_have_kinds(documents):
    vectors = np.eye(4, dtype=np.float32)[:documents]
    assert [kind.members_M.tolist() for kind in sample_kinds(vectors, 0.5)] == [
        [at] for at in range(documents)
    ]


def test_no_more_than_the_bound_is_linked(monkeypatch):
    monkeypatch.setattr(module, "MOST_CLUSTERED", 5)
    chosen = clustered_documents(9, np.array([8, 3, 1, 0, 7, 2, 4, 5, 6]))
    assert chosen.tolist() == [0, 1, 3, 7, 8]
    assert clustered_documents(5, np.arange(5)[::-1]).tolist() == [0, 1, 2, 3, 4]


def test_near_copies_name_the_nearest_earlier_document(monkeypatch):
    monkeypatch.setattr("divsyn_jax.diversity.estimation.near_copies._ROWS_AT_ONCE", 3)
    axes = np.eye(8, dtype=np.float32)
    tilted = np.array([0.99, 0.14106736, 0, 0, 0, 0, 0, 0], np.float32)
    found = near_copies(np.stack([axes[0], axes[1], axes[0], tilted, axes[2], axes[1]]), 0.1)
    assert [(pair.document, pair.earlier) for pair in found] == [(2, 0), (3, 0), (5, 1)]
    assert [pair.distance for pair in found] == pytest.approx([0, 0.01, 0], abs=1e-6)


def test_a_corpus_of_one_text_has_one_pair_a_document():
    vectors = np.tile(np.eye(4, dtype=np.float32)[0], (50, 1))
    found = near_copies(vectors, 0.1)
    assert [pair.document for pair in found] == list(range(1, 50))


def test_key_words_tell_a_kind_from_the_rest():
    texts = [f"the cell has a membrane, number {n}" for n in range(10)]
    texts += [f"the river has a bank, number {n}" for n in range(30)]
    words = KeyWords(texts)
    assert set(words.of(range(10))) == {"cell", "membrane"}
    assert set(words.of(range(10, 40))) == {"river", "bank"}
    assert words.of(range(40)) == []  # nothing is outside, so no word tells them from it


def test_the_map_keeps_what_varies_most():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 10)) * np.array([9, 5] + [0.1] * 8)
    places, share = principal_plane(vectors)
    assert share > 0.99
    assert abs(np.corrcoef(places[:, 0], vectors[:, 0])[0, 1]) > 0.999
    assert principal_plane(np.ones((5, 3)))[1] == 0
