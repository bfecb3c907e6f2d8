"""Factorial designs, effects and power, against arithmetic done another way."""

import itertools

import numpy as np
import pytest
from scipy import stats

from divsyn_jax.statistics.factorial import (
    aliases,
    detectable_effect,
    effect_power,
    factorial_design,
    factorial_effects,
    variance_shares,
)
from tests.conftest import ROOT

FOUR = ("a", "b", "c", "d")


def names(count):
    return [f"f{index}" for index in range(count)]


def test_a_full_design_has_every_combination_once():
    design = factorial_design(FOUR)
    assert sorted(design.rows) == sorted(itertools.product((-1, 1), repeat=4))


@pytest.mark.parametrize(
    ("count", "corpora"), [(1, 2), (2, 4), (3, 8), (4, 8), (5, 16), (8, 16), (9, 32), (16, 32)]
)
def test_a_fraction_keeps_main_effects_clear_of_each_other_and_of_pairs(count, corpora):
    design = factorial_design(names(count), "IV")
    signs = design.signs_CF
    assert len(signs) == corpora
    assert (signs.sum(axis=0) == 0).all()
    mains = [signs[:, one] for one in range(count)]
    pairs = [one * two for one, two in itertools.combinations(mains, 2)]
    for place, main in enumerate(mains):
        others = [*mains[:place], *mains[place + 1 :], *pairs]
        assert all(main @ other == 0 for other in others)


@pytest.mark.parametrize(("count", "corpora"), [(1, 4), (2, 8), (3, 8), (4, 16)])
@pytest.mark.parametrize("resolution", ["full", "IV"])
def test_a_sham_is_clear_of_effects_and_takes_no_corpora_beyond_two_factors(
    count, corpora, resolution
):
    design = factorial_design(names(count), resolution, sham="sham")
    if resolution == "full":
        assert len(design.rows) == corpora
    sham = design.column(("sham",))
    for effect in design.effects():
        if "sham" not in effect:
            assert sham @ design.column(effect) == 0
    assert all("sham" not in effect for effect in design.effects() if len(effect) > 1)


def test_aliases_are_the_effects_with_one_column():
    groups = aliases(factorial_design(FOUR, "IV"))
    assert ("a x b", "c x d") in groups
    assert sum(len(group) for group in groups) == 4 + 6
    assert len(groups) == 4 + 3
    assert all(len(group) == 1 for group in aliases(factorial_design(FOUR)))


@pytest.mark.parametrize("bad", [(), ("a", "a"), ("a x b", "c")])
def test_factors_that_make_no_design_are_refused(bad):
    with pytest.raises(ValueError, match="factors"):
        factorial_design(bad)
    with pytest.raises(ValueError, match="resolution"):
        factorial_design(FOUR, "VI")


def data(design, seeds=3, sd=0.1, corpus_sd=0.0, seed=0):
    generator = np.random.default_rng(seed)
    signs = design.signs_CF
    mean = 2 + 0.4 * signs[:, 0] - 0.2 * signs[:, 1] + 0.1 * signs[:, 0] * signs[:, 1]
    mean = mean + corpus_sd * generator.standard_normal(len(mean))
    block = generator.normal(0, 0.5, seeds)
    return mean[:, None] + block + sd * generator.standard_normal((len(mean), seeds))


def test_effects_are_differences_of_means():
    design = factorial_design(FOUR, sham="sham")
    seen = data(design)
    found = {each["name"]: each for each in factorial_effects(seen, design)["effects"]}
    high = design.column(("b",)) > 0
    assert found["b"]["value"] == pytest.approx(seen[high].mean() - seen[~high].mean())
    first = design.column(("a",)) > 0
    by_a = [seen[first & at].mean() - seen[~first & at].mean() for at in (high, ~high)]
    assert found["a x b"]["value"] == pytest.approx((by_a[0] - by_a[1]) / 2)
    assert found["sham"]["sham"]
    assert found["a"]["ci_low"] < 0.8 < found["a"]["ci_high"]


def test_intervals_are_those_of_a_linear_model_of_all_runs():
    """Where corpora are pooled with seeds: corpora as runs of a model with blocks for seeds."""
    design = factorial_design(FOUR, sham="sham")
    seen = data(design, seed=1)
    found = factorial_effects(seen, design)
    assert found["error_of"] == "seeds and corpora"
    corpora, seeds = seen.shape
    columns = [design.column(effect) for effect in design.effects()]
    rows = [
        [*(column[corpus] for column in columns), *(float(seed == k) for k in range(seeds))]
        for corpus in range(corpora)
        for seed in range(seeds)
    ]
    x, y = np.array(rows), seen.ravel()
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    freedom = len(y) - x.shape[1]
    variance = np.square(y - x @ beta).sum() / freedom
    stderr = 2 * np.sqrt(variance * np.linalg.inv(x.T @ x)[0, 0])
    assert found["degrees_of_freedom"] == freedom
    half = stats.t.ppf(0.975, freedom) * stderr
    first = found["effects"][0]
    assert first["value"] == pytest.approx(2 * beta[0])
    assert first["ci_high"] - first["value"] == pytest.approx(half)
    assert first["p"] == pytest.approx(2 * stats.t.sf(abs(2 * beta[0] / stderr), freedom))


def test_corpora_that_differ_beyond_seeds_are_the_error():
    design = factorial_design(FOUR, sham="sham")
    seen = data(design, sd=0.001, corpus_sd=0.2)
    found = factorial_effects(seen, design)
    assert found["error_of"] == "corpora"
    assert found["degrees_of_freedom"] == 4
    assert found["lack_of_fit_p"] < 1e-6
    twin = factorial_effects(seen, design, {5: list(seen[5] + 0.2)})
    assert twin["degrees_of_freedom"] == 5
    (value,) = {each["value"] for each in found["effects"] if each["name"] == "b"}
    assert value in {each["value"] for each in twin["effects"]}


def test_p_values_are_corrected_in_two_families():
    design = factorial_design(FOUR, sham="sham")
    effects = factorial_effects(data(design), design)["effects"]
    for order, size in ((1, 5), (2, 6)):
        family = [each for each in effects if each["order"] == order]
        assert len(family) == size
        least = min(each["p"] for each in family)
        assert min(each["p_holm"] for each in family) == pytest.approx(min(1, size * least))


def test_one_seed_without_spare_corpora_has_no_error():
    design = factorial_design(("a", "b"))
    found = factorial_effects([[1.0], [2.0], [3.0], [5.0]], design)
    assert [each["value"] for each in found["effects"]] == [1.5, 2.5, 0.5]
    assert found["error_sd"] is None
    assert all(each["p"] is each["ci_low"] is None for each in found["effects"])


def test_corpora_that_are_not_the_design_are_refused():
    with pytest.raises(ValueError, match="2 corpora are not the 4"):
        factorial_effects([[1.0], [2.0]], factorial_design(("a", "b")))


def test_shares_of_variance_add_up():
    design = factorial_design(FOUR, sham="sham")
    mean = data(design, sd=0, corpus_sd=0).mean(axis=1)
    shares = variance_shares(mean, design)
    assert shares == pytest.approx(
        {"a": 16 / 21, "b": 4 / 21, "c": 0, "d": 0, "sham": 0, "interactions": 1 / 21, "rest": 0},
        abs=1e-9,
    )
    assert variance_shares([3.0] * 16, design) is None


def test_power_is_the_share_of_studies_that_find_the_effect():
    generator = np.random.default_rng(0)
    effect, sd, runs, freedom = 0.02, 0.03, 48, 32
    stderr = 2 * sd / runs**0.5
    seen = effect + stderr * generator.standard_normal(20_000)
    error = np.sqrt(generator.chisquare(freedom, 20_000) / freedom) * stderr
    share = (2 * stats.t.sf(np.abs(seen) / error, freedom) < 0.05 / 5).mean()
    assert effect_power(effect, sd, runs, freedom, tests=5) == pytest.approx(share, abs=0.01)
    needed = detectable_effect(sd, runs, freedom, tests=5)
    assert effect_power(needed, sd, runs, freedom, tests=5) == pytest.approx(0.8, abs=0.005)
    assert detectable_effect(0.0, runs, freedom) == 0


def test_small_effects_are_found_and_shams_are_not(monkeypatch):
    """A few studies of tools/benchmarks/simulate_factorial.py; its page has thousands."""
    monkeypatch.syspath_prepend(ROOT / "tools" / "benchmarks")
    import simulate_factorial

    case = next(case for case in simulate_factorial.CASES if case.name == "half that noise")
    found = simulate_factorial.simulate(case, studies=60)
    assert found["found"] >= 0.8
    assert found["sham"] >= 0.9
    assert 0.92 <= found["cover"] <= 0.99
