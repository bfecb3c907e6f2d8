"""The exchange rate of repetition and diversity, on laws that are known."""

import numpy as np
import pytest

from divsyn_jax.statistics.exchange import exchange_rate

UNIQUE, CLUSTERS = np.meshgrid([20e3, 40e3, 80e3, 160e3], [2, 8, 20, 32])
UNIQUE, CLUSTERS = UNIQUE.ravel(), CLUSTERS.ravel()


def bits(b=-0.05, c=-0.1, e=0.01, f=0.0, sd=0.0, generator=None):
    u, d = (np.log2(values) - np.log2(values).mean() for values in (UNIQUE, CLUSTERS))
    noise = 0 if generator is None else sd * generator.standard_normal(16)
    return 2.5 + b * u + f * u**2 + c * d + e * u * d + noise


def test_the_law_is_recovered():
    found = exchange_rate(UNIQUE, CLUSTERS, bits())
    assert found["unique"]["value"] == pytest.approx(-0.05)
    assert found["both"]["value"] == pytest.approx(0.01)
    assert found["rate"]["value"] == pytest.approx(2)
    assert found["half_width"] == pytest.approx(0, abs=1e-6)
    assert found["levels_needed"] == 16


def test_text_that_does_ever_less_is_no_error_of_the_law():
    found = exchange_rate(UNIQUE, CLUSTERS, bits(f=0.05))
    assert found["curve"]["value"] == pytest.approx(0.05)
    assert found["rate"]["value"] == pytest.approx(2)
    assert found["half_width"] == pytest.approx(0, abs=1e-6)
    two = np.flatnonzero(UNIQUE < 60e3)  # of two budgets the second term cannot be told
    assert exchange_rate(UNIQUE[two], CLUSTERS[two], bits()[two])["curve"] is None


def test_intervals_of_the_rate_cover():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        rate = exchange_rate(UNIQUE, CLUSTERS, bits(sd=0.01, generator=generator))["rate"]
        covered += rate["ci_low"] <= 2 <= rate["ci_high"]
    assert 0.915 <= covered / 300 <= 0.985


def test_noise_is_answered_with_what_it_would_take():
    found = exchange_rate(UNIQUE, CLUSTERS, bits(sd=0.15, generator=np.random.default_rng(1)))
    assert found["rate"] is not None
    assert found["half_width"] > 0.3
    assert found["levels_needed"] > 16
    flat = exchange_rate(
        UNIQUE, CLUSTERS, bits(b=0, e=0, sd=0.03, generator=np.random.default_rng(2))
    )
    assert flat["rate"] is None
    assert "cannot be told from nothing" in flat["reason"]


def test_levels_that_vary_together_are_refused():
    with pytest.raises(ValueError, match="do not tell"):
        exchange_rate(UNIQUE, UNIQUE, bits())
    with pytest.raises(ValueError, match="five levels"):
        exchange_rate(UNIQUE[:4], CLUSTERS[:4], bits()[:4])
