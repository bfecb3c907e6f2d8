"""Diversity within groups of documents, e.g. the answers to each prompt.

The form in which people report the diversity of a model's outputs: how many distinct kinds a
prompt's answers hold (NoveltyBench's distinct_k, Zhang et al. 2025, arXiv 2504.05228) and how many
they are worth, averaged over prompts; prompts are the sample, so the interval is over them.

Shapes: N documents, G groups, E embedding dimensions.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import (
    MIDDLES_B,
    Join,
    effective_clusters_at,
    pair_distances,
    profile_mean,
)
from divsyn_jax.diversity.estimation.intervals import Estimate, bounded_mean

# Distinct kinds of short answers agree best with judged classes as a count at 0.3
# (research/truth.md, section 2).
DISTINCT_CUT = 0.3


@dataclasses.dataclass(frozen=True)
class DocumentGroup:
    """One group's diversity.

    Attributes:
      group: its name.
      documents: k, how many it holds.
      distinct_kinds: parts of its partition, in [1, k].
      effective_kinds: what they are worth, in [1, k].
    """

    group: str
    documents: int
    distinct_kinds: int
    effective_kinds: float


@dataclasses.dataclass(frozen=True)
class GroupDiversity:
    """The diversity within groups.

    Attributes:
      groups: those with two documents or more, in the order of their first document.
      distinct_kinds, effective_kinds: mean over groups with the 95% interval over groups; None
        below two groups.
      single: groups left out because they hold one document.
      sizes: (smallest, largest) number of documents of the groups counted; None without groups.
    """

    groups: tuple[DocumentGroup, ...]
    distinct_kinds: Estimate | None
    effective_kinds: Estimate | None
    single: int
    sizes: tuple[int, int] | None


def within_groups_of_vectors(
    vectors_NE: np.ndarray,
    group_N: Sequence[Hashable],
    cut: float = DISTINCT_CUT,
    join: Join | None = None,
) -> GroupDiversity:
    """Diversity within groups from embeddings.

    Distinct kinds are the clusters of average linkage cut at `cut`; effective kinds come from the
    group's pairs by a soft join, or by the mean over granularities (`all_pairs.profile_mean`).

    Args:
      vectors_NE: [N, E] unit vectors.
      group_N: the group of each document.
      cut: cosine distance.
      join: of effective kinds; None for the mean over granularities.
    """

    def measure(members: np.ndarray) -> tuple[int, float]:
        rows_KE = vectors_NE[members]
        distances = pair_distances(rows_KE)
        if join is None:
            effective = profile_mean(distances).value
        else:
            effective = effective_clusters_at(distances, join.at(MIDDLES_B)).value
        return distinct_kinds(rows_KE, cut), effective

    return _within_groups(group_N, measure)


def within_groups_of_labels(
    label_N: Sequence[Hashable], group_N: Sequence[Hashable]
) -> GroupDiversity:
    """Diversity within groups of documents of known kinds: k^2 / sum(n^2) effective kinds."""
    code: dict[Hashable, int] = {}
    codes_N = np.array([code.setdefault(label, len(code)) for label in label_N], np.int64)

    def measure(members: np.ndarray) -> tuple[int, float]:
        counts = np.unique(codes_N[members], return_counts=True)[1].astype(np.float64)
        return len(counts), float(counts.sum() ** 2 / (counts**2).sum())

    return _within_groups(group_N, measure)


def distinct_kinds(vectors_KE: np.ndarray, cut: float) -> int:
    """Clusters of average linkage on cosine distance, cut at `cut`."""
    from scipy.cluster import hierarchy

    if len(vectors_KE) < 2:
        return len(vectors_KE)
    products_KK = np.asarray(vectors_KE, np.float64) @ np.asarray(vectors_KE, np.float64).T
    upper = np.triu_indices(len(vectors_KE), k=1)
    tree = hierarchy.linkage(np.clip(1 - products_KK[upper], 0, 2), method="average")
    return int(hierarchy.fcluster(tree, cut, criterion="distance").max())


def _within_groups(
    group_N: Sequence[Hashable], measure: Callable[[np.ndarray], tuple[int, float]]
) -> GroupDiversity:
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(group_N):
        members.setdefault(group, []).append(index)
    found = []
    for group, indices in members.items():
        if len(indices) > 1:
            distinct, effective = measure(np.array(indices))
            found.append(DocumentGroup(str(group), len(indices), distinct, effective))
    sizes = [group.documents for group in found]
    return GroupDiversity(
        groups=tuple(found),
        distinct_kinds=_mean([float(group.distinct_kinds) for group in found], sizes),
        effective_kinds=_mean([group.effective_kinds for group in found], sizes),
        single=len(members) - len(found),
        sizes=(min(sizes), max(sizes)) if sizes else None,
    )


def _mean(values: Sequence[float], sizes: Sequence[int]) -> Estimate | None:
    if len(values) < 2:
        return None
    estimate = bounded_mean(np.array(values), 1.0, float(max(sizes)))
    return dataclasses.replace(estimate, method=f"{estimate.method} over {len(values)} groups")


def as_records(found: GroupDiversity) -> list[Mapping[str, str | int | float]]:
    """The lines of groups.jsonl."""
    return [dataclasses.asdict(group) for group in found.groups]
