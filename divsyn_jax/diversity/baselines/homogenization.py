"""Homogenisation: how much the documents of a corpus share their wording, as mean ROUGE-L over
pairs.

Shapes: N documents.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Value,
    no_value,
    register,
)
from divsyn_jax.diversity.baselines.document_intervals import jackknife

_PUBLISHED_WORD = re.compile(
    r"[a-z0-9]+"
)  # of the package rouge_score: other letters separate words


def homogenization(documents: Sequence[Sequence[str]], parity: str | None = None) -> Value:
    """Mean over pairs of documents of the ROUGE-L F1, 2 LCS / (m + n) for documents of m and n
    words.

    Words are compared without case and without stemming; two documents without words
    score 0. Higher is more homogeneous. Longer documents share longer subsequences, so compared
    corpora are cut to one length; the number of documents does not move the mean. Time grows with
    the pairs: the caller samples the documents.

    Parity (`diversity` 0.3.1): a corpus whose documents share nothing scores 1 instead of 0, and
    the mean is rounded to 3 decimals; its words are `published_words`.

    Args:
      documents: the words of each document.

    Returns:
      the mean with its interval over documents (a mean over pairs is a U-statistic: jackknife).
    """
    if len(documents) < 2:
        return no_value("fewer than two documents")
    rows_N = rouge_l(documents).sum(axis=1)  # each pair stands in two rows
    count, total = len(documents), float(rows_N.sum())
    value = total / (count * (count - 1))
    without_N = (total - 2 * rows_N) / max(1, (count - 1) * (count - 2))
    if parity:
        value = round(value, 3) if total else 1.0
        return Value(value, "no interval: published form", details={"documents": count})
    interval = jackknife(value, without_N, 0, 1)
    return Value(
        value, interval.method, interval.ci_low, interval.ci_high, details={"documents": count}
    )


def published_words(text: str) -> list[str]:
    """The words of PyPI diversity 0.3.1: letters beyond ASCII separate them."""
    return _PUBLISHED_WORD.findall(text.lower())


def rouge_l(documents: Sequence[Sequence[str]]) -> np.ndarray:
    """[N, N] ROUGE-L F1 (Lin 2004, with precision and recall of equal weight) of every two
    documents, given as their words; 0 on the diagonal.

    Words become characters, so that the longest common subsequence is one bit-parallel call a pair
    (Hyyro 2004)."""
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    held_by = Counter(found for document in documents for found in set(document))
    # A word of one document is in no common subsequence. The commonest words get the characters
    # under 256, which rapidfuzz looks up in a table instead of a hash map.
    shared = [found for found, documents_with in held_by.most_common() if documents_with > 1]
    character = {found: chr(number) for number, found in enumerate(shared)}
    strings = [
        "".join(character[found] for found in document if found in character)
        for document in documents
    ]
    lcs_NN = process.cdist(strings, strings, scorer=LCSseq.similarity, dtype=np.uint32, workers=-1)
    np.fill_diagonal(lcs_NN, 0)
    lengths_N = np.array([len(document) for document in documents])
    return 2 * lcs_NN / np.maximum(1, lengths_N[:, None] + lengths_N[None, :])


def _homogenization(reading: BaselineInputs) -> Value:
    most = reading.settings.homogenization_documents
    if reading.settings.parity:
        documents = [published_words(text) for text in reading.matched_texts[:most]]
    else:
        documents = [[word.lower() for word in words] for words in reading.matched_words[:most]]
    found = homogenization(documents, reading.settings.parity)
    return dataclasses.replace(found, details={**found.details, **reading.document_words})


register(
    Baseline(
        "homogenization",
        _homogenization,
        needs="texts",
        direction="down",
        meaning="mean ROUGE-L F1 of two documents",
        source=(
            "Padmakumar and He 2023, arXiv 2309.05196; ROUGE-L of Lin 2004 (PyPI diversity 0.3.1)"
        ),
        depends_on="document length",
        parity=True,
        title="homogenisation (ROUGE-L)",
    )
)
