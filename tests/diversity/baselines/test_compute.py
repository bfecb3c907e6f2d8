"""All baselines of a sample: what is reported, and that compared corpora contribute alike."""

import json
import random

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.baselines import (
    BASELINES,
    PARITY,
    Settings,
    baseline_names,
    compute,
    largest_shared_text,
)
from divsyn_jax.diversity.comparison import measurement

from ..corpora import score_corpus, write_records
from .test_lexical import DISJOINT

VECTOR_METRICS = {name for name, each in BASELINES.items() if each.needs == "vectors"}


def _texts(count, words, seed=0):
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(300)}" for _ in range(words)) for _ in range(count)]


@pytest.fixture
def sample(make_sample):
    return make_sample([{"text": text} for text in _texts(60, 30)])


def _vectors(sample):
    return np.random.default_rng(0).normal(size=(len(sample), 8)) / np.sqrt(8)


def test_every_baseline_has_a_value_or_a_reason(sample):
    found = compute(
        sample, largest_shared_text(sample.texts, 1000), Settings(), lambda: _vectors(sample)
    )
    assert tuple(found) == baseline_names()
    json.dumps(found, allow_nan=False)
    for name, entry in found.items():
        assert entry["value"] is not None or entry["reason"], name
        assert entry["value"] is None or "method" in entry, (
            name
        )  # an interval, or why there is none
        assert measurement({"baselines": found}, f"baselines.{name}")["value"] == entry["value"]
    assert {name for name, entry in found.items() if entry["value"] is None} == {
        "perplexity",
        "perplexity_gap",
        "gvendi",
    }


def test_vectors_are_made_only_when_needed_and_their_absence_is_a_reason(sample):
    budget = largest_shared_text(sample.texts, 1000)

    def fail():
        raise AssertionError("nothing needs vectors")

    found = compute(sample, budget, Settings(names=("chamfer", "self_repetition")), None)
    assert found["chamfer"]["value"] is None
    assert "divsyn-jax[score]" in found["chamfer"]["reason"]
    assert found["kmeans"]["reason"] == "not asked for (--baselines)"
    lexical = [name for name in baseline_names() if name not in VECTOR_METRICS]
    assert compute(sample, budget, Settings(names=lexical), fail)["homogenization"]["value"] > 0


def test_the_fixed_number_of_documents_is_that_of_the_smaller_corpus(make_sample, tmp_path):
    small, large = (
        make_sample([{"text": t} for t in _texts(20, 29)]),
        make_sample([{"text": t} for t in _texts(50, 90, 1)]),
    )
    budget = baselines.common_shared_text(
        [largest_shared_text(sample.texts, 10_000) for sample in (small, large)]
    )
    found = [
        compute(sample, budget, Settings(), lambda sample=sample: _vectors(sample))
        for sample in (small, large)
    ]
    for name in VECTOR_METRICS:
        assert [entry[name]["documents"] for entry in found] == [20, 20]
    for name in ("self_repetition", "self_repetition_legacy", "homogenization"):
        assert [(entry[name]["documents"], entry[name]["document_words"]) for entry in found] == [
            (15, 29)
        ] * 2
    # Without repetition the legacy form is ln(words - 3): equal once lengths are.
    assert found[0]["self_repetition_legacy"]["value"] == pytest.approx(np.log(26), abs=0.2)
    assert found[1]["self_repetition_legacy"]["value"] == pytest.approx(np.log(26), abs=0.2)


def test_parity_reaches_the_published_values(make_sample):
    sample = make_sample([{"text": text} for text in DISJOINT])
    budget = largest_shared_text(sample.texts, 1000)
    published = compute(sample, budget, Settings(parity=PARITY), lambda: np.eye(3))
    true = compute(sample, budget, Settings(), lambda: np.eye(3))
    assert (published["homogenization"]["value"], true["homogenization"]["value"]) == (1.0, 0.0)
    assert (published["compression_ratio"]["value"], published["ngram_diversity"]["value"]) == (
        0.372,
        4.0,
    )
    assert published["remote_clique"]["value"] == 0.667
    assert true["remote_clique"]["value"] == pytest.approx(2 / 3)
    marked = {name for name, entry in published.items() if entry.get("parity") == PARITY}
    assert marked == {
        "compression_ratio",
        "ngram_diversity",
        "self_repetition",
        "self_repetition_legacy",
        "homogenization",
        "remote_clique",
        "chamfer",
    }


def test_documents_too_short_for_4_grams_have_no_self_repetition(make_sample):
    def found(records):
        sample = make_sample([{"text": text} for text in records])
        shared = largest_shared_text(sample.texts, 100)
        return compute(sample, shared, Settings(names=("self_repetition",)), None)[
            "self_repetition"
        ]

    assert found(["a b", "c d e", "f g h i"])["without_4_grams"] == 2
    assert found(["a b c"] * 3) == {
        "value": None,
        "reason": "no document has 4 words: there is no 4-gram",
    }


def test_names_and_sources_are_in_the_report(tmp_path):
    records = [{"text": text, "topic": number % 4} for number, text in enumerate(_texts(30, 12))]
    output = tmp_path / "out"
    done = score_corpus(
        write_records(tmp_path / "c.jsonl", records),
        f"--output={output}",
        "--agent=oracle",
        "--label_field=topic",
        "--draws=50",
        "--baselines=homogenization,self_repetition_legacy",
        f"--parity={PARITY}",
    )
    assert done.returncode == 0, done.stderr
    score = json.loads((output / "c" / "score.json").read_text())
    assert score["settings"]["parity"] == PARITY
    assert score["baselines"]["homogenization"]["value"] == round(
        score["baselines"]["homogenization"]["value"], 3
    )
    page = (output / "report.html").read_text()
    for baseline in BASELINES.values():
        assert baseline.source in page


def test_unknown_settings_raise():
    with pytest.raises(UserError, match="--baselines=bleu: unknown"):
        Settings(names=("bleu",))
