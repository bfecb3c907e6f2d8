"""Structure: how a document is laid out, with all words blotted out.

What is compared is which kinds of lines there are (`text_parts.LINE_KINDS`), how many of the lines
and how many of the words are of each kind, and which kind follows which, blocks of one kind counted
once. Two documents are as alike as the cosine of the roots of these shares (Bhattacharyya 1943).

Shapes: N documents, R rows of them, F features.
"""

from collections.abc import Sequence

import numpy as np

from divsyn_jax.diversity.facets.text_parts import LINE_KINDS, TextParts

_KIND = {kind: place for place, kind in enumerate(LINE_KINDS)}
_START = _END = len(LINE_KINDS)  # what stands before the first block and after the last
_WIDTH = 0.1  # of the cosine distance at which two layouts are alike to 1/e


def layouts(documents: Sequence[TextParts]) -> np.ndarray:
    """[N, F] unit vectors."""
    return np.array([_features(parts) for parts in documents])


def same_structure(rows_RF: np.ndarray, layouts_NF: np.ndarray) -> np.ndarray:
    """[R, N] how alike the layout of each row is to that of each document, 0 to 1."""
    return np.exp(-(1 - np.minimum(rows_RF @ layouts_NF.T, 1)) / _WIDTH)


def _features(parts: TextParts) -> np.ndarray:
    kinds = [_KIND[kind] for kind in parts.kinds]
    lines = np.zeros(len(LINE_KINDS))
    sizes = np.zeros(len(LINE_KINDS))
    follows = np.zeros((len(LINE_KINDS) + 1, len(LINE_KINDS) + 1))
    before = _START
    for kind, size in zip(kinds, parts.sizes, strict=True):
        lines[kind] += 1
        sizes[kind] += size
        if kind != before:
            follows[before, kind] += 1
        before = kind
    follows[before, _END] += 1
    shares = [part / max(part.sum(), 1) for part in (lines, sizes, follows.ravel())]
    roots = np.sqrt(np.concatenate(shares))
    return roots / np.linalg.norm(roots)
