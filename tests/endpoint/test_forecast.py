"""Token ranges and the bill before the work."""

import dataclasses

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.forecast import Planned, forecast
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TOKENS_PER_MESSAGE, TokenRange, estimate_tokens

SETTINGS = EndpointSettings("http://localhost/v1", "m", price_input=2.0, price_output=8.0)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (
            (
                "Plate tectonics describes how the rigid outer shell of the Earth is divided into"
                " plates that move over the mantle. When two plates collide, mountains rise."
            ),
            (32, 30),
        ),
        (
            (
                "Die Plattentektonik beschreibt die Bewegungen der Lithosphärenplatten und erklärt"
                " damit Gebirgsbildung und Erdbeben."
            ),
            (32, 28),
        ),
        (
            "在本章中,我们将讨论板块构造理论及其对地质学的影响。大陆漂移学说最早由魏格纳提出。",
            (49, 35),
        ),
        ("भारत में विविधता और संस्कृति का इतिहास बहुत पुराना है।", (53, 13)),
        ("3.14159 26535 89793 23846 26433 83279 50288", (22, 22)),
        (
            (
                'def mean(values):\n    """Arithmetic mean."""\n    if not values:\n        raise'
                " ValueError('empty')\n    return sum(values) / len(values)\n"
            ),
            (30, 30),
        ),
    ],
)
def test_the_range_holds_what_real_vocabularies_count(text, counts):
    """Golden counts of cl100k_base and o200k_base, from js-tiktoken 1.0.21."""
    span = estimate_tokens(text)
    assert span.low <= min(counts)
    assert max(counts) <= span.high <= 3 * max(counts) + TOKENS_PER_MESSAGE


def test_a_plan_adds_up_and_prices_both_ends():
    planned = [
        Planned("cluster", 1000, TokenRange(1000, 2000), TokenRange(100, 300)),
        Planned("verify", 500, TokenRange(2000, 4000), TokenRange(50, 100)),
    ]
    total = forecast(planned, SETTINGS)
    assert (total.calls, total.prompt_tokens, total.output_tokens) == (
        1500,
        TokenRange(2_000_000, 4_000_000),
        TokenRange(125_000, 350_000),
    )
    assert total.cost_low == pytest.approx(2 * 2 + 0.125 * 8)
    assert total.cost_high == pytest.approx(4 * 2 + 0.35 * 8)
    lines = total.table(SETTINGS).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split("  ")[0].strip() == "total"
    assert lines[-1].endswith("5.00 to 10.80")


def test_reasoning_widens_the_bill_upwards():
    planned = [Planned("cluster", 10, TokenRange(1, 2), TokenRange(1, 2))]
    total = forecast(planned, dataclasses.replace(SETTINGS, reasoning_tokens=1000))
    assert total.output_tokens == TokenRange(10, 10_020)
    assert total.planned[0].output_tokens == TokenRange(1, 1002)
    assert total.cost_high == pytest.approx((20 * 2 + 10_020 * 8) / 1e6)


def test_without_prices_cost_is_unknown():
    settings = EndpointSettings("http://localhost/v1", "m")
    total = forecast([Planned("cluster", 10, TokenRange(1, 2), TokenRange(1, 2))], settings)
    assert total.cost_low is None
    assert total.to_json()["cost"] is None
    assert total.table(settings).count("unknown") == 2


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"base_url": ""}, "--base_url"),
        ({"base_url": "localhost:8000"}, "--base_url"),
        ({"base_url": "http://[::1/v1"}, "--base_url"),
        ({"base_url": "http://localhost:80a0/v1"}, "--base_url"),
        ({"base_url": "http://localhost:99999/v1"}, "--base_url"),
        ({"model": ""}, "--model"),
        ({"api_key_env": ""}, "--api_key_env"),
        ({"temperature": float("nan")}, "--temperature"),
        ({"concurrency": 0}, "--concurrency"),
        ({"reasoning_tokens": -1}, "--reasoning_tokens"),
        ({"timeout_s": 0.0}, "--request_timeout"),
        ({"deadline_s": -1.0}, "--request_deadline"),
        ({"price_input": 1.0}, "--price_output"),
        ({"price_input": -1.0, "price_output": 1.0}, "--price_input"),
        ({"max_cost": 1.0}, "--price_input"),
        ({"max_calls": -1}, "--max_calls"),
    ],
)
def test_bad_settings_name_their_flag(changed, flag):
    with pytest.raises(UserError, match=flag):
        EndpointSettings(**{"base_url": "http://localhost/v1", "model": "m", **changed})


def test_identity_holds_no_timing_and_no_limits():
    one = EndpointSettings(
        "http://localhost/v1/", "m", timeout_s=1, concurrency=2, max_calls=3, api_key_env="A"
    )
    other = EndpointSettings("http://localhost/v1", "m")
    assert one.identity() == other.identity()
    assert list(other.identity()) == [
        "base_url",
        "model",
        "temperature",
        "seed",
    ]  # keys of answers paid for long ago
