import math

import numpy as np
import pytest

from divsyn_jax.diversity.baselines import Settings, compute, largest_shared_text, vendi

from .test_embedding import _unit


@pytest.mark.parametrize("order", vendi.ORDERS)
def test_vendi_identities(order):
    assert vendi.vendi_score(np.eye(4), order) == pytest.approx(4)
    assert vendi.vendi_score(np.ones((4, 1)), order) == pytest.approx(1)
    groups = np.eye(16)[np.arange(900) % 3]  # three directions, dual form
    assert vendi.vendi_score(groups, order) == pytest.approx(3)


@pytest.mark.parametrize(("documents", "dimensions"), [(30, 80), (80, 30)])
def test_vendi_equals_its_definition_on_the_whole_matrix(documents, dimensions):
    vectors_NE = _unit(documents, dimensions)
    eigenvalues = np.linalg.eigvalsh(vectors_NE.astype(float) @ vectors_NE.T / documents)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    expected = {
        "0": len(eigenvalues),
        "0.5": np.sqrt(eigenvalues).sum() ** 2,
        "1": np.exp(-(eigenvalues * np.log(eigenvalues)).sum()),
        "2": 1 / np.square(eigenvalues).sum(),
        "inf": 1 / eigenvalues.max(),
    }
    found = {f"{order:g}": vendi.vendi_score(vectors_NE, order) for order in vendi.ORDERS}
    assert found == pytest.approx(expected)
    assert found["0"] == min(documents, dimensions)  # noise eigenvalues do not count


def test_the_interval_of_order_two_is_the_jackknife_of_its_inverse():
    vectors_NE = _unit(40, 8)
    share = 1 / vendi.vendi_score(vectors_NE, 2)
    without = [1 / vendi.vendi_score(np.delete(vectors_NE, i, axis=0), 2) for i in range(40)]
    half_width = 2.022691 * math.sqrt(39 * np.var(without))  # t, 39 degrees of freedom
    found = vendi.profile_interval(vectors_NE)
    assert found.ci_low == pytest.approx(1 / (share + half_width), rel=1e-4)
    assert found.ci_high == pytest.approx(1 / (share - half_width), rel=1e-4)
    assert vendi.profile_interval(vectors_NE[:2]).ci_low is None


def test_the_profile_names_its_orders_and_order_one_warns_below_its_convergence(
    make_sample, monkeypatch
):
    sample = make_sample([{"text": f"w{number}"} for number in range(40)])

    def entries():
        shared = largest_shared_text(sample.texts, 1000)
        settings = Settings(("vendi_score", "hill_profile"))
        return compute(sample, shared, settings, lambda: np.eye(40))

    found = entries()
    assert found["hill_profile"]["orders"] == pytest.approx(
        dict.fromkeys(("0", "1", "2", "inf"), 40)
    )
    assert found["hill_profile"]["value"] == pytest.approx(40)
    assert "40 documents" in found["vendi_score"]["warning"]
    assert "20,000" in found["vendi_score"]["warning"]
    monkeypatch.setattr(vendi, "CONVERGED", 40)
    assert "warning" not in entries()["vendi_score"]
