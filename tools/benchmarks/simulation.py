"""How often the intervals hold the truth: a faultless agent on corpora whose clusters are known.

Draws come, with replacement, from a large pool of draws of each corpus, so the truth is the pool's
own mean: the exact expectation of `exact` but for the pool's noise, which would be a tenth of an
interval's at some thousands of draws. Every function is given a number of replications and a seed,
and returns what became of that many intervals.

Shapes: D draws, T clusters of a corpus, R criteria sets.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from divsyn_jax.diversity.estimation import estimators
from divsyn_jax.diversity.estimation.estimators import DrawStatistics
from divsyn_jax.diversity.estimation.intervals import Estimate, bounded_mean
from divsyn_jax.diversity.estimation.stopping import StoppingRule
from divsyn_jax.diversity.sampling import draw_without_replacement

POOL = 200_000
# Documents of each cluster. The skewed ones: halving sizes, Zipf's law over 50 and 300, and one
# that fills 90%.
CORPORA: Mapping[str, tuple[int, ...]] = {
    **{
        f"{clusters} even": (3000 // clusters,) * clusters for clusters in (5, 10, 20, 50, 100, 300)
    },
    "11 halving": (500, 250, 120, 60, 30, 20, 10, 5, 3, 1, 1),
    "50 Zipf": tuple(max(1, 700 // rank) for rank in range(1, 51)),
    "300 Zipf": tuple(max(1, 500 // rank) for rank in range(1, 301)),
    "51, one of 90%": (1800, *(4,) * 50),
}
# Here nearly every draw of ten is the same: two clusters of a thousand, 1,500 of two, and one of
# 99.9%.
NEAR_ENDS: Mapping[str, tuple[int, ...]] = {
    "2 even": (1000, 1000),
    "1500 even": (2,) * 1500,
    "4, one of 99.9%": (3500, 1, 1, 1),
}


@dataclasses.dataclass
class Coverage:
    """What became of the replications' intervals.

    Attributes:
      hits, replications: intervals that hold the truth, of how many.
      draws: mean number of draws an interval stands on.
      width: mean width of an interval, as a share of the truth.
      methods: how they were made -> how many.
      reasons: why draws were stopped -> how many.
    """

    hits: int = 0
    replications: int = 0
    draws: float = 0.0
    width: float = 0.0
    methods: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    reasons: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    @property
    def share(self) -> float:
        """Coverage."""
        return self.hits / self.replications

    def add(self, estimate: Estimate, truth: float, draws: int) -> None:
        """Count one interval."""
        # An exact expectation is a rounded number too, and an end of the range may be the truth
        # itself.
        slack = 1e-9 * abs(truth)
        self.hits += estimate.ci_low - slack <= truth <= estimate.ci_high + slack
        self.draws += (draws - self.draws) / (self.replications + 1)
        self.width += ((estimate.ci_high - estimate.ci_low) / truth - self.width) / (
            self.replications + 1
        )
        self.replications += 1
        self.methods[estimate.method] += 1


@functools.lru_cache(maxsize=32)
def pool(
    counts_T: tuple[int, ...], sample_size: int, seed: int = 0, merged_into: int | None = None
) -> DrawStatistics:
    """`POOL` draws of a corpus; `merged_into`:

    an agent that sees its clusters joined, t with t modulo so many.
    """
    rng = np.random.default_rng([seed, sample_size, *counts_T])
    label_N = np.repeat(np.arange(len(counts_T)), counts_T)
    if merged_into is not None:
        label_N %= merged_into
    return estimators.draw_statistics(
        label_N[draw_without_replacement(rng, len(label_N), POOL, sample_size)]
    )


def some(
    draws: DrawStatistics, index_D: np.ndarray, set_D: np.ndarray | None = None
) -> DrawStatistics:
    """The draws of a pool at the given positions."""
    return DrawStatistics(
        clusters_D=draws.clusters_D[index_D],
        documents_D=draws.documents_D[index_D],
        entropy_D=draws.entropy_D[index_D],
        same_pairs_D=draws.same_pairs_D[index_D],
        sample_size=draws.sample_size,
        kept=draws.kept[index_D],
        set_D=set_D,
    )


def one_level(
    counts_T: tuple[int, ...], sample_size: int, draws: int, replications: int, seed: int = 0
) -> dict[str, Coverage]:
    """Coverage of the score's and of the effective clusters' intervals at a fixed number of
    draws.
    """
    source = pool(counts_T, sample_size, seed)
    truths = _truths(source, sum(counts_T))
    found = {quantity: Coverage() for quantity in truths}
    for rng in _streams(seed, replications):
        seen = some(source, rng.integers(0, POOL, draws))
        found["score"].add(estimators.cluster_score(seen), truths["score"], draws)
        clusters = estimators.effective_clusters(seen, sum(counts_T))
        found["effective clusters"].add(clusters, truths["effective clusters"], draws)
    return found


def stopped(
    counts_T: tuple[int, ...],
    sample_size: int,
    rule: StoppingRule,
    replications: int,
    seed: int = 0,
) -> dict[str, Coverage]:
    """The same at the moment at which the rule, which looks at the score, stops."""
    source = pool(counts_T, sample_size, seed)
    return _stopped(
        rule, replications, seed, lambda index_D, rng: some(source, index_D), source, sum(counts_T)
    )


def shifted_sets(
    counts_T: tuple[int, ...],
    sets: int,
    sets_sd: float,
    rule: StoppingRule,
    replications: int,
    seed: int = 0,
) -> Coverage:
    """Two levels, K = 10: every criteria set adds a normal shift of known standard deviation to the
    score.

    The truth is the score without shift, the mean over all sets that might have been drawn.
    """
    source_D = pool(counts_T, 10, seed).scores_D
    truth = float(source_D.mean())
    found = Coverage()
    for rng in _streams(seed, replications):
        shift_R, index_D = rng.normal(0, sets_sd, sets), np.empty(0, np.int64)
        for look in rule.looks():
            index_D = np.append(index_D, rng.integers(0, POOL, look - len(index_D)))
            set_D = np.arange(look) % sets
            estimate = bounded_mean(source_D[index_D] + shift_R[set_D], -10.0, 20.0, set_D)
            decision = rule.decide(estimate, look)
            if decision.stop:
                break
        found.add(estimate, truth, look)
        found.reasons[decision.reason] += 1
    return found


def sets_of_granularity(
    counts_T: tuple[int, ...],
    granularities: Sequence[int],
    sets: int,
    rule: StoppingRule,
    replications: int,
    seed: int = 0,
) -> dict[str, Coverage]:
    """Two levels, K = 10: every criteria set sees the clusters joined into so many, drawn from
    `granularities`.

    The truth is the mean over them: of the score, and of the share of pairs that effective clusters
    are made from."""
    sources = [pool(counts_T, 10, seed, merged_into=clusters) for clusters in granularities]
    all_sets = DrawStatistics(
        **{
            field: np.concatenate([getattr(source, field) for source in sources])
            for field in ("clusters_D", "documents_D", "entropy_D", "same_pairs_D", "kept")
        },
        sample_size=10,
    )

    def at(index_D: np.ndarray, rng: np.random.Generator) -> DrawStatistics:
        set_D = np.arange(len(index_D)) % sets
        source_R = rng.integers(0, len(sources), sets)
        return some(all_sets, source_R[set_D] * POOL + index_D, set_D)

    return _stopped(rule, replications, seed, at, all_sets, sum(counts_T))


def _truths(population: DrawStatistics, documents: int) -> dict[str, float]:
    return {
        "score": estimators.cluster_score(population).value,
        "effective clusters": estimators.effective_clusters(population, documents).value,
    }


def _stopped(
    rule: StoppingRule,
    replications: int,
    seed: int,
    at: Callable[[np.ndarray, np.random.Generator], DrawStatistics],
    population: DrawStatistics,
    documents: int,
) -> dict[str, Coverage]:
    """`at` makes draws of positions in a pool; its generator starts alike at every look of a
    replication.
    """
    truths = _truths(population, documents)
    found = {quantity: Coverage() for quantity in truths}
    for rng in _streams(seed, replications):
        index_D, stream = np.empty(0, np.int64), int(rng.integers(1 << 62))
        for look in rule.looks():
            index_D = np.append(index_D, rng.integers(0, POOL, look - len(index_D)))
            seen = at(index_D, np.random.default_rng(stream))
            estimate = estimators.cluster_score(seen)
            decision = rule.decide(estimate, look)
            if decision.stop:
                break
        found["score"].add(estimate, truths["score"], look)
        found["score"].reasons[decision.reason] += 1
        clusters = estimators.effective_clusters(seen, documents)
        found["effective clusters"].add(clusters, truths["effective clusters"], look)
    return found


def _streams(seed: int, replications: int) -> Iterator[np.random.Generator]:
    rng = np.random.default_rng([seed, 1])
    for _ in range(replications):
        yield rng
