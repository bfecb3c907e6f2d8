"""Baseline measures of diversity beside the cluster-agent metric, all on the sample that the draws
come from.

One baseline is one `Baseline` object (function, needs, direction, meaning, source), registered by
the module that defines it; every module of this folder is imported here, so a new one is offered,
reported and documented without another edit. `python -m divsyn_jax.diversity.baselines` prints the
table. Corpora that are compared share one `SharedText`: the same words, bytes and documents, and
one document length where a metric depends on it.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np

from divsyn_jax.diversity.baselines.baseline import (
    ALL,
    BASELINES,
    DEFAULT,
    NONE,
    PARITY,
    Baseline,
    BaselineInputs,
    Settings,
    Value,
    baseline_names,
    no_value,
    register,
)
from divsyn_jax.diversity.baselines.shared_text import (
    SharedText,
    common_shared_text,
    largest_shared_text,
)
from divsyn_jax.diversity.sampling import Sample, random_order

__all__ = [
    "ALL",
    "BASELINES",
    "DEFAULT",
    "NONE",
    "PARITY",
    "Baseline",
    "BaselineInputs",
    "Settings",
    "SharedText",
    "Value",
    "baseline_names",
    "common_shared_text",
    "compute",
    "largest_shared_text",
    "markdown_table",
    "no_value",
    "register",
]

NO_EMBEDDINGS = "no sentence embeddings here: pip install 'divsyn-jax[score]'"

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "__main__":
        importlib.import_module(f"{__name__}.{_module.name}")


def compute(
    sample: Sample,
    shared: SharedText,
    settings: Settings,
    vectors: Callable[[], np.ndarray] | None,
    no_vectors: str = NO_EMBEDDINGS,
) -> dict[str, dict[str, Any]]:
    """Every baseline by name: {value, settings, interval or why there is none} or {value: None,
    reason}.

    Args: sample: the sample that the draws come from. shared: what every compared corpus
      contributes (`common_shared_text`). settings: see there. vectors: makes the sample's unit
      vectors [N, E], called only when a metric needs them; None where there are none, and then
      those metrics have the reason `no_vectors` in place of a value.
    """
    if settings.parity:
        shared = dataclasses.replace(shared, document_words=None)
    reading = BaselineInputs(sample, random_order(sample, settings.seed), shared, settings, vectors)
    chosen = settings.chosen
    found: dict[str, dict[str, Any]] = {}
    for name in baseline_names():
        baseline = BASELINES[name]
        entry = (_value(baseline, reading, no_vectors) if name in chosen else _NOT_ASKED).to_json()
        if settings.parity and baseline.parity and name in chosen:
            entry["parity"] = settings.parity
        found[name] = entry
    return found


_NOT_ASKED = no_value("not asked for (--baselines)")


def _value(baseline: Baseline, reading: BaselineInputs, no_vectors: str) -> Value:
    if baseline.needs == "model" and not reading.settings.perplexity_models:
        return no_value("no model named (--perplexity_models=A,B)")
    if baseline.needs == "proxy" and not reading.settings.proxy:
        return no_value("no run named whose gradients to take (--proxy=WORKDIR)")
    if baseline.needs == "vectors" and reading.embed is None:
        return no_value(no_vectors)
    return baseline.function(reading)


def markdown_table() -> str:
    """The baselines as a Markdown table, for README and docs."""
    rows = ["| baseline | what it is | reads | source |", "|---|---|---|---|"]
    for name in baseline_names():
        baseline = BASELINES[name]
        rows.append(f"| `{name}` | {baseline.sentence} | {baseline.needs} | {baseline.source} |")
    return "\n".join(rows)
