"""Unique text as a level, and what breadth is worth in it."""

import itertools
import math

import numpy as np
import pytest

from configs.studies import repetition
from divsyn_jax.base.commandline import UserError
from divsyn_jax.study import checks, plan
from divsyn_jax.study.exchange_rates import exchange_results
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.reporting.exchange import exchange_in_words, exchange_parts
from divsyn_jax.study.study_file import Outcome

OUTCOME = Outcome("grammar/bits_per_byte", "", "pretrain", "grammar/bits_per_byte", False)


def recipe():
    return repetition.get_config().to_dict()


def test_budgets_and_breadths_are_crossed():
    levels = recipe()["levels"]
    checks.check_recipe(recipe())
    cells = {(level["unique_tokens"], level["topics"]) for level in levels}
    assert len(cells) == len(levels) == 16
    # No two levels are cut from one corpus: the interval takes their errors for independent.
    assert len({level["seed"] for level in levels}) == 16
    budgets = sorted({budget for budget, _ in cells})
    assert [math.log2(b / a) for a, b in itertools.pairwise(budgets)] == [1, 1, 1]


def test_training_reads_the_budget_alone(tmp_path):
    study = Study(recipe() | {"real_weight": 1.0}, tmp_path)
    command = plan.steps(study, Run("", "u12800_t6", 1))[0].command
    (mixture,) = [part for part in command if part.startswith("--config.data.train=")]
    assert mixture.endswith(f"synthetic={tmp_path}/shards/u12800_t6@12800:3")


@pytest.mark.parametrize("bad", [0, -5, 1.5, True, "10"])
def test_a_budget_that_is_none_is_refused(bad):
    found = recipe()
    found["levels"][3]["unique_tokens"] = bad
    with pytest.raises(UserError, match=r"config.levels\[3\].unique_tokens=.*whole number"):
        checks.check_recipe(found)


def records(rate=2.0, sd=0.0):
    generator = np.random.default_rng(0)
    found = []
    for level in recipe()["levels"]:
        u, d = math.log2(level["unique_tokens"]), math.log2(level["topics"])
        value = 3 - 0.05 * u - 0.05 * rate * d + sd * generator.standard_normal()
        found.append(
            {
                "name": level["name"],
                "unique_tokens": level["unique_tokens"],
                "metrics": {"effective_clusters": {"value": float(level["topics"])}},
                "performance": {OUTCOME.name: {"value": value}},
            }
        )
    return found


def test_the_rate_is_found_and_said():
    found = exchange_results(recipe(), records(), [OUTCOME])
    rate = found["rates"][OUTCOME.name]
    assert rate["rate"]["value"] == pytest.approx(2)
    assert exchange_in_words(rate).startswith(
        "one doubling of effective clusters is worth 2.00 [2.00, 2.00]"
    )
    assert "would take" not in exchange_in_words(rate)
    noisy = exchange_results(recipe(), records(sd=0.08), [OUTCOME])
    page = "".join(map(str, exchange_parts({"exchange": noisy})))
    assert "would take about" in page or "cannot be told from nothing" in page


def test_studies_without_budgets_have_no_rate():
    plain = recipe()
    for level in plain["levels"]:
        del level["unique_tokens"]
    assert exchange_results(plain, records(), [OUTCOME]) is None
    assert exchange_parts({}) == []
    few = recipe()
    few["levels"] = few["levels"][:4]
    said = exchange_results(few, records()[:4], [OUTCOME])["reason"]
    assert "do not tell unique text, breadth and both apart" in said
    assert said in "".join(map(str, exchange_parts({"exchange": {"rates": {}, "reason": said}})))
