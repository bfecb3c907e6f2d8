"""Documents that repeat an earlier one, exactly or nearly, from sketches alone.

A document is dropped for an earlier one that stays, so everything dropped has a near copy in what
is left.

Shapes: N documents, P pairs.
"""

from collections.abc import Iterable

import numpy as np

from divsyn_jax.curation import ngrams
from divsyn_jax.curation.sketching import CorpusSketches

# Of the documents that share a band's entry, each is compared with so many before it and with the
# first of them: all pairs of up to 16 documents, and no more than linearly many of a corpus that
# repeats one document for ever.
_BEFORE, _FIRST = 16, 8
_PAIRS_HELD = 1 << 22
_SHINGLES_AT_ONCE = 1 << 22


def exact_duplicates(digests_N2: np.ndarray) -> np.ndarray:
    """[N] the number of the first document of the same text, -1 for that one itself."""
    order = np.lexsort((digests_N2[:, 0], digests_N2[:, 1]))  # stable: equal texts stay in order
    in_order = digests_N2[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    of_N = np.full(len(order), -1, np.int64)
    of_N[order[~is_first]] = order[starts[~is_first]]
    return of_N


def near_repeats(
    sketches: CorpusSketches, alive_N: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Near-duplicates among the documents that are `alive`.

    Returns:
      [N] the earlier document that each repeats, -1 for none, and [N] float32 their Jaccard
      similarity (of sets of 3-grams, computed, not estimated).
    """
    earlier_P, later_P = candidate_pairs(sketches.bands(), np.flatnonzero(alive_N))
    jaccard_P = jaccard(sketches.shingles(), sketches.starts_M, earlier_P, later_P)
    near_P = jaccard_P >= threshold
    return first_come(earlier_P[near_P], later_P[near_P], jaccard_P[near_P], sketches.documents)


def candidate_pairs(
    bands: Iterable[np.ndarray], documents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of documents that share an entry of some band, the earlier and the later of each,
    ordered by the later.
    """
    seen = np.zeros(0, np.uint64)
    held: list[np.ndarray] = []
    for keys_N in bands:
        held += _pairs_of_band(keys_N[documents], documents)
        if sum(map(len, held)) > _PAIRS_HELD:
            seen, held = ngrams.sorted_distinct(np.concatenate([seen, *held])), []
    seen = ngrams.sorted_distinct(np.concatenate([seen, *held]))
    return (seen & np.uint64(0xFFFFFFFF)).astype(np.int64), (seen >> np.uint64(32)).astype(np.int64)


def _pairs_of_band(keys_A: np.ndarray, documents: np.ndarray) -> list[np.ndarray]:
    """The pairs of one band as later << 32 | earlier."""
    order = np.argsort(keys_A, kind="stable")
    keys, numbers = keys_A[order], documents[order].astype(np.uint64)
    pairs: list[np.ndarray] = []
    for step in range(1, _BEFORE + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        if not len(same):
            return pairs
        pairs.append((numbers[same + step] << np.uint64(32)) | numbers[same])
    place = np.arange(len(keys))
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    first = np.maximum.accumulate(np.where(is_first, place, 0))
    far = np.flatnonzero(place - first > _BEFORE)
    for step in range(_FIRST):
        partner = first[far] + step
        beyond = far[partner < far - _BEFORE]
        pairs.append((numbers[beyond] << np.uint64(32)) | numbers[first[beyond] + step])
    return pairs


def jaccard(
    shingles: np.ndarray, starts_M: np.ndarray, first_P: np.ndarray, second_P: np.ndarray
) -> np.ndarray:
    """[P] float32 Jaccard similarity of the shingles of pairs of documents."""
    found_P = np.zeros(len(first_P), np.float32)
    sizes_P = (starts_M[first_P + 1] - starts_M[first_P]) + (
        starts_M[second_P + 1] - starts_M[second_P]
    )
    ends_P = np.cumsum(sizes_P)
    start = 0
    while start < len(first_P):
        before = ends_P[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends_P, before + _SHINGLES_AT_ONCE)))
        some = slice(start, end)
        first = _gathered(shingles, starts_M, first_P[some])
        second = _gathered(shingles, starts_M, second_P[some])
        place = np.minimum(np.searchsorted(first, second), max(0, len(first) - 1))
        shared = (second[first[place] == second] >> np.uint64(32)).astype(np.int64)
        both_P = np.bincount(shared, minlength=end - start)
        found_P[some] = both_P / (sizes_P[some] - both_P)
        start = end
    return found_P


def _gathered(shingles: np.ndarray, starts_M: np.ndarray, documents_P: np.ndarray) -> np.ndarray:
    """The shingles of documents as pair << 32 | shingle, ascending."""
    counts_P = starts_M[documents_P + 1] - starts_M[documents_P]
    pair = np.repeat(np.arange(len(documents_P)), counts_P)
    offset = np.arange(len(pair)) - np.repeat(np.cumsum(counts_P) - counts_P, counts_P)
    values = shingles[np.repeat(starts_M[documents_P], counts_P) + offset]
    return (pair.astype(np.uint64) << np.uint64(32)) | values.astype(np.uint64)


def first_come(
    earlier_P: np.ndarray, later_P: np.ndarray, similarity_P: np.ndarray, documents: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of pairs ordered by their later document: [N] the first document that stays among those that
    each is near to (-1: it stays itself), and [N] float32 how similar they are.
    """
    of_N = np.full(documents, -1, np.int64)
    similarity_N = np.zeros(documents, np.float32)
    for earlier, later, similarity in zip(
        earlier_P.tolist(), later_P.tolist(), similarity_P.tolist(), strict=True
    ):
        if of_N[later] < 0 and of_N[earlier] < 0:
            of_N[later] = earlier
            similarity_N[later] = similarity
    return of_N, similarity_N
