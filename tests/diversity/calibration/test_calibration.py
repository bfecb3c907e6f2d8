import numpy as np
import pytest

from divsyn_jax.diversity.agents.base import Partitions
from divsyn_jax.diversity.agents.oracle import OracleAgent
from divsyn_jax.diversity.calibration import calibration

COUNTS = ([80] * 3, [24] * 10, [6] * 40)


class _Judge(OracleAgent):
    """Knows the labels, and errs in one way."""

    def __init__(self, fault):
        super().__init__("topic")
        self.fault = fault
        self.rng = np.random.default_rng(0)

    def partition(self, corpora, repetition=0):
        return [Partitions(self._err(part.labels_DK)) for part in super().partition(corpora)]

    def _err(self, labels_DK):
        if self.fault == "joins":  # four topics look like one
            labels_DK = labels_DK // 4
        elif self.fault == "places":  # documents shown together belong together
            follows = self.rng.random((len(labels_DK), labels_DK.shape[1] - 1)) < 0.3
            labels_DK[:, 1:] = np.where(follows, labels_DK[:, :-1], labels_DK[:, 1:])
        elif self.fault == "guesses":
            labels_DK = self.rng.integers(0, 5, labels_DK.shape)
        return labels_DK


@pytest.fixture
def samples(make_sample):
    def read(counts):
        topics = np.repeat(np.arange(len(counts)), counts)
        records = [
            {"text": f"{len(counts)} {n}", "topic": f"{topic:03d}"}
            for n, topic in enumerate(topics)
        ]
        return make_sample(records, label_field="topic")

    return [read(counts) for counts in COUNTS]


def _calibrate(agent, samples, label_field="topic"):
    ladder = calibration.Ladder("topics", {f"c{n}": "" for n in range(len(samples))}, label_field)
    return calibration.calibrate(agent, ladder, samples, sample_size=10, draws=600, seed=0)


def _trusted(found):
    return {verdict["claim"]: verdict["trusted"] for verdict in found["verdicts"]}


def test_the_agent_that_knows_is_trusted_in_all(samples):
    found = _calibrate(OracleAgent("topic"), samples)
    assert set(_trusted(found).values()) == {True}
    assert (found["spearman"]["estimate"], found["inversions"]) == (1, [])
    assert found["ari"]["value"] == found["test_retest"]["correlation"] == 1
    assert (found["slope"]["value"], found["slope"]["intercept"]) == pytest.approx((1, 0))
    assert found["order_sensitivity"]["times"] == 5
    assert found["order_sensitivity"]["change_of_answer"] == 0
    for rung, counts in zip(found["rungs"], COUNTS, strict=True):
        assert rung["known"]["clusters"] == rung["known"]["effective_clusters"] == len(counts)


def test_a_judge_that_joins_topics_orders_but_does_not_count(samples):
    found = _calibrate(_Judge("joins"), samples)
    trusted = _trusted(found)
    assert trusted["put corpora in order"]
    assert trusted["answer the same when asked again"]
    assert not trusted["count clusters"]
    assert not trusted["tell which documents belong together"]
    assert found["rungs"][2]["effective_clusters"]["value"] == pytest.approx(10, rel=0.1)
    assert found["rungs"][2]["effective_clusters_error"] == pytest.approx(-0.75, abs=0.03)
    assert found["slope"]["value"] < 0.9


def test_a_judge_of_places_is_unsteady_and_biased(samples):
    found = _calibrate(_Judge("places"), samples)
    trusted = _trusted(found)
    assert not trusted["ignore the order of documents"]
    assert not trusted["answer the same when asked again"]
    assert found["order_sensitivity"]["adjusted_rand"]["value"] < 0.8


def test_a_guess_is_trusted_in_nothing_but_its_lack_of_place(samples):
    trusted = _trusted(_calibrate(_Judge("guesses"), samples))
    assert [claim for claim, answer in trusted.items() if answer] == [
        "ignore the order of documents"
    ]


def test_a_ladder_upside_down_is_seen(samples):
    found = _calibrate(OracleAgent("topic"), samples[::-1])
    assert found["spearman"]["estimate"] == -1
    assert found["inversions"] == [["c0", "c1"], ["c1", "c2"]]


def test_what_cannot_be_tested_says_why(make_sample):
    alike = make_sample(
        [{"text": f"t {n}", "topic": "one"} for n in range(30)], label_field="topic"
    )
    found = _calibrate(OracleAgent("topic"), [alike])
    assert found["spearman"]["estimate"] is None
    assert "at least 3" in found["spearman"]["reason"]
    assert found["slope"]["value"] is None
    assert "same number" in found["slope"]["reason"]
    assert found["test_retest"]["correlation"] is None
    assert "same number" in found["test_retest"]["reason"]
    assert _trusted(found)["put corpora in order"] is None


def test_without_labels_only_order_and_steadiness(samples):
    import dataclasses

    found = _calibrate(_Judge("joins"), samples)
    assert found["ari"]["value"] is not None

    class Judge:
        kind, model = "test", None

        def partition(self, corpora, repetition=0):
            return [
                Partitions(draws.documents_DK % (3 + len(draws.sample) % 7)) for draws in corpora
            ]

    bare = [dataclasses.replace(sample, labels=None) for sample in samples]
    found = _calibrate(Judge(), bare, label_field=None)
    assert (
        found["ari"]
        == found["slope"]
        == {
            "value": None,
            "reason": "no labels known (--label_field)",
        }
    )
    assert [rung["known"] for rung in found["rungs"]] == [None] * 3
    assert _trusted(found)["count clusters"] is None


def test_rungs_of_one_kind_tie(make_sample):
    # The second and third rung hold the same ten topics; documents, not the judge, put them out of
    # order.
    def read(counts, salt):
        topics = np.repeat(np.arange(len(counts)), counts)
        records = [
            {"text": f"{salt} {n}", "topic": f"{topic:03d}"} for n, topic in enumerate(topics)
        ]
        return make_sample(records, label_field="topic")

    rungs = [
        read([80] * 3, "a"),
        read([24] * 10, "b"),
        read([30] * 5 + [18] * 5, "c"),
        read([6] * 40, "d"),
    ]
    found = _calibrate(OracleAgent("topic"), rungs)
    assert (
        found["rungs"][2]["known"]["effective_clusters"]
        < found["rungs"][1]["known"]["effective_clusters"]
    )
    assert found["inversions"] == []


class _JudgeOfSets(OracleAgent):
    """Knows the labels, and joins topics by the criteria set that a draw's number gives it; blind
    to order.
    """

    def __init__(self, sets):
        super().__init__("topic")
        self.sets = sets

    def partition(self, corpora, repetition=0):
        answers = []
        for draws, part in zip(corpora, super().partition(corpora), strict=True):
            sets_D = (draws.first + np.arange(len(part.labels_DK))) % self.sets
            answers.append(Partitions(part.labels_DK // (1 + sets_D[:, None]), sets_D=sets_D))
        return answers


@pytest.mark.parametrize("rungs", [2, 3])
def test_a_draw_meets_its_own_criteria_set_again(samples, rungs):
    found = _calibrate(_JudgeOfSets(5), samples[:rungs])
    for asked_again in ("order_sensitivity", "test_retest"):
        assert found[asked_again]["adjusted_rand"]["value"] == 1
        assert found[asked_again]["change_of_answer"] == 0


def test_intervals_of_a_judge_with_criteria_are_over_its_sets(samples):
    found = _calibrate(_JudgeOfSets(5), samples)
    for rung in found["rungs"]:
        assert rung["cluster_score"]["method"] == "t over 5 criteria sets"
        assert len(rung["effective_clusters"]["criteria"]["set_means"]) == 5
        assert rung["ari"]["method"] == "t over 5 criteria sets"
