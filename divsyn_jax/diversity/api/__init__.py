"""Scoring from Python; see the docstring of `divsyn_jax.diversity`."""

from divsyn_jax.diversity.api.calls import compare, score
from divsyn_jax.diversity.api.results import ComparedCorpora, MetricValue, ScoredCorpus

__all__ = ["ComparedCorpora", "MetricValue", "ScoredCorpus", "compare", "score"]
