"""Effective clusters from judged pairs, and from calibrated densities of distance."""

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.estimation.all_pairs import pair_distances
from divsyn_jax.diversity.pairs import chances, design, distance_mixture, estimate
from tests.diversity.estimation.test_all_pairs import kinds


def overlapping(counts, seed=0):
    """Kinds whose documents lie nearly as far apart as those of two kinds."""
    return kinds(counts, noise=0.2, seed=seed)


def oracle(label_N):
    return lambda pairs: [bool(label_N[one] == label_N[two]) for one, two in pairs]


@pytest.mark.parametrize("number", [4, 16, 60])
def test_four_hundred_pairs_hold_the_truth(number):
    vectors_NE, label_N = overlapping([960 // number] * number)
    hits, errors = 0, []
    for seed in range(20):
        found, judged = estimate.judge_in_two_phases(vectors_NE, oracle(label_N), 400, seed)
        assert len(set(judged.pairs)) == found.judged == 400
        hits += found.ci_low <= number <= found.ci_high
        errors.append(abs(found.value / number - 1))
    assert hits >= 17
    assert np.median(errors) <= (0.15 if number <= 32 else 0.3)


def test_an_embedding_that_knows_nothing_widens_the_interval_and_does_not_mislead():
    vectors_NE, label_N = overlapping([120] * 8)
    shuffled_N = np.random.default_rng(0).permutation(label_N)
    hits, widths = 0, []
    for seed in range(20):
        found, _ = estimate.judge_in_two_phases(vectors_NE, oracle(shuffled_N), 400, seed)
        hits += found.ci_low <= 8 <= found.ci_high
        widths.append(found.log_error)
    assert hits >= 17
    knowing, _ = estimate.judge_in_two_phases(vectors_NE, oracle(label_N), 400, 0)
    assert np.median(widths) > knowing.log_error


def test_one_kind_and_no_two_alike():
    vectors_NE, _ = overlapping([40] * 5)
    one, _ = estimate.judge_in_two_phases(vectors_NE, lambda pairs: [True] * len(pairs), 200)
    assert one.value == pytest.approx(1, abs=0.1)
    none, _ = estimate.judge_in_two_phases(vectors_NE, lambda pairs: [False] * len(pairs), 200)
    assert none.value > 50
    assert none.ci_low < none.value


def test_unanswered_pairs_are_counted_and_leave_their_stratum():
    vectors_NE, label_N = overlapping([60] * 8)
    judge = oracle(label_N)

    def forgetful(pairs):
        return [
            None if sum(pair) % 3 == 0 else answer
            for pair, answer in zip(pairs, judge(pairs), strict=True)
        ]

    found, _ = estimate.judge_in_two_phases(vectors_NE, forgetful, 300)
    assert found.judged + found.unanswered == 300
    assert found.unanswered > 50
    assert found.ci_low < 8 < found.ci_high
    with pytest.raises(ValueError, match="no pair has an answer"):
        estimate.judge_in_two_phases(vectors_NE, lambda pairs: [None] * len(pairs), 50)


def test_a_sheet_of_one_round_holds_the_truth():
    vectors_NE, label_N = overlapping([60] * 16)
    hits = 0
    for seed in range(20):
        pairs = estimate.sheet_pairs(vectors_NE, 400, seed)
        assert len(set(pairs)) == 400
        same_P = np.array(oracle(label_N)(pairs), float)
        found = estimate.estimate_from_sheet(vectors_NE, estimate.JudgedPairs(tuple(pairs), same_P))
        hits += found.ci_low <= 16 <= found.ci_high
    assert hits >= 17


def test_every_pair_judged_is_exact():
    vectors_NE, label_N = overlapping([5, 4, 3])
    found, _ = estimate.judge_in_two_phases(vectors_NE, oracle(label_N), 1000)
    assert found.judged == 66
    assert found.value == pytest.approx(144 / 50)
    assert found.pairs_log_error == 0


def test_pairs_of_a_stratum_are_equally_likely():
    vectors_NE, _ = overlapping([4, 4, 4])
    distances = pair_distances(vectors_NE)
    strata = design.make_strata(distances, 3)
    seen = {}
    rng = np.random.default_rng(0)
    for _ in range(1500):
        for pair in design.draw_pairs(
            vectors_NE, distances, strata, [0, 0, 1][-len(strata) :], rng
        ):
            seen[pair] = seen.get(pair, 0) + 1
    expected = 1500 / strata.pairs_H[-1]
    assert len(seen) == strata.pairs_H[-1]
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 2 * len(seen)
    bins_P = design.bins_of_pairs(vectors_NE, list(seen))
    assert (strata.of_bins(bins_P) == len(strata) - 1).all()


def test_allocation_gives_away_what_full_strata_cannot_use():
    strata = design.Strata((0, 10, 20), (5, 100, 1000))
    assert design.allocate(90, strata).tolist() == [5, 43, 42]
    by_spread_H = design.allocate(90, strata, [0.0, 0.5, 0.02])
    assert by_spread_H.sum() == 90
    assert abs(by_spread_H - np.array([0, 64.3, 25.7])).max() < 1
    assert design.allocate(5000, strata).tolist() == [5, 100, 1000]


def test_the_curve_counts_much_where_answers_follow_it_and_little_where_not():
    pairs_H = 500 * 2 ** np.arange(10)
    asked_H = np.full(10, 40)
    rank_H = np.log(np.cumsum(pairs_H) - pairs_H / 2)
    smooth_H = np.rint(40 / (1 + np.exp(1.5 * (rank_H - rank_H[4]))))
    rough_H = np.array([40, 0, 40, 0, 35, 2, 30, 0, 20, 0])
    followed, strayed = (
        chances.fit_chances(pairs_H, asked_H, same_H) for same_H in (smooth_H, rough_H)
    )
    assert followed.prior_answers > 8 * strayed.prior_answers
    assert np.abs(strayed.chance_H - rough_H / 40).max() < 0.05
    assert (np.diff(followed.chance_H) < 0).all()


def test_a_mixture_of_calibrated_densities_counts_an_unlabelled_corpus(tmp_path):
    labelled, label_N = overlapping([40] * 16, seed=1)
    made = distance_mixture.calibrate_distances(labelled, label_N.tolist(), "made up", "none")
    path = tmp_path / "calibration.json"
    distance_mixture.save(path, made)
    calibration = distance_mixture.load_mixture(path, "none")
    assert (calibration.same_FB == made.same_FB).all()
    assert calibration.same_FB.sum() == 16 * 40 * 39 / 2
    for number in (8, 24):
        vectors_NE, _ = overlapping([480 // number] * number, seed=2)
        found = distance_mixture.calibrated_estimate(pair_distances(vectors_NE), calibration)
        assert found.value == pytest.approx(number, rel=0.3)
        assert found.ci_low <= number <= found.ci_high
        assert found.calibration_log_error > 0
    same, different = distance_mixture.join_rates(calibration, 0.7)
    assert same > 2 * different


def test_a_calibration_of_another_model_or_without_kinds_is_refused(tmp_path):
    vectors_NE, label_N = overlapping([10] * 6)
    made = distance_mixture.calibrate_distances(vectors_NE, label_N.tolist(), "made up", "one")
    path = tmp_path / "calibration.json"
    distance_mixture.save(path, made)
    with pytest.raises(UserError, match="measured with one"):
        distance_mixture.load_mixture(path, "another")
    path.write_text('{"ladders": []}')
    with pytest.raises(UserError, match="no calibration of distances"):
        distance_mixture.load_mixture(path)
    with pytest.raises(UserError, match="0 labels with two documents"):
        distance_mixture.calibrate_distances(vectors_NE, list(range(60)), "made up", "one")
