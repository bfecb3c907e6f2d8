"""The intervals hold the truth as often as they say; the full table is
tools/benchmarks/simulate_intervals.md.
"""

import math

import pytest

from divsyn_jax.diversity.estimation import estimators, exact
from divsyn_jax.diversity.estimation.stopping import StoppingRule
from tools.benchmarks import simulation
from tools.benchmarks.simulation import CORPORA, NEAR_ENDS

REPLICATIONS = 4000  # one standard error of a coverage of 95% is 0.34 points
QUICK = ["5 even", "300 even", "51, one of 90%"]
slow = pytest.mark.slow


@pytest.mark.parametrize(
    "corpus", [name if name in QUICK else pytest.param(name, marks=slow) for name in CORPORA]
)
def test_t_intervals_at_a_thousand_draws(corpus):
    for quantity, found in simulation.one_level(CORPORA[corpus], 10, 1000, REPLICATIONS).items():
        assert 0.93 <= found.share <= 0.97, (quantity, found)
        assert all(method.endswith("t") for method in found.methods)


@pytest.mark.parametrize(
    "corpus",
    ["50 even", *[pytest.param(name, marks=slow) for name in CORPORA if name != "50 even"]],
)
def test_intervals_at_the_stopping_time(corpus):
    sd = float(simulation.pool(CORPORA[corpus], 10).scores_D.std())
    rule = StoppingRule(1.96 * sd / math.sqrt(2000), 1000, 16_000)
    found = simulation.stopped(CORPORA[corpus], 10, rule, REPLICATIONS)
    assert 2000 < found["score"].draws < 4000  # some stop at the second look, some at the third
    for quantity, coverage in found.items():
        assert 0.93 <= coverage.share <= 0.97, (quantity, coverage)


@pytest.mark.parametrize(
    "corpus",
    ["1500 even", pytest.param("2 even", marks=slow), pytest.param("4, one of 99.9%", marks=slow)],
)
def test_empirical_bernstein_near_the_ends(corpus):
    found = simulation.one_level(NEAR_ENDS[corpus], 10, 1000, REPLICATIONS)
    assert found["score"].methods == {"empirical Bernstein": REPLICATIONS}
    assert found["score"].share >= 0.95


def test_a_hundred_draws_without_a_pair_apart_prove_little():
    found = simulation.one_level(NEAR_ENDS["4, one of 99.9%"], 10, 100, 1000)["effective clusters"]
    assert found.methods["rule of three"] > 300
    assert found.share >= 0.95


@pytest.mark.parametrize(
    ("sets", "shift"),
    [(5, 0.3), pytest.param(5, 0.0, marks=slow), pytest.param(10, 0.3, marks=slow)],
)
def test_two_level_intervals_with_a_known_set_effect(sets, shift):
    found = simulation.shifted_sets(
        CORPORA["20 even"], sets, shift, StoppingRule(1e-9, 1000, 1000), REPLICATIONS
    )
    assert 0.93 <= found.share <= 0.97, found


@slow
@pytest.mark.parametrize("sets", [3, 5, 10])
def test_two_level_intervals_at_the_stopping_time(sets):
    found = simulation.shifted_sets(
        CORPORA["20 even"], sets, 0.1, StoppingRule(0.1, 1000, 16_000), REPLICATIONS
    )
    assert 0.93 <= found.share <= 0.97, found


@pytest.mark.parametrize(
    "corpus", ["5 even", "51, one of 90%", pytest.param("300 Zipf", marks=slow)]
)
def test_the_pool_is_the_corpus(corpus):
    counts = CORPORA[corpus]
    pool = simulation.pool(counts, 10)
    for values_D, truth in (
        (pool.scores_D, exact.expected_cluster_score(counts, 10)),
        (pool.pair_share_D, exact.expected_pair_share(counts)),
    ):
        assert abs(values_D.mean() - truth) < 4 * values_D.std() / math.sqrt(simulation.POOL)


@pytest.mark.parametrize("corpus", ["50 even", "50 Zipf"])
def test_effective_clusters_do_not_depend_on_the_sample_size_and_the_score_does(corpus):
    counts = CORPORA[corpus]
    pools = [simulation.pool(counts, size) for size in (5, 10, 20)]
    for pool in pools:
        assert estimators.effective_clusters(pool, sum(counts)).value == pytest.approx(
            exact.true_effective_clusters(counts), rel=0.02
        )
    scores = [estimators.cluster_score(pool).value for pool in pools]
    assert min(scores[1] / scores[0], scores[2] / scores[1]) > 1.3
