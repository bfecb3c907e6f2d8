import dataclasses

import numpy as np
import pytest
from scipy import stats

from divsyn_jax.diversity.estimation import differences, estimators
from divsyn_jax.diversity.estimation.differences import Measured, compare_corpora


def test_welch_equals_scipy():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, 80), rng.normal(0.3, 2, 50)
    ours = differences.welch(*[(v.mean(), v.std(ddof=1), len(v)) for v in (first, second)])
    theirs = stats.ttest_ind(second, first, equal_var=False)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert (ours.ci_low, ours.ci_high) == pytest.approx((low, high))
    assert differences.welch((1.0, 0.0, 10), (1.0, 0.0, 10)).p_value is None


def test_holm_by_hand():
    assert differences.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert differences.holm([0.9, 0.8]) == [1.0, 1.0]
    assert differences.holm([]) == []


def test_pairs_share_criteria_sets_and_are_paired():
    rng = np.random.default_rng(3)
    sets_R = rng.normal(0, 2, 6)  # what a set does to every corpus
    first_R, second_R = 5 + sets_R + rng.normal(0, 0.1, 6), 5.5 + sets_R + rng.normal(0, 0.1, 6)
    corpora = [
        Measured(name, means_R.mean(), 1.0, 600, tuple(means_R))
        for name, means_R in (("a", first_R), ("b", second_R))
    ]
    (row,) = compare_corpora(corpora)
    theirs = stats.ttest_rel(second_R, first_R)
    low, high = theirs.confidence_interval()
    assert row.method == "paired t over 6 criteria sets"
    assert row.difference.p_value == pytest.approx(theirs.pvalue)
    assert (row.difference.ci_low, row.difference.ci_high) == pytest.approx((low, high))
    assert row.difference.p_value < 0.01 < stats.ttest_ind(second_R, first_R).pvalue


def test_other_sets_are_not_paired():
    first = Measured("a", 5.0, 1.0, 500, (4.0, 5.0, 6.0))
    second = Measured("b", 5.2, 1.0, 500, (4.2, 5.0, 5.4, 6.2))
    (row,) = compare_corpora([first, second])
    assert row.method == "Welch's t over set means"
    theirs = stats.ttest_ind(second.set_means, first.set_means, equal_var=False)
    assert row.difference.p_value == pytest.approx(theirs.pvalue)


def test_all_pairs_of_few_corpora_neighbours_of_many_and_holm_over_those_tested():
    def corpora(count):
        return [Measured(f"c{n}", 5 + 0.1 * n, 1.0, 400) for n in range(count)]

    few = compare_corpora(corpora(8))
    assert len(few) == 28
    assert [row.p_value_holm for row in few] == differences.holm(
        [row.difference.p_value for row in few]
    )
    assert [(row.first, row.second) for row in compare_corpora(corpora(9))] == [
        (f"c{n}", f"c{n + 1}") for n in range(8)
    ]
    assert compare_corpora(corpora(1)) == []


def test_differing_failure_rates_refuse_the_pair_alone():
    corpora = [
        Measured("a", 5, 1, 400),
        Measured("b", 6, 1, 400, failure_rate=0.029),
        Measured("c", 7, 1, 400, None, 0.04),
    ]
    rows = {(row.first, row.second): row for row in compare_corpora(corpora)}
    refused = rows["a", "c"]
    assert (refused.difference, refused.p_value_holm) == (None, None)
    assert "0.0% and 4.0% of the draws failed" in refused.reason
    tested = [rows["a", "b"], rows["b", "c"]]
    assert [row.p_value_holm for row in tested] == differences.holm(
        [row.difference.p_value for row in tested]
    )


def test_equal_constants_have_no_p_value():
    (row,) = compare_corpora([Measured("a", 10, 0, 100), Measured("b", 10, 0, 100)])
    assert (row.difference.value, row.difference.p_value, row.p_value_holm) == (0, None, None)


def _sample_of_one_process(rng, documents=400, draws=4000, size=8):
    """Draws of documents whose labels a process with a few common topics wrote, as `Measured` by
    pair share.
    """
    labels_N = rng.choice(8, documents, p=[0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    draws_DK = np.argsort(rng.random((draws, documents)), axis=1)[:, :size]
    found = estimators.draw_statistics(labels_N[draws_DK])
    shares_D = found.pair_share_D
    return Measured(
        "corpus",
        float(shares_D.mean()),
        float(shares_D.std(ddof=1)),
        draws,
        document_variance=estimators.document_variance(shares_D, draws_DK, documents),
    )


def test_two_samples_of_one_process_are_told_apart_no_more_often_than_promised():
    rng = np.random.default_rng(5)
    pairs = [(_sample_of_one_process(rng), _sample_of_one_process(rng)) for _ in range(100)]
    p_values = [compare_corpora(pair)[0].difference.p_value for pair in pairs]
    assert sum(p < 0.05 for p in p_values) <= 10  # a binomial of 5 expected
    draws_only = [
        [dataclasses.replace(side, document_variance=0.0) for side in pair] for pair in pairs
    ]
    assert sum(compare_corpora(pair)[0].difference.p_value < 0.05 for pair in draws_only) > 40


def test_the_choice_of_documents_widens_a_paired_test_and_adds_to_its_freedom():
    sets = (4.0, 5.0, 6.0)
    first, second = (
        Measured(n, 5, 1, 300, tuple(v + shift for v in sets)) for n, shift in (("a", 0), ("b", 1))
    )
    assert compare_corpora([first, second])[0].difference.p_value is None
    noisy = [dataclasses.replace(side, document_variance=0.125) for side in (first, second)]
    difference = compare_corpora(noisy)[0].difference
    assert difference.p_value == pytest.approx(2 * stats.norm.sf(1 / 0.5))
    assert (difference.ci_low, difference.ci_high) == pytest.approx(
        (1 - 1.96 * 0.5, 1 + 1.96 * 0.5), abs=1e-3
    )
