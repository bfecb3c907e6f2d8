"""Baselines that read words, not meaning. Time and memory are those of one sort of the words an
n-gram order.

Definitions follow the package `diversity` 0.3.1 (Shaib et al. 2024, arXiv 2403.00553) with its
defects left out; `parity="diversity-0.3"` brings them back, so that a published value can be
compared.

Shapes: W words, D documents, G n-grams, U distinct (document, n-gram) pairs.
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Value,
    no_value,
    register,
)

NGRAM_ORDERS = 4
_ONE_TEXT = "no interval: one text of this length"
_SHAIB = "Shaib et al. 2024, arXiv 2403.00553 (PyPI diversity 0.3.1)"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SOME_TIME = 1_700_000_000
_GZIP_CONTAINER = 31  # zlib's window bits for a gzip header and trailer, without file name or time


def context_length(
    lengths_D: np.ndarray, mean: float, sd: float, documents: int
) -> tuple[float, dict[str, object]]:
    """Mean words of a document ("context length" of Chen et al. 2024, in words, not tokens).

    Args: lengths_D: words of a uniform sample of the documents, for the quantiles. mean, sd,
      documents: of every document of the corpus, so the mean has a spread and no sampling error.

    Returns:
      the mean, and what is written beside it.
    """
    return mean, {
        "sd": sd,
        "documents": documents,
        "quantiles": {f"{q:g}": float(np.quantile(lengths_D, q)) for q in _QUANTILES},
        "quantiles_of": f"{len(lengths_D):,} sampled documents",
    }


def compression_ratio(
    texts: Sequence[str], limit: int | None = None, parity: str | None = None
) -> float:
    """UTF-8 bytes over gzip bytes (level 9, one pass) of the documents joined by spaces, over at
    most `limit` bytes.

    Higher is more repetitive. gzip sees 32 KiB back: repetition far apart does not count, so the
    documents come in a random order. It grows with the bytes read, little with the length of
    documents.

    Parity: the compressed stream is compressed again into a second gzip file, which inflates the
    ratio of repetitive text and counts headers twice, and the ratio is rounded to 3 decimals. Where
    the published file holds the time of its making ours holds a fixed one, so tiny corpora can
    differ in the third decimal."""
    if parity:
        data = " ".join(texts).encode("utf-8")[:limit]
        twice = io.BytesIO()
        with gzip.GzipFile("compressed.gz", "wb", 9, twice, mtime=_SOME_TIME) as outer:
            outer.write(gzip.compress(data, 9, mtime=_SOME_TIME))
        return round(len(data) / len(twice.getvalue()), 3)
    compressor = zlib.compressobj(9, zlib.DEFLATED, _GZIP_CONTAINER)
    read = compressed = 0
    for index, text in enumerate(texts):
        if limit is not None and read >= limit:
            break
        piece = ((" " if index else "") + text).encode("utf-8")[
            : None if limit is None else limit - read
        ]
        read += len(piece)
        compressed += len(compressor.compress(piece))
    return read / (compressed + len(compressor.flush()))


def ngram_diversity(words: Sequence[str]) -> float | None:
    """Sum over n = 1..4 of distinct n-grams / n-grams of the words of the joined documents, in
    (0, 4]; None under four words.

    Higher is more diverse. n-grams cross from a document into the next, as in `diversity` 0.3.1, so
    the length of documents does not enter; it falls with the number of words (Heaps' law).
    """
    if len(words) < NGRAM_ORDERS:
        return None
    total, word_W = 0.0, _word_numbers(words)
    gram_G = word_W
    for order in range(1, NGRAM_ORDERS + 1):
        gram_G = word_W if order == 1 else _longer_grams(gram_G, word_W[order - 1 :])
        total += (int(gram_G.max()) + 1) / len(gram_G)
    return total


def published_ngram_diversity(texts: Sequence[str]) -> float | None:
    """As `diversity` 0.3.1 prints it: words end at single spaces only (a line break stays inside a
    word, two spaces make an empty one), and the sum is rounded to 3 decimals.
    """
    value = ngram_diversity(" ".join(texts).split(" "))
    return None if value is None else round(value, 3)


def self_repetition(documents: Sequence[Sequence[str]]) -> float:
    """Mean over documents of ln(1 + sum over the document's distinct 4-grams g of (df(g) - 1)),
    df(g) documents holding g.

    Higher is more repetitive; documents of fewer than four words count 0. The formula of
    `diversity` since March 2025, which it computes correctly: parity changes only the words. Grows
    with the length of documents and with their number.

    Args:
      documents: the words of each document.
    """
    gram_G, document_G = _grams_inside(documents)
    _, document_U, frequency_U = _document_frequencies(gram_G, document_G)
    return float(
        np.log1p(np.bincount(document_U, weights=frequency_U - 1, minlength=len(documents))).mean()
    )


def self_repetition_legacy(documents: Sequence[Sequence[str]]) -> float:
    """Mean over documents of ln(sum over the document's 4-gram occurrences g of (n_g + 1)), n_g
    other documents with g.

    Higher is more repetitive, and longer: without a shared 4-gram it is ln(words - 3). The formula
    of `diversity` until March 2025 and, with its sum of (N_i + 1), the one Chen et al. print. As
    there, documents equal to this one do not count as other. Documents of fewer than four words
    count 0, where the published code takes the logarithm of 0.

    4-grams are compared as words; the published code searched for them as character strings, in
    time quadratic in the documents, and so also found one whose first or last word is only the end
    or the start of a word there.

    Args:
      documents: the words of each document.
    """
    gram_G, document_G = _grams_inside(documents)
    gram_U, _, frequency_U = _document_frequencies(gram_G, document_G)
    frequency_of_gram = np.zeros(int(gram_G.max(initial=0)) + 1)
    frequency_of_gram[gram_U] = frequency_U
    times = Counter(map(tuple, documents))
    copies_D = np.array([times[tuple(words)] for words in documents])
    with_self_G = frequency_of_gram[gram_G] - copies_D[document_G] + 1
    sums_D = np.bincount(document_G, weights=with_self_G, minlength=len(documents))
    return float(np.log(np.maximum(sums_D, 1)).mean())


def _word_numbers(words: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64)


def _longer_grams(gram_G: np.ndarray, next_word_W: np.ndarray) -> np.ndarray:
    """Numbers of the n-grams made of an (n-1)-gram and the word after it: exact, since the pair of
    numbers fits 64 bits."""
    pair_G = gram_G[: len(next_word_W)] * (int(next_word_W.max()) + 1) + next_word_W
    return np.unique(pair_G, return_inverse=True)[1]


def _grams_inside(documents: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the 4-gram occurrences that lie inside one document, and the document of each."""
    lengths_D = np.array([len(words) for words in documents])
    word_W = _word_numbers([word for words in documents for word in words])
    if len(word_W) < NGRAM_ORDERS:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    gram_G = word_W
    for order in range(2, NGRAM_ORDERS + 1):
        gram_G = _longer_grams(gram_G, word_W[order - 1 :])
    document_G = np.repeat(np.arange(len(documents)), lengths_D)[: len(gram_G)]
    inside_G = np.arange(len(gram_G)) + NGRAM_ORDERS <= np.cumsum(lengths_D)[document_G]
    return gram_G[inside_G], document_G[inside_G]


def _document_frequencies(
    gram_G: np.ndarray, document_G: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each 4-gram of a document once: its number, its document, and the documents that hold it."""
    grams = int(gram_G.max(initial=0)) + 1
    document_U, gram_U = np.divmod(np.unique(document_G * grams + gram_G), grams)
    return gram_U, document_U, np.bincount(gram_U, minlength=1)[gram_U]


def _context_length(reading: BaselineInputs) -> Value:
    sample = reading.sample
    value, details = context_length(
        np.array(reading.lengths),
        sample.words / sample.documents,
        sample.words_sd,
        sample.documents,
    )
    return Value(value, "no interval: every document is counted", details=details)


def _compression_ratio(reading: BaselineInputs) -> Value:
    limit = reading.shared.bytes
    value = compression_ratio(reading.texts, limit, reading.settings.parity)
    return Value(value, _ONE_TEXT, details={"bytes": limit})


def _ngram_diversity(reading: BaselineInputs) -> Value:
    if reading.settings.parity:
        value = published_ngram_diversity(reading.shared_texts)
    else:
        value = ngram_diversity([word for words in reading.shared_words for word in words])
    if value is None:
        return no_value(f"fewer than {NGRAM_ORDERS} words")
    return Value(value, _ONE_TEXT, details={"words": reading.shared.words})


def _repetition(
    reading: BaselineInputs, metric: Callable[[Sequence[Sequence[str]]], float]
) -> Value:
    documents = reading.matched_words
    if reading.settings.parity:
        documents = [text.split() for text in reading.matched_texts]
    short = sum(len(words) < NGRAM_ORDERS for words in documents)
    if short == len(documents):
        return no_value(f"no document has {NGRAM_ORDERS} words: there is no {NGRAM_ORDERS}-gram")
    details = {"documents": len(documents), "without_4_grams": short, **reading.document_words}
    return Value(metric(documents), _ONE_TEXT, details=details)


def _self_repetition(reading: BaselineInputs) -> Value:
    return _repetition(reading, self_repetition)


def _self_repetition_legacy(reading: BaselineInputs) -> Value:
    return _repetition(reading, self_repetition_legacy)


register(
    Baseline(
        "context_length",
        _context_length,
        needs="sample",
        direction="none",
        meaning="mean words of a document",
        source="Chen et al. 2024, arXiv 2410.15226, Table 1, in words (UAX 29 segments)",
        depends_on="nothing else",
    )
)
register(
    Baseline(
        "compression_ratio",
        _compression_ratio,
        needs="texts",
        direction="down",
        meaning="bytes over gzip bytes",
        source=_SHAIB,
        depends_on="bytes read, order of documents",
        parity=True,
    )
)
register(
    Baseline(
        "ngram_diversity",
        _ngram_diversity,
        needs="texts",
        direction="up",
        meaning="distinct over all n-grams of words, summed over n = 1..4",
        source=_SHAIB,
        depends_on="words",
        parity=True,
        title="n-gram diversity",
    )
)
register(
    Baseline(
        "self_repetition",
        _self_repetition,
        needs="texts",
        direction="down",
        meaning="log of 4-grams of words shared with other documents",
        source="Salkar et al. 2022, arXiv 2210.07613, as in PyPI diversity since 2025-03",
        depends_on="document length, number of documents",
        parity=True,
        title="self-repetition",
    )
)
register(
    Baseline(
        "self_repetition_legacy",
        _self_repetition_legacy,
        needs="texts",
        direction="down",
        meaning=(
            "self-repetition as published before 2025-03, confounded with length (ln(words - 3)"
            " without any repetition)"
        ),
        source="Salkar et al. 2022; the form printed by Chen et al. 2024, Table 1",
        depends_on="document length (above all), number of documents",
        parity=True,
        title="self-repetition as before 2025-03",
    )
)
