"""The curve over the number of documents, where the truth is known, and what is said of it."""

import numpy as np
import pytest

from divsyn_jax.diversity.estimation.all_pairs import pair_distances, profile_mean
from divsyn_jax.diversity.estimation.document_curve import document_curve
from divsyn_jax.diversity.reporting.enough import enough


def _curve(kinds, documents=800, spread=0.01):
    rng = np.random.default_rng(1)
    middles = rng.normal(size=(kinds, 64))
    vectors = middles[rng.integers(0, kinds, documents)] + spread * rng.normal(size=(documents, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    distances = pair_distances(vectors)
    return document_curve(vectors, distances, rng.permutation(documents)), distances


def test_points_are_halves_and_doubles_and_the_whole_is_the_headline():
    points, distances = _curve(10)
    assert [point["documents"] for point in points] == [50, 100, 200, 400, 800, 1600, 3200]
    assert [point["measured"] for point in points] == [True] * 5 + [False] * 2
    whole = profile_mean(distances)
    assert points[4]["effective_clusters"]["value"] == pytest.approx(whole.value)
    assert points[4]["effective_clusters"]["ci_low"] == pytest.approx(whole.ci_low)


def test_what_is_computed_for_more_documents_is_what_they_show():
    points, _ = _curve(200, documents=400)
    more, _ = _curve(200, documents=800)
    double = next(point for point in points if point["documents"] == 800)["topics"]
    shown = more[-3]["topics"]
    assert double["ci_low"] < shown["value"] < double["ci_high"]


def _score(points, documents):
    return {"corpus": {"name": "c", "documents": documents}, "by_documents": points}


@pytest.mark.parametrize(
    ("kinds", "documents", "says"),
    [
        (10, 800, "these are enough (the sample is the whole corpus)"),
        (3000, 5000, "more would help (--max_documents reads more of its 5,000)"),
    ],
)
def test_enough_is_said_where_the_kinds_are_seen(kinds, documents, says):
    points, _ = _curve(kinds)
    (sentence,) = enough([_score(points, documents)])
    assert says in sentence.text()


def test_scores_without_a_curve_say_nothing():
    assert enough([{"corpus": {"name": "c", "documents": 5}}, _score(None, 5)]) == []
