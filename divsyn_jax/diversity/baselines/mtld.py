"""MTLD: how many words a text goes on before its words repeat."""

from collections.abc import Sequence

from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Value,
    no_value,
    register,
)

FACTOR = 0.72


def mtld(words: Sequence[str], factor: float = FACTOR) -> float | None:
    """Measure of textual lexical diversity (McCarthy and Jarvis 2010, Behavior Research Methods 42,
    doi 10.3758/BRM.42.2.381), in words: the mean of a forward and a backward pass.

    A pass counts factors: runs of words whose ratio of distinct to all words falls to `factor`,
    after which the count starts anew; what is left at the end is the part (1 - ratio) / (1 -
    factor) of one. Its value is words over factors. None where no word repeats: it is unbounded.
    """
    passes = [_words_per_factor(order, factor) for order in (words, words[::-1])]
    if passes[0] is None or passes[1] is None:
        return None
    return (passes[0] + passes[1]) / 2


def _words_per_factor(words: Sequence[str], factor: float) -> float | None:
    factors, length, distinct = 0.0, 0, set[str]()
    for word in words:
        length += 1
        distinct.add(word)
        if len(distinct) <= factor * length:
            factors, length, distinct = factors + 1, 0, set()
    if length:
        factors += (1 - len(distinct) / length) / (1 - factor)
    return len(words) / factors if factors else None


def _mtld(reading: BaselineInputs) -> Value:
    value = mtld([word.lower() for words in reading.shared_words for word in words])
    if value is None:
        return no_value("no word repeats: MTLD has no bound")
    method = "no interval: one text of this length"
    return Value(value, method, details={"factor": FACTOR, "words": reading.shared.words})


register(
    Baseline(
        "mtld",
        _mtld,
        needs="texts",
        direction="up",
        meaning=(
            "words until distinct over all words falls to 0.72, in the joined documents, forward"
            " and backward"
        ),
        source="McCarthy and Jarvis 2010, doi 10.3758/BRM.42.2.381",
        depends_on="order of documents; hardly on words",
        title="MTLD",
    )
)
