"""Which pairs of documents to ask about: near ones densely, each with a known chance.

Pairs are stratified by distance, edges geometric in rank from the nearest, so that the few near
pairs, where most pairs of one kind lie, get as many questions as the many far ones (Cochran 1977,
Sampling Techniques, 5.5 for Neyman's allocation). Within a stratum pairs are drawn uniformly.

Shapes: N documents, E embedding dimensions, H strata, B bins of distance, P pairs.
"""

import dataclasses
import itertools
from collections.abc import Collection, Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import BIN, BINS, PairDistances, distance_bins

STRATA = 12
NEAREST = 0.5  # pairs a document in the nearest stratum, about; copies may make it larger
_MOST_MISSES = 200  # rounds of redrawing pairs that were drawn before


@dataclasses.dataclass(frozen=True)
class Strata:
    """Pairs by distance.

    Attributes:
      first_bin_H: first bin of distance of each stratum; the last ends with the last bin.
      pairs_H: pairs in each, none empty.
    """

    first_bin_H: tuple[int, ...]
    pairs_H: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pairs_H)

    @property
    def weight_H(self) -> np.ndarray:
        """[H] share of all pairs."""
        return np.asarray(self.pairs_H) / max(1, sum(self.pairs_H))

    def of_bins(self, bins: np.ndarray) -> np.ndarray:
        """The stratum of each bin of distance."""
        return np.searchsorted(self.first_bin_H, bins, side="right") - 1


def make_strata(distances: PairDistances, strata: int = STRATA) -> Strata:
    """Strata whose edges are geometric in the rank of a pair, moved to edges of bins.

    Fewer than asked for where many pairs share a bin (copies) or there are few pairs.
    """
    pairs_B = distances.pairs_B
    cumulative_B = np.cumsum(pairs_B)
    total = int(cumulative_B[-1])
    nearest = min(total, max(10.0, NEAREST * distances.documents))
    ranks = np.geomspace(nearest, total, strata)[:-1]
    edges = {0, *(int(np.searchsorted(cumulative_B, rank)) + 1 for rank in ranks)}
    bounds = [*sorted(edge for edge in edges if edge < BINS), BINS]
    firsts, counts = [], []
    for low, high in itertools.pairwise(bounds):
        held = int(pairs_B[low:high].sum())
        if held:
            firsts.append(low)
            counts.append(held)
    firsts[0] = 0
    return Strata(tuple(firsts), tuple(counts))


def allocate(budget: int, strata: Strata, spread_H: np.ndarray | None = None) -> np.ndarray:
    """[H] questions of each stratum: equally many, or by weight times spread (Neyman).

    Args:
      budget: questions in all; fewer where the strata do not hold as many pairs.
      strata: of the corpus.
      spread_H: [H] standard deviation of an answer in each stratum; None for equal shares.
    """
    sizes_H = np.asarray(strata.pairs_H)
    ratio_H = (
        np.ones(len(strata)) if spread_H is None else strata.weight_H * np.asarray(spread_H, float)
    )
    if ratio_H.sum() == 0:
        ratio_H = np.ones(len(strata))
    asked_H = np.zeros(len(strata), np.int64)
    left = min(budget, int(sizes_H.sum()))
    # Strata that are asked in full pass their share on.
    while left > 0:
        room_H = sizes_H - asked_H
        share_H = np.where(room_H > 0, ratio_H, 0.0)
        if share_H.sum() == 0:
            share_H = (room_H > 0).astype(float)
        exact_H = left * share_H / share_H.sum()
        more_H = np.minimum(np.floor(exact_H).astype(np.int64), room_H)
        if more_H.sum() == 0:
            order = np.argsort(-(exact_H - np.floor(exact_H)), kind="stable")
            more_H[order[(room_H[order] > 0) & (share_H[order] > 0)][:left]] = 1
        asked_H += more_H
        left -= int(more_H.sum())
    return asked_H


def draw_pairs(
    vectors_NE: np.ndarray,
    distances: PairDistances,
    strata: Strata,
    asked_H: np.ndarray,
    rng: np.random.Generator,
    known: Collection[tuple[int, int]] = (),
) -> list[tuple[int, int]]:
    """Pairs (first < second) drawn uniformly within each stratum, without replacement.

    A document is chosen with the number of its partners in the stratum as its weight, then one of
    them: every pair of the stratum is then equally likely.

    Args:
      vectors_NE: [N, E] unit vectors, those of `distances`.
      distances, strata: of them.
      asked_H: [H] pairs wanted of each stratum, at most what it holds less the known ones.
      rng: the randomness.
      known: pairs drawn before, which are not drawn again.
    """
    vectors_NE = np.asarray(vectors_NE, dtype=np.float32)
    taken, drawn = set(known), []
    ends_H = (*strata.first_bin_H[1:], BINS)
    for low, high, wanted in zip(strata.first_bin_H, ends_H, asked_H, strict=True):
        partners_N = distances.counts_NB[:, low:high].sum(axis=1)
        chances_N = partners_N / partners_N.sum()
        found: list[tuple[int, int]] = []
        for _ in range(_MOST_MISSES):
            short = int(wanted) - len(found)
            if short <= 0:
                break
            for first in rng.choice(len(chances_N), short, p=chances_N):
                bins_N = distance_bins(vectors_NE[first : first + 1], vectors_NE)[0]
                inside_N = (bins_N >= low) & (bins_N < high)
                inside_N[first] = False
                candidates = np.flatnonzero(inside_N)
                if len(candidates) == 0:  # a distance at an edge, rounded the other way this time
                    continue
                second = int(rng.choice(candidates))
                pair = (min(int(first), second), max(int(first), second))
                if pair not in taken:
                    taken.add(pair)
                    found.append(pair)
        drawn += found
    return drawn


def bins_of_pairs(vectors_NE: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """[P] the bin of the distance of each pair."""
    index_P2 = np.asarray(pairs, np.int64).reshape(-1, 2)
    vectors_NE = np.asarray(vectors_NE, dtype=np.float32)
    products_P = (vectors_NE[index_P2[:, 0]] * vectors_NE[index_P2[:, 1]]).sum(axis=1)
    return np.clip(((1 - products_P) / BIN).astype(np.int32), 0, BINS - 1)
