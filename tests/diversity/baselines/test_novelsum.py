import numpy as np
import pytest

from divsyn_jax.diversity.baselines import novelsum

from .test_embedding import _unit


def test_golden_values():
    assert novelsum.novelsum(np.eye(4)) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / (25 / 12))
    assert novelsum.novelsum(np.eye(4)) == pytest.approx(0.52)
    assert novelsum.novelsum(np.ones((5, 1))) == 0
    assert novelsum.novelsum(np.ones((1, 1))) == 0


def test_in_blocks_it_equals_the_definition(monkeypatch):
    vectors_NE = _unit(50, 8).astype(float)
    expected = []
    for document in vectors_NE:
        distances = sorted(1 - float(document @ other) for other in vectors_NE)
        weights = [1 / rank for rank in range(1, 51)]
        expected.append(np.dot(weights, distances) / sum(weights))
    monkeypatch.setattr(novelsum, "_ROWS_AT_ONCE", 7)
    assert novelsum.novelsum(vectors_NE) == pytest.approx(np.mean(expected), abs=1e-8)
    assert novelsum.novelsum(vectors_NE.astype(np.float32)) == pytest.approx(
        np.mean(expected), abs=1e-6
    )
