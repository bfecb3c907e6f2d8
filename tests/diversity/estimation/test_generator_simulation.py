"""Intervals over documents and draws hold their level; the full table is
tools/benchmarks/simulate_generator_intervals.md.
"""

import dataclasses

import numpy as np
import pytest

from divsyn_jax.diversity.estimation import estimators, intervals
from divsyn_jax.diversity.estimation.intervals import Mean
from divsyn_jax.diversity.sampling import draw_without_replacement
from tools.benchmarks.simulate_generator_intervals import METRICS, PROCESSES, simulate, truth

REPLICATIONS = 400  # one standard error of a coverage of 95% is 1.1 points
slow = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "Zipf-300",
        "one of 95%, five sets",
        *[
            pytest.param(name, marks=slow)
            for name in PROCESSES
            if name not in ("Zipf-300", "one of 95%, five sets") and PROCESSES[name].documents >= 50
        ],
    ],
)
def test_coverage_and_false_rejections(name):
    # A fifth of the documents and of the draws: as many draws hold a document.
    process = PROCESSES[name]
    if process.documents == 5000:
        process = dataclasses.replace(process, documents=1000, draws=200)
    found = simulate(process, REPLICATIONS)
    for metric in METRICS:
        assert 0.915 <= found[metric].covers <= 0.985, (metric, found)
        assert found[metric].false_rejections <= 0.09, (metric, found)


def test_the_truth_is_that_of_far_corpora():
    process = dataclasses.replace(PROCESSES["Zipf-20, N = 50"], documents=2000)
    rng = np.random.default_rng(0)
    labels_DK = rng.choice(20, (200_000, 10), p=process.chances_T)
    draws = estimators.draw_statistics(labels_DK)
    assert truth(process)["C/S"] == pytest.approx(float(draws.scores_D.mean()), rel=0.005)
    assert truth(process)["effective clusters"] == pytest.approx(
        estimators.effective_clusters(draws, 2000).value, rel=0.01
    )


def test_the_variance_of_a_mean_over_documents_is_exact():
    # A draw's value is the mean of its documents' values: the U-statistic is their mean, whose
    # variance is known.
    rng = np.random.default_rng(0)
    value_N = rng.normal(size=40)
    draws_DK = draw_without_replacement(rng, 40, 60_000, 10)
    spread = estimators.document_spread(value_N[draws_DK].mean(axis=1), draws_DK, 40)
    assert spread.value == pytest.approx(float(value_N.var(ddof=1)) / 40, rel=0.03)
    assert 0 < spread.error < spread.value


def test_few_draws_of_many_documents_leave_the_variance_unbiased():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(100):
        value_N = rng.normal(size=1000)
        draws_DK = draw_without_replacement(rng, 1000, 200, 10)
        noisy_D = value_N[draws_DK].mean(axis=1) + rng.normal(0, 0.3, 200)
        found.append(estimators.document_variance(noisy_D, draws_DK, 1000))
    # The exact value is 0.001; half of it was lost where means over draws carried their noise.
    assert np.mean(found) == pytest.approx(0.001, rel=0.2)


def test_what_sets_do_to_all_their_draws_is_no_documents_doing():
    rng = np.random.default_rng(2)
    value_N = rng.normal(size=300)
    draws_DK = draw_without_replacement(rng, 300, 2000, 10)
    set_D = np.arange(2000) % 5
    plain_D = value_N[draws_DK].mean(axis=1)
    shifted_D = plain_D + np.array([0, 3, -2, 5, 1])[set_D]
    plain = estimators.document_spread(plain_D, draws_DK, 300, set_D)
    shifted = estimators.document_spread(shifted_D, draws_DK, 300, set_D)
    assert shifted.value == pytest.approx(plain.value, rel=1e-9)


def test_draws_of_all_documents_say_nothing_of_others():
    draws_DK = np.tile(np.arange(10), (5, 1))
    found = estimators.document_spread(np.arange(5.0), draws_DK, 10)
    assert (found.value, found.error) == (0.0, 0.0)


def test_degrees_of_freedom_of_a_sum():
    mean = Mean(1.0, 0.1, 4, None)
    known = intervals.add_variance(mean, 0.01)
    # Howe's half-width, each part with its own quantile.
    howe = (2.776445**2 * 0.01 + 1.959964**2 * 0.01) ** 0.5
    assert known.half_width == pytest.approx(howe, rel=1e-5)
    doubtful = intervals.add_variance(mean, 0.01, 0.02)
    assert doubtful.freedom < known.freedom
    assert intervals.add_variance(mean, 0.0) == mean
