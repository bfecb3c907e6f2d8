"""Homogenisation: how much the documents of a corpus share their wording, as mean ROUGE-L over
pairs.

Shapes: N documents.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from divsyn_jax.diversity.baselines.intervals import jackknife
from divsyn_jax.diversity.baselines.table import Baseline

METRICS = {
    "homogenization": Baseline(
        "mean ROUGE-L F1 of two documents: less is more diverse",
        "Padmakumar and He 2023, arXiv 2309.05196; ROUGE-L of Lin 2004 (PyPI diversity 0.3.1)",
        "document length",
    ),
}
_WORD = re.compile(r"[^\W_]+")
_PUBLISHED_WORD = re.compile(
    r"[a-z0-9]+"
)  # of the package rouge_score: other letters separate words


def homogenization(texts: Sequence[str], parity: str | None = None) -> dict[str, Any]:
    """Mean over pairs of documents of the ROUGE-L F1, 2 LCS / (m + n) for documents of m and n
    words.

    Words are lower-case runs of letters and digits, without stemming; two documents without words
    score 0. Higher is more homogeneous. Longer documents share longer subsequences, so compared
    corpora are cut to one length; the number of documents does not move the mean. Time grows with
    the pairs: the caller samples the documents.

    Parity (`diversity` 0.3.1): letters beyond ASCII separate words, a corpus whose documents share
    nothing scores 1 instead of 0, and the mean is rounded to 3 decimals.

    Returns:
      value, its interval over documents (a mean over pairs is a U-statistic: jackknife), documents.
    """
    if len(texts) < 2:
        return {"value": None, "reason": "fewer than two documents"}
    rows_N = rouge_l(texts, _PUBLISHED_WORD if parity else _WORD).sum(
        axis=1
    )  # each pair stands in two rows
    count, total = len(texts), float(rows_N.sum())
    value = total / (count * (count - 1))
    without_N = (total - 2 * rows_N) / max(1, (count - 1) * (count - 2))
    if parity:
        value = round(value, 3) if total else 1.0
        return {"value": value, "documents": count, "method": "no interval: published form"}
    return {"value": value, **jackknife(value, without_N, 0, 1), "documents": count}


def rouge_l(texts: Sequence[str], word: re.Pattern = _WORD) -> np.ndarray:
    """[N, N] ROUGE-L F1 (Lin 2004, with precision and recall of equal weight) of every two
    documents; 0 on the diagonal.

    Words become characters, so that the longest common subsequence is one bit-parallel call a pair
    (Hyyro 2004)."""
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    documents = [word.findall(text.lower()) for text in texts]
    held_by = Counter(found for words in documents for found in set(words))
    # A word of one document is in no common subsequence. The commonest words get the characters
    # under 256, which rapidfuzz looks up in a table instead of a hash map.
    shared = [found for found, documents_with in held_by.most_common() if documents_with > 1]
    character = {found: chr(number) for number, found in enumerate(shared)}
    strings = [
        "".join(character[found] for found in words if found in character) for words in documents
    ]
    lcs_NN = process.cdist(strings, strings, scorer=LCSseq.similarity, dtype=np.uint32, workers=-1)
    np.fill_diagonal(lcs_NN, 0)
    lengths_N = np.array([len(words) for words in documents])
    return 2 * lcs_NN / np.maximum(1, lengths_N[:, None] + lengths_N[None, :])
