"""The facets of any subset of a collection, from sums over its pairs.

A facet is a mean over the pairs of a corpus (wording: a ratio of two sums over them), so what one
document adds to a subset is its row of one matrix. Choosing documents by facets takes nothing else,
and finds the very numbers that `measure_facets` does.

Shapes: M documents of the collection, D of a subset, F facets, S sums, K alternatives.
"""

from collections.abc import Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import MIDDLES_B, distance_bins
from divsyn_jax.diversity.facets.measured import FacetPairs
from divsyn_jax.diversity.facets.topic import TOPIC_JOIN

_WORDING = "wording"  # two sums: choices that agree, and all choices


class FacetSums:
    """What every pair of a collection adds to its facets. Memory: 4 M^2 bytes a sum.

    Attributes:
      names: the F facets.
      of_pairs_SMM: [S, M, M] float32, symmetric, 0 for a document with itself.
    """

    def __init__(self, names: Sequence[str], pairs: FacetPairs) -> None:
        """Sums of these facets over pairs of documents, which have vectors where one needs them."""
        self.names = tuple(names)
        sums = len(self.names) + (_WORDING in self.names)
        self.of_pairs_SMM = np.empty((sums, pairs.documents, pairs.documents), np.float32)
        for rows in pairs.blocks():
            for place, name in enumerate(self.names):
                self.of_pairs_SMM[place, rows] = _addends(name, pairs, rows)
                if name == _WORDING:
                    self.of_pairs_SMM[-1, rows] = pairs.choices(rows)[1]
        for of_pairs_MM in self.of_pairs_SMM:
            np.fill_diagonal(of_pairs_MM, 0)

    def within(self, members_D: np.ndarray) -> np.ndarray:
        """[S] sums over all ordered pairs of a subset."""
        within_SDD = self.of_pairs_SMM[:, members_D[:, None], members_D]
        return within_SDD.sum(axis=(1, 2), dtype=np.float64)

    def log2_facets(self, sums_SK: np.ndarray, documents: int) -> np.ndarray:
        """[F, K] log2 of the effective numbers of subsets of so many documents, from their sums.

        A wording with nothing to compare counts as one way to say it."""
        q_FK = sums_SK[: len(self.names)] / (documents * (documents - 1))
        if _WORDING in self.names:
            choices_K = sums_SK[-1]
            same_K = sums_SK[self.names.index(_WORDING)]
            q_FK[self.names.index(_WORDING)] = np.where(
                choices_K > 0, same_K / np.maximum(choices_K, 1e-12), 1.0
            )
        facets_FK: np.ndarray = np.log2(documents) - np.log2(1 + (documents - 1) * q_FK)
        return facets_FK


def _addends(name: str, pairs: FacetPairs, rows: slice) -> np.ndarray:
    """[R, M] what the pairs of these rows add to a facet's own sum."""
    if name == _WORDING:
        return pairs.choices(rows)[0]
    if name == "topic":  # in bins of distance, as the facet is
        assert pairs.vectors_NE is not None
        bins_RM = distance_bins(pairs.vectors_NE[rows], pairs.vectors_NE)
        similarity_RM: np.ndarray = TOPIC_JOIN.at(MIDDLES_B)[bins_RM]
        return similarity_RM
    return pairs.similarity(name, rows)
