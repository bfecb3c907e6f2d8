"""The metrics that `--metric=all` grades."""

import itertools

import pytest

from divsyn_jax.grading.bench import Bench, GradedCorpus
from divsyn_jax.grading.known_metrics import distinct_ngrams, known_metrics
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages
from tests.grading.made import WordsModel


def test_the_published_metrics_are_there():
    names = set(known_metrics())
    assert names >= {
        *("effective_kinds", "effective_kinds_topics", "cluster_score", "facet_topic"),
        *("facet_style", "facet_structure", "facet_wording", "vendi_score", "dcscore_tau0.1"),
        *("novelsum", "compression_ratio", "ngram_diversity", "self_repetition", "mtld"),
        *("remote_clique", "kmeans", "chamfer", "homogenization", "distinct_1", "distinct_2"),
    }
    assert "context_length" not in names  # a size


def test_every_metric_has_a_value_for_ordinary_text_and_none_reads_what_it_does_not_say():
    metrics = list(known_metrics().values())
    passages = itertools.islice(generate_passages(Breadth(8, 4, 4), seed=1), 48)
    corpus = GradedCorpus("grammar", [record["text"] for record in passages])
    with_model = Bench(metrics, WordsModel()).values(corpus)
    assert {name: value.reason for name, value in with_model.items() if value.value is None} == {}
    texts_alone = [metric for metric in metrics if not metric.needs_vectors]
    without = Bench(texts_alone, None).values(corpus)
    for metric in texts_alone:
        assert without[metric.name].value == pytest.approx(with_model[metric.name].value)


def test_two_texts_are_enough_to_answer_or_give_a_reason():
    metrics = list(known_metrics().values())
    values = Bench(metrics, WordsModel()).values(GradedCorpus("two", ["one text", "two texts"]))
    for name, value in values.items():
        assert value.value is not None or value.reason, name


def test_distinct_ngrams_counts_inside_documents():
    documents = [["a", "b", "a"], ["A", "b"]]
    assert distinct_ngrams(documents, 1) == pytest.approx(2 / 5)
    assert distinct_ngrams(documents, 2) == pytest.approx(2 / 3)  # a-b, b-a, a-b
    assert distinct_ngrams([["a"]], 2) is None
