"""An agent is an interface: another judge is one file (this one) and one row of the table."""

import dataclasses
import types

import numpy as np
import pytest

from divsyn_jax.diversity import score
from divsyn_jax.diversity.agents import kinds
from divsyn_jax.diversity.agents.base import Embedder, Partitions, nothing_used
from divsyn_jax.diversity.agents.oracle import OracleAgent
from divsyn_jax.diversity.comparison import comparison_of
from divsyn_jax.diversity.reporting import score_page
from divsyn_jax.embedding.reading import Reading

from ..corpora import write_labelled

TOPIC_WORDS = kinds.AgentKind(
    name="topic_words",
    maker=f"{__name__}:make_topic_words_agent",
    explanation="The fifth word grouped the documents.",
    default_draws=300,
    first_look=100,
    free=True,
)


class _TopicWords:
    kind, model, criteria = TOPIC_WORDS, "words 1", ()

    def settings(self):
        return {"word": 4}

    def partition(self, corpora, repetition=0):
        return [Partitions(self._labels(draws.sample)[draws.documents_DK]) for draws in corpora]

    def _labels(self, sample):
        return np.unique([text.split()[4] for text in sample.texts], return_inverse=True)[1]

    def usage(self):
        return nothing_used()

    def close(self):
        pass


class _TopicVectors(_TopicWords):
    def vectors(self, sample):
        return np.eye(4, dtype=np.float32)[self._labels(sample)]

    def near_duplicate_share(self, sample):
        return 0.25

    def reading(self, sample):
        return Reading(self.model, len(sample), 100, 0.0, 0.0, 0.0, 0.125, None)


def make_topic_words_agent(settings, samples):
    return _TopicWords()


def make_topic_vectors_agent(settings, samples):
    return _TopicVectors()


@pytest.fixture
def corpus(tmp_path):
    return str(write_labelled(tmp_path / "c.jsonl", [15] * 4))


def _same(found, oracle):
    for metric in ("cluster_score", "effective_clusters", "by_sample_size"):
        assert found[metric] == oracle[metric]


def test_another_judge_is_one_file_and_one_row(corpus, monkeypatch):
    monkeypatch.setitem(kinds.AGENTS, TOPIC_WORDS.name, TOPIC_WORDS)
    found = score(corpus, agent="topic_words", baselines=("kmeans",))
    oracle = score(corpus, agent="oracle", label_field="topic", draws=300, baselines=())
    _same(found, oracle)
    assert found["agent"] == {"kind": "topic_words", "model": "words 1", "settings": {"word": 4}}
    assert found["duplicates"]["near"] is None
    assert found["control_variate"] is None
    assert found["baselines"]["kmeans"]["value"] is None
    page = score_page.render_scores(
        [found], comparison_of([found]), [types.SimpleNamespace(index_N=[])], [[]]
    )
    assert "The fifth word grouped the documents." in page
    assert "May this judge be believed" not in page


def test_a_judge_with_vectors_gives_them_to_what_needs_them(corpus, monkeypatch):
    kind = dataclasses.replace(TOPIC_WORDS, maker=f"{__name__}:make_topic_vectors_agent")
    monkeypatch.setitem(kinds.AGENTS, kind.name, kind)
    found = score(corpus, agent=kind.name, baselines=("vendi_score",))
    assert found["duplicates"]["near"] == 0.25
    assert found["reading"]["documents_cut"] == 0.125
    assert found["baselines"]["vendi_score"]["value"] == pytest.approx(4, rel=1e-3)


def test_a_judge_that_is_not_free_is_not_asked_for_other_sizes(corpus, monkeypatch):
    kind = dataclasses.replace(TOPIC_WORDS, free=False)
    monkeypatch.setitem(kinds.AGENTS, kind.name, kind)
    asked = []

    class Dear(_TopicWords):
        def partition(self, corpora, repetition=0):
            asked.extend(draws.documents_DK.shape for draws in corpora)
            return super().partition(corpora, repetition)

    Dear.kind = kind
    monkeypatch.setitem(globals(), "_TopicWords", Dear)
    found = score(corpus, agent=kind.name, baselines=(), control_variate=False)
    assert asked == [(300, 10)]
    assert [point["sample_size"] for point in found["by_sample_size"]] == [5, 10]
    assert found["control_variate"] == {"reason": "not asked for (--control_variate)"}
    assert found["settings"]["retest"] == 50


def test_who_has_vectors_is_an_embedder():
    assert isinstance(_TopicVectors(), Embedder)
    assert not isinstance(OracleAgent("topic"), Embedder)
