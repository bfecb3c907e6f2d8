"""The interval for the process that wrote the documents covers it, where the interval over draws
alone does not.
"""

import numpy as np

from divsyn_jax.diversity.estimation import estimators


def one_corpus(generator, documents, topics, draws, size):
    """Labels of documents written by a process with equal topic chances, and draws of them."""
    labels_N = generator.integers(0, topics, documents)
    draws_DK = np.argsort(generator.random((draws, documents)), axis=1)[:, :size]
    return estimators.draw_statistics(labels_N[draws_DK]), draws_DK


def test_coverage_over_corpora_of_one_process():
    generator = np.random.default_rng(0)
    documents, topics, size, corpora = 80, 12, 5, 300
    # The process's own values: draws of independent documents.
    shares = np.full(topics, 1 / topics)
    q = float((shares**2).sum())
    exact_clusters = documents / (1 + (documents - 1) * q)
    far = generator.integers(0, topics, (200_000, size))
    exact_score = float(estimators.draw_statistics(far).scores_D.mean())
    score_hits = cluster_hits = narrow_hits = 0
    for _ in range(corpora):
        draws, draws_DK = one_corpus(generator, documents, topics, 3000, size)
        variance = estimators.document_variance(draws.scores_D, draws_DK, documents)
        low, high = estimators.generator_interval_of_score(draws, variance)
        score_hits += low <= exact_score <= high
        narrow = estimators.cluster_score(draws)
        narrow_hits += narrow.ci_low <= exact_score <= narrow.ci_high
        variance = estimators.document_variance(draws.pair_share_D, draws_DK, documents)
        low, high = estimators.generator_interval_of_clusters(draws, variance, documents)
        cluster_hits += low <= exact_clusters <= high
    # The order-1 term leaves out the higher ones, so equal topic chances (where it nearly vanishes)
    # are its hardest case.
    assert narrow_hits < 0.8 * corpora
    assert score_hits > narrow_hits
    assert cluster_hits > narrow_hits


def test_coverage_when_documents_differ_in_rarity():
    generator = np.random.default_rng(1)
    documents, size, corpora = 200, 5, 300
    shares = np.array([0.4, 0.2, 0.1] + [0.03] * 10)
    q = float((shares**2).sum())
    exact = documents / (1 + (documents - 1) * q)
    hits = 0
    for _ in range(corpora):
        labels_N = generator.choice(len(shares), documents, p=shares)
        draws_DK = np.argsort(generator.random((4000, documents)), axis=1)[:, :size]
        draws = estimators.draw_statistics(labels_N[draws_DK])
        variance = estimators.document_variance(draws.pair_share_D, draws_DK, documents)
        low, high = estimators.generator_interval_of_clusters(draws, variance, documents)
        hits += low <= exact <= high
    assert 0.9 <= hits / corpora <= 0.99, hits / corpora
