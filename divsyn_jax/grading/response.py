"""Response: which kind of diversity moves a metric, from corpora whose kinds vary independently."""

from collections.abc import Mapping, Sequence

import numpy as np

from divsyn_jax.grading.bench import Bench, GradedMetric, reasons
from divsyn_jax.grading.grades import ResponseGrade
from divsyn_jax.grading.grammar_corpora import factor_design, factorial_corpora
from divsyn_jax.statistics.factorial import variance_shares
from divsyn_jax.study.factorial.cells import scaled


def responses(bench: Bench, documents: int, seeds: Sequence[int]) -> dict[str, ResponseGrade]:
    """The grades of every metric, by name, from sixteen corpora a seed."""
    by_seed = []
    for seed in seeds:
        corpora = factorial_corpora(documents, seed)
        bench.embed((text for corpus in corpora for text in corpus.texts), "factorial corpora")
        by_seed.append({corpus.name: bench.values(corpus) for corpus in corpora})
    return {metric.name: _response(metric, by_seed) for metric in bench.metrics}


def _response(metric: GradedMetric, by_seed: Sequence[Mapping]) -> ResponseGrade:
    for values in by_seed:
        if reason := reasons(values, metric.name):
            return {"value": None, "reason": reason}
    found_SC = [
        [by_metric[metric.name].value for by_metric in values.values()] for values in by_seed
    ]
    flat, scale = scaled([value for of_seed in found_SC for value in of_seed])
    # Seeds are of one process: the mean over them has less of the noise that is nobody's response.
    mean_C = np.array(flat).reshape(len(found_SC), -1).mean(axis=0)
    if metric.direction == "down":
        mean_C = -mean_C
    design = factor_design()
    shares = variance_shares(mean_C.tolist(), design)
    if shares is None:
        return {"value": None, "reason": "the same for all factorial corpora"}
    effects = {
        factor: float(mean_C @ design.column((factor,)) / (len(mean_C) / 2))
        for factor in design.factors
    }
    sees = max(design.factors, key=lambda factor: shares[factor])
    return {
        "value": shares[sees],
        "sees": sees,
        "shares": shares,
        "effects": effects,
        "scale": scale,
    }
