"""Baseline measures of diversity that read words, not meaning. Each is linear in the words it reads.

Corpora that are compared read the same number of words and of bytes, because all but the first change with the size
of the text. Definitions follow the package `diversity` 0.3.1 (Shaib et al. 2024, arXiv 2403.00553) with its defects
left out.

Shapes: W words, D documents, G n-grams.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

OFFERED = ("context_length", "compression_ratio", "ngram_diversity", "self_repetition")
NOT_OFFERED = (
    "perplexity",
    "perplexity_gap",
    "kmeans",
    "vendi_score",
    "homogenization",
    "dcscore",
    "remote_clique",
    "chamfer",
)
NGRAM_ORDERS = 4


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much text every compared corpus contributes: the same words to the n-gram measures, the same bytes to
    gzip."""

    words: int
    bytes: int


def largest_budget(texts: Sequence[str], words: int) -> Budget:
    """What the first documents that hold `words` words (all of them, when they hold fewer) can contribute."""
    counted = size = 0
    for text in texts:
        if counted >= words:
            break
        counted += len(text.split())
        size += len(text.encode("utf-8")) + 1
    return Budget(min(counted, words), max(0, size - 1))


def common_budget(budgets: Sequence[Budget]) -> Budget:
    """The budget that every corpus can meet."""
    return Budget(min(budget.words for budget in budgets), min(budget.bytes for budget in budgets))


def cut_to_words(texts: Sequence[str], words: int) -> list[list[str]]:
    """The white-space words of the first documents, `words` of them in all; the last document is cut."""
    documents, left = [], words
    for text in texts:
        if left <= 0:
            break
        documents.append(text.split()[:left])
        left -= len(documents[-1])
    return documents


def context_length(mean: float, sd: float, documents: int) -> dict[str, Any]:
    """Mean white-space words of a document ("context length" of Chen et al. 2024, arXiv 2410.15226, in words, not
    tokens).

    Counted over every document of the corpus, so it has a spread and no sampling error.
    """
    return {"value": mean, "sd": sd, "documents": documents, "interval": "none: every document is counted"}


def compression_ratio(texts: Sequence[str], limit: int | None = None) -> float:
    """UTF-8 bytes over gzip bytes (level 9, one pass) of the documents joined by spaces, over at most `limit` bytes.

    Higher is more repetitive. gzip sees 32 KiB back: repetition far apart does not count, so the documents come in a
    random order. (`diversity` 0.3.1 compresses the compressed stream again, which inflates the ratio of repetitive
    text.)
    """
    gzip_container = 31  # zlib's window bits for a gzip header and trailer, without file name or time
    compressor = zlib.compressobj(9, zlib.DEFLATED, gzip_container)
    read = compressed = 0
    for index, text in enumerate(texts):
        if limit is not None and read >= limit:
            break
        piece = ((" " if index else "") + text).encode("utf-8")[: None if limit is None else limit - read]
        read += len(piece)
        compressed += len(compressor.compress(piece))
    return read / (compressed + len(compressor.flush()))


def ngram_diversity(documents: Sequence[Sequence[str]]) -> float | None:
    """Sum over n = 1..4 of distinct n-grams / n-grams of the joined documents, in (0, 4]; None under four words.

    Higher is more diverse. n-grams cross from a document into the next, as in `diversity` 0.3.1.
    """
    word_W = _word_numbers(documents)
    if len(word_W) < NGRAM_ORDERS:
        return None
    total, gram_G = 0.0, word_W
    for order in range(1, NGRAM_ORDERS + 1):
        gram_G = word_W if order == 1 else _longer_grams(gram_G, word_W[order - 1 :])
        total += (int(gram_G.max()) + 1) / len(gram_G)
    return total


def self_repetition(documents: Sequence[Sequence[str]]) -> float:
    """Mean over documents of ln(1 + sum over the document's distinct 4-grams g of (df(g) - 1)), df(g) documents
    holding g.

    Higher is more repetitive; documents of fewer than four words count 0. The formula of `diversity` since March
    2025; the one before, and the one Chen et al. print, is ln(words - 3) for text without repetition: a measure of
    length.
    """
    word_W = _word_numbers(documents)
    lengths_D = np.array([len(words) for words in documents])
    ends_D = np.cumsum(lengths_D)
    if len(word_W) < NGRAM_ORDERS:
        return 0.0
    gram_G = word_W
    for order in range(2, NGRAM_ORDERS + 1):
        gram_G = _longer_grams(gram_G, word_W[order - 1 :])
    document_W = np.repeat(np.arange(len(documents)), lengths_D)
    document_G = document_W[: len(gram_G)]
    inside_G = np.arange(len(gram_G)) + NGRAM_ORDERS <= ends_D[document_G]
    gram_G, document_G = gram_G[inside_G], document_G[inside_G]
    grams = int(gram_G.max(initial=0)) + 1
    document_U, gram_U = np.divmod(np.unique(document_G * grams + gram_G), grams)  # each 4-gram of a document once
    others_U = np.bincount(gram_U)[gram_U] - 1
    return float(np.log1p(np.bincount(document_U, weights=others_U, minlength=len(documents))).mean())


def _word_numbers(documents: Sequence[Sequence[str]]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(word, len(numbers)) for words in documents for word in words], dtype=np.int64)


def _longer_grams(gram_G: np.ndarray, next_word_W: np.ndarray) -> np.ndarray:
    """Numbers of the n-grams made of an (n-1)-gram and the word after it: exact, since the pair of numbers fits 64
    bits."""
    pair_G = gram_G[: len(next_word_W)] * (int(next_word_W.max()) + 1) + next_word_W
    return np.unique(pair_G, return_inverse=True)[1]
