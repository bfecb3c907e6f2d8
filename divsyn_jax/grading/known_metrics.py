"""The metrics that `--metric=all` grades: ours, and the published ones beside them.

Shapes: N documents, E embedding dimensions.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from divsyn_jax.base.words import words
from divsyn_jax.diversity.agents.clustering import average_linkage, cosine_distances
from divsyn_jax.diversity.baselines import BASELINES, Baseline, BaselineInputs, Value, no_value
from divsyn_jax.diversity.estimation.all_pairs import (
    GRANULARITIES,
    MIDDLES_B,
    Join,
    PairDistances,
    effective_clusters_at,
    pair_distances,
    profile_mean,
)
from divsyn_jax.diversity.estimation.estimators import cluster_score, draw_statistics
from divsyn_jax.diversity.facets.measured import FACETS, measure_facets
from divsyn_jax.diversity.sampling import random_draws
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.grading.bench import GradedMetric

_OURS = "divsyn_jax"
_CHEN = "Chen et al. 2024, arXiv 2410.15226, with embeddings in place of a language model"
_LI = "Li et al. 2016, arXiv 1510.03055"
DISTINCT_ORDERS = (1, 2)
DRAWS_GRADED = 2_000
_NO_INTERVAL = "no interval: the bench reads the value alone"
# Baselines whose authors say that they count: Hill numbers of a similarity or its like.
_COUNTING = ("vendi_score", "hill_profile", "dcscore_tau0.1")


def known_metrics() -> dict[str, GradedMetric]:
    """Every metric by name: ours first, then the baselines that read no second model."""
    ours = [
        _ours("effective_kinds", _headline, counts=True),
        *(
            _ours(f"effective_kinds_{name}", _at_granularity(join), counts=name == "topics")
            for name, join in GRANULARITIES.items()
        ),
        _ours("cluster_score", _cluster_score, source=_CHEN),
        *(
            _ours(f"facet_{name}", _facet(name), counts=name == "topic", vectors=facet.vectors)
            for name, facet in FACETS.items()
        ),
    ]
    published = [
        _of_baseline(baseline, direction)
        for baseline in BASELINES.values()
        if (direction := baseline.direction) != "none"
        and baseline.needs in ("sample", "texts", "vectors")
    ]
    distinct = [
        GradedMetric(f"distinct_{order}", _distinct(order), "up", False, _LI)
        for order in DISTINCT_ORDERS
    ]
    return {metric.name: metric for metric in (*ours, *published, *distinct)}


def distinct_ngrams(documents: Sequence[Sequence[str]], order: int) -> float | None:
    """Distinct n-grams over n-grams inside the documents, without case, in (0, 1] (Li et al. 2016,
    arXiv 1510.03055); None where there are none.

    Args:
      documents: the words of each.
      order: n.
    """
    grams = [
        tuple(word.lower() for word in document[start : start + order])
        for document in documents
        for start in range(len(document) - order + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None


def _ours(
    name: str,
    function: Callable[[BaselineInputs], Value],
    *,
    counts: bool = False,
    source: str = _OURS,
    vectors: bool = True,
) -> GradedMetric:
    return GradedMetric(name, function, "up", counts, source, vectors)


def _of_baseline(baseline: Baseline, direction: Literal["up", "down"]) -> GradedMetric:
    return GradedMetric(
        baseline.name,
        baseline.function,
        direction,
        baseline.name in _COUNTING,
        baseline.source,
        baseline.needs == "vectors",
    )


def _distances(reading: BaselineInputs) -> PairDistances:
    return pair_distances(reading.vectors_NE)


def _headline(reading: BaselineInputs) -> Value:
    if len(reading.sample) < 2:
        return no_value("a pair needs two documents")
    return Value(profile_mean(reading.once(_distances)).value, _NO_INTERVAL)


def _at_granularity(join: Join) -> Callable[[BaselineInputs], Value]:
    join_B = join.at(MIDDLES_B)

    def measured(reading: BaselineInputs) -> Value:
        if len(reading.sample) < 2:
            return no_value("a pair needs two documents")
        found = effective_clusters_at(reading.once(_distances), join_B)
        return Value(found.value, _NO_INTERVAL)

    return measured


def _cluster_score(reading: BaselineInputs) -> Value:
    size = min(ScoreSettings.sample_size, len(reading.sample))
    if size < 2 or reading.embed is None:
        return no_value("a draw needs two documents")
    draws_DK = random_draws(reading.sample, DRAWS_GRADED, size, reading.settings.seed)
    distances_DKK = cosine_distances(reading.embed()[draws_DK])
    threshold = ScoreSettings.threshold
    labels_DK = average_linkage(distances_DKK, [threshold])[threshold]
    return Value(cluster_score(draw_statistics(labels_DK)).value, _NO_INTERVAL)


def _facet(name: str) -> Callable[[BaselineInputs], Value]:
    def measured(reading: BaselineInputs) -> Value:
        # In the order of the sample, as the vectors are.
        vectors_NE = reading.embed() if reading.embed and FACETS[name].vectors else None
        found = measure_facets((name,), reading.sample.texts, vectors_NE)[name]
        if found["value"] is None:
            return no_value(found.get("reason", "none"))
        return Value(found["value"], _NO_INTERVAL)

    return measured


def _distinct(order: int) -> Callable[[BaselineInputs], Value]:
    def measured(reading: BaselineInputs) -> Value:
        value = distinct_ngrams([words(text) for text in reading.texts], order)
        if value is None:
            return no_value(f"no document has {order} words")
        return Value(value, _NO_INTERVAL)

    return measured
