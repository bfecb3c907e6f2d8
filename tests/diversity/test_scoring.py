import re
import subprocess
import sys

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import score
from divsyn_jax.diversity.estimation import exact

from .corpora import REPOSITORY, write_labelled, write_records

SKEWED = [200, 100, 50, 25, 12, 6, 3, 1, 1, 1]


@pytest.mark.parametrize("counts", [[30] * 20, SKEWED])
def test_oracle_score_equals_the_exact_expectation(tmp_path, counts):
    path = str(write_labelled(tmp_path / "c.jsonl.gz", counts))
    hits = {"cluster_score": 0, "effective_clusters": 0}
    for seed in range(20):
        result = score(
            path, agent="oracle", label_field="topic", draws=2000, seed=seed, baselines=()
        )
        truth = {
            "cluster_score": exact.expected_cluster_score(counts, 10),
            "effective_clusters": exact.true_effective_clusters(counts),
        }
        for metric, value in truth.items():
            hits[metric] += result[metric]["ci_low"] <= value <= result[metric]["ci_high"]
    assert min(hits.values()) >= 16, hits  # of 20 at 95%: fewer has probability 0.3%


def test_effective_clusters_do_not_depend_on_the_sample_size(tmp_path):
    path = str(write_labelled(tmp_path / "c.jsonl", [20] * 25))
    results = [
        score(path, agent="oracle", label_field="topic", sample_size=size, baselines=())
        for size in (5, 10, 20)
    ]
    for result in results:
        assert result["effective_clusters"]["value"] == pytest.approx(25, rel=0.03)
    scores = [result["cluster_score"]["value"] for result in results]
    assert scores[0] < 5 < scores[1] < 10 < scores[2]  # the published score does depend on it


def test_content_of_a_score(tmp_path):
    records = [{"text": f"word{n % 7} and some more words {n}", "topic": n % 7} for n in range(40)]
    result = score(
        f"mine={write_records(tmp_path / 'c.jsonl', records)}",
        agent="oracle",
        label_field="topic",
        draws=50,
    )
    assert result["corpus"]["name"] == "mine"
    assert (result["corpus"]["documents"], result["corpus"]["tokens"]) == (40, 240)
    assert result["agent"] == {
        "kind": "oracle",
        "model": None,
        "settings": {"label_field": "topic"},
    }
    assert result["cluster_score"]["criteria_sets"] is None
    assert result["duplicates"]["exact"] == 0
    assert result["near_duplicate_clusters"]["value"] is None
    assert result["baselines"]["context_length"]["value"] == 6
    for name, baseline in result["baselines"].items():
        assert baseline["value"] is not None or baseline["reason"], name
    assert result["failures"] == []


def test_a_sample_of_a_larger_corpus_names_its_population(tmp_path):
    path = str(write_labelled(tmp_path / "c.jsonl", [30] * 10))
    result = score(
        path, agent="oracle", label_field="topic", max_documents=50, draws=100, baselines=()
    )
    assert result["effective_clusters"]["documents"] == 50
    assert "the 50 sampled documents of 300" in result["population"]


def test_the_seed_determines_the_score(tmp_path):
    path = str(write_labelled(tmp_path / "c.jsonl", [30] * 10))

    def once(seed):
        return score(
            path, agent="oracle", label_field="topic", max_documents=100, draws=200, seed=seed
        )

    assert once(3) == once(3)
    assert once(3)["cluster_score"] != once(4)["cluster_score"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agent": "psychic"}, "agent='psychic': choose one of"),
        ({"sample_size": 1}, "sample_size=1"),
        ({"threshold": float("nan")}, "threshold=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"draws": 1}, "draws=1"),
        ({"max_documents": 5}, "max_documents=5"),
        ({"baselines": ("bleu",)}, "baselines='bleu': unknown"),
        ({"parity": "diversity-9"}, "parity='diversity-9': choose"),
        ({"perplexity_models": ("a/b", "c/d", "e/f")}, "3 models"),
        ({"agent": "oracle"}, "label_field"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, settings, message):
    path = str(write_labelled(tmp_path / "c.jsonl", [30]))
    with pytest.raises(UserError, match=message):
        score(path, **settings)


def test_no_module_of_the_package_names_the_accelerator_stack():
    for module in (REPOSITORY / "divsyn_jax" / "diversity").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (jax|flax)\b", module.read_text(), re.MULTILINE), (
            module
        )


def test_importing_the_package_imports_neither_jax_nor_torch():
    code = """
import sys
import divsyn_jax.diversity
import divsyn_jax.diversity.score_corpus
heavy = {"jax", "jaxlib", "flax", "torch", "scipy", "sentence_transformers"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from divsyn_jax.diversity import score
import divsyn_jax.diversity.agents.embedding, divsyn_jax.diversity.reporting.score_page
assert not {"jax", "jaxlib", "flax", "torch"} & set(sys.modules)
assert callable(score)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_rounds_score_fresh_samples_and_begin_with_the_first(tmp_path):
    path = str(write_labelled(tmp_path / "c.jsonl", [30, 20, 10]))
    settings = {
        "agent": "oracle",
        "label_field": "topic",
        "max_documents": 40,
        "draws": 200,
        "baselines": (),
    }
    found = score(path, rounds=3, **settings)
    spread = found["rounds"]["metrics"]["cluster_score"]
    assert found["rounds"]["seeds"] == [0, 1, 2]
    assert spread["values"] == [
        score(path, seed=seed, **settings)["cluster_score"]["value"] for seed in range(3)
    ]
    assert spread["sd"] > 0
