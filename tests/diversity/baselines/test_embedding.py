import math

import numpy as np
import pytest

from divsyn_jax.diversity.baselines import PARITY, embedding


def _unit(documents, dimensions, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(documents, dimensions)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_dcscore_identities():
    assert embedding.dcscore(np.eye(4), 1.0) == pytest.approx(1.9014675456746868)
    assert embedding.dcscore(np.ones((7, 1))) == pytest.approx(1)
    e, documents = math.exp(10), 50
    assert embedding.dcscore(np.eye(documents)) == pytest.approx(
        documents * e / (e + documents - 1)
    )


def test_dcscore_in_blocks_equals_the_matrix(monkeypatch):
    vectors_NE = _unit(50, 8)
    weights_NN = np.exp(vectors_NE.astype(float) @ vectors_NE.T / 0.1)
    expected = np.trace(weights_NN / weights_NN.sum(axis=1, keepdims=True))
    monkeypatch.setattr(embedding, "_ROWS_AT_ONCE", 7)
    assert embedding.dcscore(vectors_NE) == pytest.approx(expected, rel=1e-6)


def test_remote_clique_equals_the_matrix():
    vectors_NE = _unit(40, 8)
    distances_NN = 1 - vectors_NE.astype(float) @ vectors_NE.T
    found = embedding.remote_clique(vectors_NE)
    assert found.value == pytest.approx(distances_NN.mean(), abs=1e-6)
    without = [embedding.remote_clique(np.delete(vectors_NE, i, axis=0)).value for i in range(40)]
    half_width = 2.022691 * math.sqrt(39 * np.var(without))  # t, 39 degrees of freedom
    assert found.ci_high - found.value == pytest.approx(half_width, rel=1e-4)
    assert embedding.remote_clique(vectors_NE, PARITY).value == round(distances_NN.mean(), 3)


def test_chamfer_in_blocks_equals_the_matrix(monkeypatch):
    vectors_NE = _unit(40, 8)
    distances_NN = 1 - vectors_NE.astype(float) @ vectors_NE.T + 9 * np.eye(40)
    monkeypatch.setattr(embedding, "_ROWS_AT_ONCE", 7)
    assert embedding.chamfer(vectors_NE) == pytest.approx(distances_NN.min(axis=1).mean(), abs=1e-6)
    assert embedding.chamfer(vectors_NE, PARITY) == round(distances_NN.min(axis=1).mean(), 3)
    assert embedding.chamfer(vectors_NE[:1]) is None


def test_kmeans_finds_separate_groups():
    groups_NE = np.eye(8, dtype=np.float32)[np.arange(600) % 5]
    found = embedding.kmeans(groups_NE, clusters=5)
    assert found.value == pytest.approx(0, abs=1e-6)
    assert (found.details["occupied"], found.details["centres"]) == (5, 5)
    assert found.details["exp_entropy"] == pytest.approx(5)
    assert embedding.kmeans(groups_NE, clusters=50).details["occupied"] <= 5 + 1


def test_kmeans_inertia_is_that_of_its_labels_and_depends_on_the_spread():
    narrow, broad = _unit(400, 2), _unit(400, 32)
    found = [embedding.kmeans(vectors_NE, seed=1, clusters=10) for vectors_NE in (narrow, broad)]
    assert found[0].value < 0.1 < found[1].value < 1
    assert embedding.kmeans(broad, seed=1, clusters=10) == found[1]
    assert embedding.kmeans(_unit(20, 4)).details["centres"] == 10  # at most half the documents
