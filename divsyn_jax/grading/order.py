"""Order and count: what metrics make of corpora whose order, or whose number of kinds, is known."""

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.diversity.baselines import Value
from divsyn_jax.diversity.calibration.ladder_files import label_fields_of, ladders_in_file
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.sampling import Sample, read_sample
from divsyn_jax.grading.bench import Bench, GradedCorpus, GradedMetric, reasons
from divsyn_jax.grading.grades import CountGrade, OrderGrade
from divsyn_jax.grading.grammar_corpora import copies_ladder, topic_ladder
from divsyn_jax.grading.settings import GradeSettings

Ladders = Mapping[str, Sequence[GradedCorpus]]


def read_ladders(settings: GradeSettings, read: ReadOptions) -> Ladders:
    """The ladders that the settings name, or those of the built-in grammar.

    Raises `UserError` for a file that holds none, and for corpora that cannot be read.
    """
    if settings.ladders is None:
        return {
            "topics of the grammar": topic_ladder(settings.documents, settings.seed),
            "distinct texts of the grammar": copies_ladder(settings.documents, settings.seed),
        }
    from divsyn_jax.base import files

    fields = label_fields_of(settings.label_field)
    found = {}
    for name, corpora, label_field, _ in ladders_in_file(
        files.read_json(settings.ladders), settings.ladders, fields
    ):
        if len(corpora) < 3:
            raise UserError(f"{settings.ladders}: ladder {name!r} has under three corpora")
        found[name] = [
            _corpus(
                rung,
                read_sample(
                    spec,
                    read,
                    documents=settings.documents,
                    label_field=label_field,
                    seed=settings.seed,
                ),
            )
            for rung, spec in corpora.items()
        ]
    return found


def _corpus(name: str, sample: Sample) -> GradedCorpus:
    return GradedCorpus(
        name, sample.texts, None if sample.labels is None else known_kinds(sample.labels)
    )


def known_kinds(labels: Sequence[str]) -> float:
    """Effective number of kinds (Hill, order 2) by the share of pairs of documents with one
    label."""
    documents = len(labels)
    _, counts = np.unique(np.array(labels), return_counts=True)
    share = float((counts * (counts - 1)).sum()) / (documents * (documents - 1))
    return hill(share, documents)


def order_and_count(bench: Bench, ladders: Ladders) -> dict[str, tuple[OrderGrade, CountGrade]]:
    """The grades of every metric, by name."""
    bench.embed(
        (text for rungs in ladders.values() for corpus in rungs for text in corpus.texts),
        "ladders",
    )
    values = {
        ladder: [(corpus, bench.values(corpus)) for corpus in rungs]
        for ladder, rungs in ladders.items()
    }
    return {
        metric.name: (_order(metric, values), _count(metric, values)) for metric in bench.metrics
    }


_Measured = Mapping[str, Sequence[tuple[GradedCorpus, Mapping[str, Value]]]]


def _order(metric: GradedMetric, values: _Measured) -> OrderGrade:
    found, reason = {}, ""
    for ladder, rungs in values.items():
        lacking = reasons({corpus.name: by_metric for corpus, by_metric in rungs}, metric.name)
        if lacking:
            reason = reason or f"{ladder}: {lacking}"
            continue
        found[ladder] = rank_correlation([by_metric[metric.name].value for _, by_metric in rungs])
        if metric.direction == "down":
            found[ladder] = -found[ladder]
    if not found:
        return {"value": None, "reason": reason}
    return {
        "value": statistics.fmean(found.values()),
        "worst": min(found.values()),
        "ladders": found,
    }


def rank_correlation(
    values: Sequence[float | None], others: Sequence[float] | None = None
) -> float:
    """Spearman's correlation with `others` (None: with their place); 0 for values that do not vary,
    since they tell nothing of the order."""
    from scipy import stats

    seen = np.array(values, float)
    if np.ptp(seen) == 0:
        return 0.0
    against = np.arange(len(seen)) if others is None else np.array(others, float)
    return float(stats.spearmanr(seen, against).statistic)


def _count(metric: GradedMetric, values: _Measured) -> CountGrade:
    if not metric.effective_number:
        return {"value": None, "reason": "does not claim to count kinds"}
    pairs = {
        f"{ladder}, {corpus.name}": [value, corpus.kinds]
        for ladder, rungs in values.items()
        for corpus, by_metric in rungs
        if corpus.kinds is not None
        and (value := by_metric[metric.name].value) is not None
        and value > 0
    }
    if not pairs:
        return {"value": None, "reason": "no corpus whose kinds are known (--label_field)"}
    errors = [abs(math.log(value / kinds)) for value, kinds in pairs.values()]
    return {"value": statistics.median(errors), "largest": max(errors), "corpora": pairs}
