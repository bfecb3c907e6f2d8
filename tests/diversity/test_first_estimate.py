"""The first number on the screen: from few documents, by the estimator of the headline."""

import numpy as np
import pytest

from divsyn_jax.diversity.estimation.all_pairs import pair_distances, profile_mean
from divsyn_jax.diversity.reporting import first_estimate as module
from divsyn_jax.diversity.reporting.first_estimate import first_estimate

DOCUMENTS = 700


class _Vectors:
    """An embedder whose documents say which kind they are of."""

    def __init__(self, spread=0.02):
        rng = np.random.default_rng(0)
        self._kinds = rng.normal(size=(400, 64))
        self._noise = spread * rng.normal(size=(DOCUMENTS, 64))
        self.asked = []

    def vectors(self, sample):
        self.asked.append(len(sample))
        found = np.stack(
            [self._kinds[int(text.split()[1])] + self._noise[int(text.split()[3])]
             for text in sample.texts]
        )  # fmt: skip
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def _records(kinds, documents=DOCUMENTS):
    return [{"text": f"kind {n % kinds} number {n}"} for n in range(documents)]


def test_a_few_documents_say_what_all_will_say(make_sample):
    sample, vectors = make_sample(_records(20)), _Vectors()
    text = first_estimate({"c": sample}, vectors, 0).text()
    assert vectors.asked == [module.FIRST_DOCUMENTS]
    assert text.startswith("First estimate from 300 documents, effective clusters of 700: c about ")
    low, high = (int(end) for end in text.split("between ")[1].split(")")[0].split(" and "))
    whole = profile_mean(pair_distances(vectors.vectors(sample)))
    assert low < whole.value < high


def test_two_corpora_are_told_apart_where_they_can_be(make_sample, tmp_path):
    narrow = make_sample(_records(5))
    broad = make_sample(_records(350))
    text = first_estimate({"narrow": narrow, "broad": broad}, _Vectors(), 0).text()
    assert "broad is the more diverse." in text
    again = first_estimate({"one": narrow, "two": narrow}, _Vectors(), 0).text()
    assert "Not told apart yet." in again


@pytest.mark.parametrize("documents", [20, 599])
def test_small_samples_are_scored_at_once(make_sample, documents):
    vectors = _Vectors()
    assert first_estimate({"c": make_sample(_records(5, documents))}, vectors, 0) is None
    assert vectors.asked == []
