"""Choosing a subset of documents by their vectors.

Facility location and NovelSum compare every document with every other, so large corpora are cut
into parts of a seeded random order and the same share is chosen of each, as in the first round of
GreeDi (Mirzasoleiman et al. 2013, NeurIPS). What is chosen is returned in the order of the corpus.

Shapes: A documents to choose among, P of a part, E dimensions, K chosen.
"""

import heapq

import numpy as np

from divsyn_jax.curation.settings import Selector

_ORDER_STREAM = 101  # of the seed: independent of the streams of scores
RANDOM_STREAM = 102
_FACILITY_PART, _NOVELSUM_PART = 4096, 1024
KIND_DISTANCE = 0.5  # cosine; the default cut of the score's embedding agent
_ROWS = 1024


def chosen_count(documents: int, keep: float) -> int:
    """How many documents the share `keep` is: rounded, and one at least."""
    return max(1, round(keep * documents)) if documents else 0


def select(vectors_AE: np.ndarray, count: int, by: Selector, seed: int) -> np.ndarray:
    """[K] ascending rows of the `count` documents chosen.

    Args:
      vectors_AE: unit vectors, perhaps mapped from disk; only their number matters to `random`.
      by: facility_location, novelsum, kinds or random.
    """
    if by == "random":
        return random_subset(len(vectors_AE), count, seed)
    order = np.random.default_rng([seed, _ORDER_STREAM]).permutation(len(vectors_AE))
    if by == "kinds":
        return np.sort(order[_evenly_of_kinds(vectors_AE[order], count)])
    size, choose = (
        (_FACILITY_PART, facility_location)
        if by == "facility_location"
        else (_NOVELSUM_PART, novelty)
    )
    parts = np.array_split(order, max(1, -(-len(order) // size)))
    ends = np.cumsum([len(part) for part in parts])
    # Whole numbers whose sum is the count, whatever the sizes of the parts.
    quotas = np.diff([0, *(ends * count // max(1, len(order)))])
    chosen = [
        part[choose(vectors_AE[part].astype(np.float32), int(quota))]
        for part, quota in zip(parts, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def random_subset(documents: int, count: int, seed: int) -> np.ndarray:
    """[K] ascending numbers of a uniform sample."""
    rng = np.random.default_rng([seed, RANDOM_STREAM])
    return np.sort(rng.permutation(documents)[:count])


def facility_location(vectors_PE: np.ndarray, count: int) -> np.ndarray:
    """[K] rows that represent all P best: greedy maximum of the sum, over all documents, of the
    cosine to the nearest chosen one (0 at least), by lazy evaluation (Minoux 1978). Greedy is
    within 1 - 1/e of the best (Nemhauser et al. 1978).
    """
    cosines_PP = np.maximum(vectors_PE @ vectors_PE.T, 0)
    covered_P = np.zeros(len(cosines_PP), np.float32)
    queue = [(-float(gain), row, 0) for row, gain in enumerate(cosines_PP.sum(axis=1))]
    heapq.heapify(queue)
    chosen: list[int] = []
    while len(chosen) < min(count, len(cosines_PP)):
        _, row, known_at = heapq.heappop(queue)
        if known_at == len(chosen):
            chosen.append(row)
            np.maximum(covered_P, cosines_PP[row], out=covered_P)
            continue
        gain = float(np.maximum(cosines_PP[row] - covered_P, 0).sum())
        heapq.heappush(queue, (-gain, row, len(chosen)))
    return np.array(chosen, np.int64)


def novelty(vectors_PE: np.ndarray, count: int) -> np.ndarray:
    """[K] rows chosen one after the other, each the one that is most novel to those before it: the
    largest sum of cosine distances to them in ascending order, the k-th weighing 1/k (NovelSelect
    of Yang et al. 2025, arXiv 2502.17184, without its density factor). The first is the most
    distant one on average.
    """
    total, count = len(vectors_PE), min(count, len(vectors_PE))
    if not count:
        return np.zeros(0, np.int64)
    distances_PP = np.clip(1 - vectors_PE @ vectors_PE.T, 0, 2).astype(np.float32)
    weights_K = (1 / np.arange(1, count + 1)).astype(np.float32)
    sorted_PK = np.full((total, count), np.inf, np.float32)  # to those chosen, ascending
    chosen = [int(distances_PP.sum(axis=1).argmax())]
    left_P = np.ones(total, bool)
    while True:
        row, known = chosen[-1], len(chosen)
        left_P[row] = False
        if known == count:
            return np.array(chosen, np.int64)
        sorted_PK[:, known - 1] = distances_PP[:, row]
        # One value was appended to rows that were in order.
        sorted_PK[:, :known].sort(axis=1, kind="stable")
        novel_P = sorted_PK[:, :known] @ weights_K[:known]
        chosen.append(int(np.where(left_P, novel_P, -np.inf).argmax()))


def _evenly_of_kinds(vectors_AE: np.ndarray, count: int) -> np.ndarray:
    """[K] rows, as equally many of each kind as there are, the first of each kind first."""
    kinds_A = leader_kinds(vectors_AE)
    order = np.argsort(kinds_A, kind="stable")
    in_order = kinds_A[order]
    starts = np.searchsorted(in_order, in_order)
    turn_A = np.empty(len(order), np.int64)
    turn_A[order] = np.arange(len(order)) - starts  # a document's place within its kind
    return np.lexsort((np.arange(len(order)), turn_A))[:count]


def leader_kinds(vectors_AE: np.ndarray, distance: float = KIND_DISTANCE) -> np.ndarray:
    """[A] the kind of each document: that of the nearest leader within `distance`, or a new one of
    which it is the leader (leader clustering, Hartigan 1975, in the order given).
    """
    kinds_A = np.full(len(vectors_AE), -1, np.int64)
    leaders = np.zeros((0, vectors_AE.shape[1]), np.float32)
    for start in range(0, len(vectors_AE), _ROWS):
        block_BE = np.asarray(vectors_AE[start : start + _ROWS], np.float32)
        if len(leaders):
            cosines_BL = block_BE @ leaders.T
            best_B = cosines_BL.argmax(axis=1)
            near_B = cosines_BL[np.arange(len(best_B)), best_B] >= 1 - distance
        else:
            best_B, near_B = np.zeros(len(block_BE), np.int64), np.zeros(len(block_BE), bool)
        kinds_A[start : start + _ROWS][near_B] = best_B[near_B]
        fresh: list[np.ndarray] = []
        for place in np.flatnonzero(~near_B):
            if fresh:
                cosines = np.stack(fresh) @ block_BE[place]
                if cosines.max() >= 1 - distance:
                    kinds_A[start + place] = len(leaders) + int(cosines.argmax())
                    continue
            kinds_A[start + place] = len(leaders) + len(fresh)
            fresh.append(block_BE[place])
        leaders = np.concatenate([leaders, *(vector[None] for vector in fresh)])
    return kinds_A
