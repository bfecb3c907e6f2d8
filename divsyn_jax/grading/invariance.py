"""Invariance: what should not move a metric, in units of what should.

The unit is a step: the difference that the metric makes between a narrow and a broad corpus of the
built-in grammar, on a logarithmic scale where all its values are positive."""

from collections.abc import Mapping, Sequence

from divsyn_jax.base.words import count_words, first_words
from divsyn_jax.grading.bench import Bench, GradedCorpus, GradedMetric, reasons
from divsyn_jax.grading.grades import InvarianceGrade
from divsyn_jax.grading.grammar_corpora import narrow_and_broad
from divsyn_jax.study.factorial.cells import scaled
from divsyn_jax.synthesis.grammar.grammar import seeded

_ORDERS = 3
_SHIFTS = ("half", "double", "shorter", "shuffled")


def invariances(bench: Bench, documents: int, seed: int) -> dict[str, InvarianceGrade]:
    """The grades of every metric, by name, around corpora of so many documents."""
    corpora = narrow_and_broad(2 * documents, seed)
    variants = {
        f"{corpus.name} {variant}": texts
        for corpus in corpora
        for variant, texts in changed_corpora(corpus.texts).items()
    }
    bench.embed((text for texts in variants.values() for text in texts), "changed corpora")
    values = {name: bench.values(GradedCorpus(name, texts)) for name, texts in variants.items()}
    names = [corpus.name for corpus in corpora]
    return {metric.name: _invariance(metric, names, values) for metric in bench.metrics}


def changed_corpora(texts: Sequence[str]) -> dict[str, list[str]]:
    """`as it is`, the first half of the texts, beside what should leave a metric as it is (`half`
    of them, `double`, `shorter`, `shuffled 0` and more), or not raise it (`copies`)."""
    middle = len(texts) // 2
    base = list(texts[:middle])
    orders = {}
    for number in range(_ORDERS):
        orders[f"shuffled {number}"] = list(base)
        seeded("graded order", number, middle).shuffle(orders[f"shuffled {number}"])
    return {
        "as it is": base,
        "half": base[: middle // 2],
        "double": list(texts),
        "shorter": [first_words(text, max(1, count_words(text) // 2)) for text in base],
        "copies": base + base[: middle // 2],
        **orders,
    }


def _invariance(
    metric: GradedMetric, corpora: Sequence[str], values: Mapping[str, Mapping]
) -> InvarianceGrade:
    if reason := reasons(values, metric.name):
        return {"value": None, "reason": reason}
    on_scale, _ = scaled([by_metric[metric.name].value for by_metric in values.values()])
    sign = -1 if metric.direction == "down" else 1
    at = {name: sign * value for name, value in zip(values, on_scale, strict=True)}
    narrow, broad = (at[f"{corpus} as it is"] for corpus in corpora)
    if broad <= narrow:
        return {"value": None, "reason": "does not tell a broad corpus from a narrow one"}
    shifts = {
        name: (place - at[f"{name.split()[0]} as it is"]) / (broad - narrow)
        for name, place in at.items()
    }

    def largest(variant: str) -> float:
        return max(abs(shift) for name, shift in shifts.items() if f" {variant}" in name)

    found = {variant: largest(variant) for variant in _SHIFTS}
    return {
        "value": max(found.values()),
        "half": found["half"],
        "double": found["double"],
        "shorter": found["shorter"],
        "shuffled": found["shuffled"],
        "copies": max(shift for name, shift in shifts.items() if name.endswith(" copies")),
    }
