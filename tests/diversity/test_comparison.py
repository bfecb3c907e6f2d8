import copy
import types

import numpy as np
import pytest

from divsyn_jax.diversity import score
from divsyn_jax.diversity.comparison import comparison_of
from divsyn_jax.diversity.estimation.differences import Measured, compare_corpora
from divsyn_jax.diversity.reporting import score_page

from .corpora import write_labelled


@pytest.fixture
def scores(tmp_path):
    paths = [
        write_labelled(tmp_path / f"c{topics}.jsonl", [60 // topics] * topics)
        for topics in (3, 5, 6)
    ]
    return [
        score(str(path), agent="oracle", label_field="topic", draws=200, baselines=())
        for path in paths
    ]


def test_every_pair_is_tested_on_the_summaries_of_its_scores(scores):
    rows = [row for row in comparison_of(scores)["differences"] if "." not in row["metric"]]
    assert [(row["metric"], row["first"], row["second"]) for row in rows] == [
        (metric, *pair)
        for metric in ("cluster_score", "effective_clusters")
        for pair in (("c3", "c5"), ("c3", "c6"), ("c5", "c6"))
    ]
    pairs = [
        Measured(
            s["corpus"]["name"],
            s["effective_clusters"]["pair_share"],
            s["effective_clusters"]["pair_share_sd"],
            200,
            document_variance=s["effective_clusters"]["document_variance"],
            document_variance_error=s["effective_clusters"]["document_variance_error"],
        )
        for s in scores
    ]
    for row, expected in zip(rows[3:], compare_corpora(pairs), strict=True):
        assert row["statistic"] == "pair_share"
        assert row["p_value_holm"] == expected.p_value_holm
        assert row["difference"] == expected.difference.value < 0
        assert row["method"] == "Welch's t over draws and documents"


def test_criteria_sets_pair_the_corpora(scores):
    scores = copy.deepcopy(scores)
    for shift, found in zip((0.0, 1.0, 1.1), scores, strict=True):
        for metric in ("cluster_score", "effective_clusters"):
            found[metric]["criteria"] = {
                "set_means": [2 + shift, 3 + shift + 0.01, 4 + shift - 0.01]
            }
    rows = [row for row in comparison_of(scores)["differences"] if "." not in row["metric"]]
    assert {row["method"] for row in rows} == {"paired t over 3 criteria sets"}
    assert rows[0]["difference"] == pytest.approx(1)


def test_scores_that_failed_unequally_are_not_compared(scores):
    scores = copy.deepcopy(scores)
    scores[2]["failures"] = [{"draw": n} for n in range(20)]  # 20 of 220
    rows = {
        (row["metric"], row["first"], row["second"]): row
        for row in comparison_of(scores)["differences"]
    }
    refused = rows["cluster_score", "c3", "c6"]
    assert refused["difference"] is refused["p_value"] is refused["p_value_holm"] is None
    assert "9.1% of the draws failed" in refused["reason"]
    assert rows["cluster_score", "c3", "c5"]["p_value"] < 0.05


def test_the_verdict_ranks_corpora_of_different_sizes_as_the_tests_do(tmp_path):
    # 300 kinds in 500 documents count for less than 250 kinds in 4,000, though two of them match
    # less often.
    generator = np.random.default_rng(0)
    scores = []
    for name, documents, kinds in (("many", 500, 300), ("few", 4000, 250)):
        counts = np.bincount(generator.integers(0, kinds, documents), minlength=kinds)
        path = write_labelled(tmp_path / f"{name}.jsonl", [int(count) for count in counts if count])
        scores.append(score(str(path), agent="oracle", label_field="topic", baselines=()))
    many, few = (found["effective_clusters"] for found in scores)
    assert many["value"] < few["value"]
    assert many["pair_share"] < few["pair_share"]
    words = score_page.render_scores(
        scores, comparison_of(scores), [types.SimpleNamespace(index_N=[], texts=[])] * 2, [[], []]
    )
    assert "by effective clusters of 500 documents of each" in words
    assert words.index("few</bdi> (") < words.index("many</bdi> (")
