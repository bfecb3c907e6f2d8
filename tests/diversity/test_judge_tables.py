"""What the page says of a judge, in the words of the field and without the noise of arithmetic."""

import re

import pytest

from divsyn_jax.diversity.reporting import judge_tables


@pytest.mark.parametrize(("found", "shown"), [(2.1e-8, "0"), (0.25, "0.25"), (None, "-")])
def test_criteria_sets_that_agree_differ_by_nothing(found, shown):
    score = {"cluster_score": {"criteria": {"sets_sd": found}}}
    assert judge_tables._between_sets(score) == shown
    assert judge_tables._between_sets({"cluster_score": {}}) == "-"


def test_what_is_done_with_invalid_clusters_is_said_in_words():
    measured = {"cluster_score": {"value": 9.5}, "effective_clusters": {"value": 30.0}}
    policies = {"split": measured, "drop": measured, "keep": measured}
    score = {"corpus": {"name": "a"}, "verification": {"policies": policies}}
    text = re.sub("<[^>]*>", " ", judge_tables.policy_part([score]))
    assert "drop: effective clusters" in text
    assert "split: C/S" in text
    assert "_" not in text
