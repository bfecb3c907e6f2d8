"""The benchmark of agreement with people, on made-up sets."""

import numpy as np

from tools.benchmarks import human_agreement


def test_distinct_counts_n_grams_within_texts():
    assert human_agreement.distinct(["a b", "A b"], 1) == 0.5
    assert human_agreement.distinct(["a b", "b c"], 2) == 1
    assert human_agreement.distinct(["a"], 2) == 0


def test_sets_that_differ_more_agree_with_people_who_say_so():
    rng = np.random.default_rng(0)
    records, vectors = [], []
    for number in range(24):
        spread = 0.02 + 0.02 * number
        vectors_KE = np.eye(32)[0] + spread * rng.normal(size=(6, 32))
        vectors.append(vectors_KE / np.linalg.norm(vectors_KE, axis=1, keepdims=True))
        texts = [" ".join(map(str, rng.integers(0, 2 + number, 20))) for _ in range(6)]
        records.append({"texts": texts, "human": number, "test": "made up", "task": "t"})
    groups, found = human_agreement.agreement(records, vectors)
    assert groups == ["made up t"]
    for name in ("effective kinds, all granularities", "Vendi score", "NovelSum", "distinct-1"):
        assert found[name][0] > 0.9, name
