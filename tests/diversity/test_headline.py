"""The headline of an agent with vectors: from all pairs, over documents, in words that are true."""

import re
import types
import zlib

import numpy as np
import pytest

from divsyn_jax.diversity import score, scoring
from divsyn_jax.diversity.agents import kinds
from divsyn_jax.diversity.agents.base import Partitions, nothing_used
from divsyn_jax.diversity.baselines import common_shared_text
from divsyn_jax.diversity.comparison import comparison_of, measurement
from divsyn_jax.diversity.estimation import all_pairs
from divsyn_jax.diversity.estimation.profile import mean_at, orders_over_band, profile_record
from divsyn_jax.diversity.estimation.ratio_tests import CopyShare, compare_ratios, compare_shares
from divsyn_jax.diversity.reporting import answer, score_page
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.embedding.reading import Reading

from .corpora import score_corpus, write_labelled, write_records

PLANTED = kinds.AgentKind(
    name="planted",
    maker=f"{__name__}:make_planted_agent",
    explanation="Vectors made from the words grouped the documents.",
    default_draws=300,
    first_look=100,
    free=True,
    embeds=True,
)


def _unit(text: str, dimensions: int = 64) -> np.ndarray:
    vector = np.random.default_rng(zlib.crc32(text.encode())).normal(size=dimensions)
    return vector / np.linalg.norm(vector)


class _Planted:
    """Documents `topic wording copy`: topics lie far apart, wordings of one at about 0.4."""

    kind, model, criteria = PLANTED, "words 1", ()

    def settings(self):
        return {}

    def vectors(self, sample):
        rows = [
            _unit(text.split()[0]) + 0.8 * _unit(" ".join(text.split()[:2]))
            for text in sample.texts
        ]
        return np.float32([row / np.linalg.norm(row) for row in rows])

    def near_duplicate_share(self, sample):
        wordings = {" ".join(text.split()[:2]) for text in sample.texts}
        return 1 - len(wordings) / len(sample)

    def reading(self, sample):
        return Reading("words 1", len(sample), 256, 0.0, 0.0, 0.0, 0.0, None)

    def partition(self, corpora, repetition=0):
        return [Partitions(self._topics(each.sample)[each.documents_DK]) for each in corpora]

    def _topics(self, sample):
        return np.unique([text.split()[0] for text in sample.texts], return_inverse=True)[1]

    def usage(self):
        return nothing_used()

    def close(self):
        pass


def make_planted_agent(settings, samples):
    return _Planted()


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """`planted(name, topics, wordings, copies)`: a corpus of the shape; `.score(...)` scores it."""
    monkeypatch.setitem(kinds.AGENTS, PLANTED.name, PLANTED)

    def write(name, topics, wordings, copies=1):
        records = [
            {"text": f"{name}{topic} w{wording} c{copy} and the rest"}
            for topic in range(topics)
            for wording in range(wordings)
            for copy in range(copies)
        ]
        return str(write_records(tmp_path / f"{name}.jsonl", records))

    return write


def _score(path, **settings):
    return score(path, agent=PLANTED.name, baselines=(), **settings)


def _page(scores):
    empty = [types.SimpleNamespace(index_N=[], texts=[])] * len(scores)
    return score_page.render_scores(scores, comparison_of(scores), empty, [[]] * len(scores))


def _words(page):
    """The text outside folds."""
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL))


def test_the_draw_size_does_not_move_it(planted):
    path = planted("a", 12, 10)
    found = [_score(path, sample_size=size) for size in (5, 10, 20)]
    headlines = [each["effective_clusters"] for each in found]
    assert headlines[0] == headlines[1] == headlines[2]
    assert headlines[0]["granularities"].keys() == {"copies", "wordings", "topics"}
    assert headlines[0]["granularities"]["topics"]["value"] == pytest.approx(12, rel=0.1)
    assert "calibrated" not in headlines[0]
    # C/S is made of draws, as published, and moves with K; the estimate from draws stands beside.
    scores = [each["cluster_score"]["value"] for each in found]
    assert scores[0] < scores[1] < scores[2]
    of_draws = found[1]["effective_clusters_of_draws"]
    assert of_draws["value"] == pytest.approx(12, rel=0.1)
    assert {"generator_ci_low", "document_variance_error", "pair_share"} <= of_draws.keys()


def test_samples_of_unlike_sizes_stand_side_by_side_at_one_size(planted):
    """Table and figure show what the sentence says, not what each has at its own size."""
    large, small = _score(planted("large", 12, 20)), _score(planted("small", 12, 4))
    shown = answer.comparable_intervals([large, small])
    assert shown["large"]["value"] == pytest.approx(mean_at(large["effective_clusters"], 48).value)
    assert shown["small"]["value"] == small["effective_clusters"]["value"]
    words = _words(_page([large, small]))
    assert "effective clusters of 48 documents of each, 95% interval" in words
    assert "The samples differ in size (48 to 240 documents)" in words
    assert "differ in size" not in _words(_page([small]))
    kept = score_page.number(shown["large"]["value"])
    assert f"large ({kept})" in words
    assert large["facets"]["topic"]["value"] == pytest.approx(
        large["effective_clusters"]["granularities"]["topics"]["value"]
    )


def test_corpora_that_are_not_told_apart_are_given_no_order(planted):
    found = [_score(planted("a", 12, 10)), _score(planted("b", 12, 10))]
    words = _words(_page(found))
    assert "Not told apart: a and b." in words
    assert "The order is" not in words


def test_company_does_not_move_it(planted):
    settings = ScoreSettings(agent=PLANTED.name, baselines=())
    paths = {"a": planted("a", 12, 10), "b": planted("b", 3, 30)}
    samples = {name: scoring.sample_corpus(path, settings) for name, path in paths.items()}
    of_each = [scoring.corpus_shared_text(sample, settings) for sample in samples.values()]
    agent = scoring.make_agent(settings, samples)
    together = scoring.score_corpora(samples, agent, common_shared_text(of_each), settings)
    assert together["a"][0]["effective_clusters"] == _score(paths["a"])["effective_clusters"]


def test_the_intervals_shown_are_those_over_documents(tmp_path):
    path = write_labelled(tmp_path / "c.jsonl", [40, 20, 10, 5, 5])
    found = score(str(path), agent="oracle", label_field="topic", draws=5000, baselines=())
    for metric in ("effective_clusters", "cluster_score", "exp_entropy", "clusters_per_document"):
        own, shown = found[metric], measurement(found, metric)
        assert shown["ci_low"] == own["generator_ci_low"] < own["ci_low"]
        assert shown["ci_high"] == own["generator_ci_high"] > own["ci_high"]
    page = re.sub("</?bdi>", "", _page([found]))
    before, fold = page.split("Draws: other draw sizes, Monte Carlo error")
    fold, after = fold.split("</details>", 1)
    for metric in ("effective_clusters", "cluster_score"):
        of_draws = score_page.number(found[metric]["ci_low"])
        over_documents = score_page.number(found[metric]["generator_ci_low"])
        assert f"[{over_documents}, " in before
        assert f"[{of_draws}, " in fold
        assert f"[{of_draws}, " not in before + after


def test_draws_that_hold_every_document_have_no_interval_over_documents(tmp_path):
    path = write_labelled(tmp_path / "c.jsonl", [5, 5])
    found = score(str(path), agent="oracle", label_field="topic", draws=50, baselines=())
    for metric in ("effective_clusters", "cluster_score", "exp_entropy", "clusters_per_document"):
        assert found[metric]["generator_ci_low"] is found[metric]["generator_ci_high"] is None
        shown = measurement(found, metric)
        assert "ci_low" not in shown
        assert "holds all 10" in shown["method"]
    assert "holds all 10" in _page([found])


def _corpus_vectors(generator, documents, topics, spread=0.8, dimensions=48):
    centres = np.random.default_rng(7).normal(size=(topics, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = generator.normal(size=(documents, dimensions)) / np.sqrt(dimensions)
    vectors = centres[generator.integers(0, topics, documents)] + spread * noise
    return np.float32(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _profile(vectors):
    return profile_record(all_pairs.pair_distances(vectors))


def test_null_twins_are_not_told_apart():
    generator = np.random.default_rng(0)
    rejected = 0
    for _ in range(60):
        twins = {name: _profile(_corpus_vectors(generator, 150, 20)) for name in "ab"}
        (row,) = compare_ratios({name: mean_at(twin, 150) for name, twin in twins.items()})
        rejected += row.p_value_holm < 0.05
    assert rejected <= 8  # of 60 at 5%: more has probability 0.3%


def test_a_difference_is_told_with_its_ratio():
    generator = np.random.default_rng(1)
    profiles = {n: _profile(_corpus_vectors(generator, 300, k)) for n, k in (("a", 5), ("b", 40))}
    (row,) = compare_ratios({name: mean_at(each, 300) for name, each in profiles.items()})
    assert row.ratio.ci_low > 1
    assert row.difference.value == pytest.approx(np.log2(row.ratio.value))
    assert row.p_value_holm < 1e-6


def test_a_sample_of_another_size_reads_as_the_smaller_does():
    generator = np.random.default_rng(2)
    large, small = (_profile(_corpus_vectors(generator, n, 30)) for n in (1200, 200))
    assert large["value"] > 1.05 * small["value"]  # fine granularities grow with the sample
    assert mean_at(large, 200).value == pytest.approx(small["value"], rel=0.1)
    assert mean_at(small, 200).value == pytest.approx(small["value"])


def test_the_order_is_or_is_not_the_same_over_the_band(planted):
    few, many = _score(planted("few", 4, 15)), _score(planted("many", 15, 4))
    # More topics, each said once and copied: fewer kinds where copies are one kind.
    copied = _score(planted("copied", 20, 1, copies=10))
    same = comparison_of([few, many])["orders"]
    assert [order["same"] for order in same] == [True]
    assert "The order is the same at every granularity" in _words(_page([few, many]))
    (turned,) = comparison_of([few, copied])["orders"]
    assert turned["same"] is False
    assert max(turned["first_larger"]) < min(turned["second_larger"])
    words = _words(_page([few, copied]))
    assert "The order depends on how fine a kind is: few has more kinds at distance" in words
    assert "The order is the same" not in words


def test_an_order_within_chance_is_not_said_to_hold():
    generator = np.random.default_rng(3)
    twins = {name: _profile(_corpus_vectors(generator, 200, 20)) for name in "ab"}
    for profile in twins.values():
        for place, point in enumerate(profile["curve"]):
            point["log_error"] = 1.0
            point["value"] = 20.0 + (place % 2 if profile is twins["a"] else 0.5)
    (order,) = orders_over_band(twins)
    assert order["same"] is None
    said = answer.band({"orders": [order]})
    assert "within chance, of: a and b" in said[0].text()


def test_uncalibrated_words_give_a_range_and_no_page_claims_too_much(planted):
    found = [_score(planted("a", 12, 10)), _score(planted("b", 4, 30))]
    words = _words(_page(found))
    assert re.search(r"a: between [\d.,]+ and [\d.,]+ kinds; b: between", words)
    assert "give --calibration or --pair_judge for one number" in words
    page = _page(found)
    for claim in ("do not depend on K", "is worth", "equally common kinds", "at every K"):
        assert claim not in page
    assert words.index("a has") < words.index("Evidence")
    for metric in ("effective_clusters", "cluster_score", "near_duplicate_clusters"):
        assert metric not in page
    low, high = (found[0]["effective_clusters"]["range"][end] for end in ("low", "high"))
    assert low < 12 < high


def test_saturation_is_said(planted):
    found = _score(planted("apart", 60, 1))
    words = _words(_page([found]))
    assert re.search(r"apart: .* topics [\d.]+ of at most 60, the documents", words)
    assert "read it as at least that" in words
    assert re.search(r"apart: C/S 10 of at most 10", words)
    assert re.search(r"apart: [\d.]+ kinds or more", words)
    assert "at most 60, the documents sampled: read" not in _words(
        _page([_score(planted("a", 3, 20))])
    )


def test_copies_are_tested_like_the_headline(planted):
    clean, copied = _score(planted("clean", 20, 10)), _score(planted("copied", 20, 1, copies=10))
    twin = _score(planted("twin", 20, 10))
    words = _words(_page([clean, copied]))
    assert (
        "clean 0.0% exactly, 0.0% exactly or nearly; copied 0.0% exactly, 90% exactly or nearly"
        in words
    )
    assert "Told apart by near copies: clean and copied." in words
    assert "No pair is told apart by its copies." in _words(_page([clean, twin]))
    rows = {row["metric"]: row for row in comparison_of([clean, copied])["differences"]}
    assert rows["duplicates.near"]["ci_low"] > 0.5
    assert rows["near_duplicate_clusters"]["ratio_ci_high"] < 1


def test_shares_of_unlike_numbers_of_documents_are_not_compared():
    (row,) = compare_shares([CopyShare("a", 0.1, 1000), CopyShare("b", 0.4, 200)])
    assert row.difference is None
    assert "grow with the number of documents" in row.reason


def test_the_terminal_answers_in_eighty_columns(tmp_path):
    name = "a_corpus_with_a_name_that_is_much_too_long_for_a_column_of_a_terminal_of_today"
    paths = [
        write_labelled(tmp_path / "few.jsonl", [50] * 2),
        write_labelled(tmp_path / f"{name}.jsonl", [5] * 20),
    ]
    flags = ("--agent=oracle", "--label_field=topic", "--draws=500", "--baselines=none")
    done = score_corpus(*paths, f"--output={tmp_path / 'out'}", *flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.rstrip().splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("corpus "))
    assert lines[head].split("  ")[-1].strip() == "C/S"
    assert all(len(line) <= 80 for line in lines[head : head + 3])
    report = next(place for place, line in enumerate(lines) if line.startswith("Report: "))
    answered = " ".join(lines[report + 1 :])
    assert answered.startswith("From least to most diverse by effective clusters: few (2")
    assert re.search(r"has [\d.]+ times the effective clusters of few .*Holm-corrected p", answered)
    assert "{'" not in done.stdout


def test_of_many_pairs_told_apart_the_few_others_are_named(planted):
    scores = [
        _score(planted("one", 20, 10)),
        _score(planted("twin", 20, 10)),
        _score(planted("copied", 20, 1, copies=10)),
    ]
    words = _words(_page(scores))
    assert "All pairs are told apart by near copies but one and twin." in words
