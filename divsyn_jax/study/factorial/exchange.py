"""Subsets of a collection with given facets, by exchanging documents.

One document at a time leaves a corpus for the free one of its stratum that brings the corpus
nearest to its target, until a pass over all documents gains next to nothing: Fedorov's exchange
(Theory of Optimal Experiments, 1972) in the form of Cook and Nachtsheim 1980 (Technometrics
22:315), with the distance to a target in place of a determinant. Documents are exchanged within
strata, so what strata are made of (sources, lengths) stays balanced whatever the targets, and no
document is in two corpora.

Shapes: M documents, C corpora, D documents of each, F facets, S sums, K free documents.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from divsyn_jax.diversity.facets.pair_sums import FacetSums

_PASSES = 40  # over all documents at most
_GAIN = 1e-3  # of the squared distance to the targets, under which a pass is the last
_NEAR = 1e-7  # squared distance to its target, in squared ranges, at which a corpus stays as it is


@dataclasses.dataclass(frozen=True)
class Steered:
    """Corpora with steered facets.

    Attributes:
      members_CD: [C, D] the documents of every corpus.
      facets_CF: [C, F] log2 of their effective numbers.
    """

    members_CD: np.ndarray
    facets_CF: np.ndarray


def deal(strata_M: np.ndarray, corpora: int, each: int, seed: int) -> np.ndarray:
    """[C, D] a random deal: of every stratum from 0 on `each` documents to every corpus.

    Raises `ValueError` where a stratum holds too few."""
    rng = np.random.default_rng(seed)
    dealt = []
    for stratum in np.unique(strata_M[strata_M >= 0]):
        holds = np.flatnonzero(strata_M == stratum)
        if len(holds) < corpora * each:
            raise ValueError(f"stratum {stratum}: {len(holds)} documents, {corpora * each} needed")
        dealt.append(rng.permutation(holds)[: corpora * each].reshape(corpora, each))
    return np.concatenate(dealt, axis=1)


def steer_apart(
    sums: FacetSums, strata_M: np.ndarray, members_CD: np.ndarray, signs_CF: np.ndarray, seed: int
) -> Steered:
    """Corpora of which every facet has one low and one high value, by the rows of a design, as far
    apart as all of them reach.

    First each facet alone is driven, which gives its range; then all together, in units of these
    ranges; then every corpus is brought back to what the corpus that came least far reached.

    Args:
      sums: of the collection's pairs.
      strata_M: [M] within which documents are exchanged, those under 0 not at all.
      members_CD: [C, D] a deal.
      signs_CF: [C, F] -1 or +1, whether a corpus is to be low or high.
      seed: of the order in which documents are looked at.
    """
    search = _Search(sums, strata_M, seed)
    middle_F = log2_facets_of(sums, members_CD).mean(axis=0)
    # log2 facets lie between 0 and this: from the middle, beyond any reach.
    beyond = np.log2(members_CD.shape[1])
    range_F = np.empty(len(middle_F))
    for facet in range(len(middle_F)):
        alone_F = np.full(len(middle_F), np.inf)
        alone_F[facet] = 1.0
        reached_CF = search.run(members_CD, middle_F + beyond * signs_CF, alone_F).facets_CF
        range_F[facet] = np.mean(signs_CF[:, facet] * (reached_CF - middle_F)[:, facet])
    range_F = np.maximum(range_F, 1e-6)
    driven = search.run(members_CD, middle_F + range_F * signs_CF, range_F)
    targets_CF = common_levels(driven.facets_CF, signs_CF)
    return search.run(driven.members_CD, targets_CF, range_F)


def common_levels(facets_CF: np.ndarray, signs_CF: np.ndarray) -> np.ndarray:
    """[C, F] the low and the high value of each facet that all its low and all its high corpora
    reach."""
    low_F = np.where(signs_CF < 0, facets_CF, -np.inf).max(axis=0)
    high_F = np.where(signs_CF > 0, facets_CF, np.inf).min(axis=0)
    return np.where(signs_CF > 0, high_F, low_F)


def log2_facets_of(sums: FacetSums, members_CD: np.ndarray) -> np.ndarray:
    """[C, F] log2 of the facets of corpora of one collection."""
    totals_CS = np.stack([sums.within(members_D) for members_D in members_CD])
    return sums.log2_facets(totals_CS.T, members_CD.shape[1]).T


class _Search:
    """Exchanges in one collection."""

    def __init__(self, sums: FacetSums, strata_M: np.ndarray, seed: int) -> None:
        self._sums, self._strata_M, self._seed = sums, strata_M, seed

    def run(self, members_CD: np.ndarray, targets_CF: np.ndarray, units_F: np.ndarray) -> Steered:
        """Exchange until no pass gains; `units_F`: in which distances count, infinite for a facet
        that does not."""
        sums_SMM = self._sums.of_pairs_SMM
        members_CD = members_CD.copy()
        corpora, documents = members_CD.shape
        free = self._free(members_CD)
        # [C, S, M] sums of every document of the collection with each corpus.
        with_CSM = np.stack(
            [sums_SMM[:, members_D].sum(axis=1, dtype=np.float64) for members_D in members_CD]
        )
        totals_CS = np.stack([self._sums.within(members_D) for members_D in members_CD])

        def apart(corpus: int, sums_SK: np.ndarray) -> np.ndarray:
            facets_FK = self._sums.log2_facets(sums_SK, documents)
            off_FK = (facets_FK - targets_CF[corpus][:, None]) / units_F[:, None]
            squared_K: np.ndarray = np.square(off_FK).sum(axis=0)
            return squared_K

        distance_C = np.array([apart(c, totals_CS[c][:, None])[0] for c in range(corpora)])
        rng = np.random.default_rng(self._seed)
        for _ in range(_PASSES):
            before = distance_C.sum()
            for place in rng.permutation(corpora * documents):
                corpus, slot = divmod(int(place), documents)
                if distance_C[corpus] < _NEAR:
                    continue
                leaves = members_CD[corpus, slot]
                free_K = free[self._strata_M[leaves]]
                if not len(free_K):
                    continue
                with_SM = with_CSM[corpus]
                gained_SK = with_SM[:, free_K] - sums_SMM[:, leaves, free_K]
                sums_SK = totals_CS[corpus][:, None] + 2 * (gained_SK - with_SM[:, [leaves]])
                distance_K = apart(corpus, sums_SK)
                best = int(distance_K.argmin())
                if distance_K[best] >= distance_C[corpus]:
                    continue
                enters = free_K[best]
                members_CD[corpus, slot], free_K[best] = enters, leaves
                totals_CS[corpus], distance_C[corpus] = sums_SK[:, best], distance_K[best]
                with_SM += sums_SMM[:, enters] - sums_SMM[:, leaves]
            if before - distance_C.sum() <= _GAIN * before:
                break
        return Steered(members_CD, log2_facets_of(self._sums, members_CD))

    def _free(self, members_CD: np.ndarray) -> dict[int, np.ndarray]:
        """The documents in no corpus, by stratum."""
        is_free_M = np.ones(len(self._strata_M), bool)
        is_free_M[members_CD] = False
        return {
            int(stratum): np.flatnonzero(is_free_M & (self._strata_M == stratum))
            for stratum in np.unique(self._strata_M)
        }


def facet_correlations(names: Sequence[str], facets_CF: np.ndarray) -> dict[tuple[str, str], float]:
    """Pearson's r of every pair of facets over corpora; 0 where one does not vary."""
    centred_CF = facets_CF - facets_CF.mean(axis=0)
    norm_F = np.linalg.norm(centred_CF, axis=0)
    r_FF = centred_CF.T @ centred_CF / np.maximum(np.outer(norm_F, norm_F), 1e-12)
    return {
        (one, other): float(r_FF[first, first + 1 + second])
        for first, one in enumerate(names)
        for second, other in enumerate(names[first + 1 :])
    }
