"""Cost: CPU-seconds beside those of gzip, in one process on one machine."""

import time
from collections.abc import Sequence

from divsyn_jax.diversity.baselines.lexical import compression_ratio
from divsyn_jax.grading.bench import Bench
from divsyn_jax.grading.grades import CostGrade
from divsyn_jax.grading.grammar_corpora import narrow_and_broad

_LEAST_SECONDS = 0.2  # of gzip, so that the clock's step does not matter
PER_DOCUMENTS = 1_000


def costs(bench: Bench, documents: int, seed: int) -> dict[str, CostGrade]:
    """The grades of every metric, by name: each computed alone on one corpus, whose documents are
    embedded anew for the metrics that read vectors."""
    texts = narrow_and_broad(documents, seed)[1].texts
    bench.embed(texts, "to time it")
    scale = PER_DOCUMENTS / len(texts)
    of_gzip = _gzip_seconds(texts) * scale
    embedding = 0.0
    if any(metric.needs_vectors for metric in bench.metrics):
        embedding = bench.embedding_seconds(texts) * scale
    grades: dict[str, CostGrade] = {}
    for metric in bench.metrics:
        used = bench.cpu_seconds(metric, texts)
        if used is None:
            grades[metric.name] = {"value": None, "reason": "no value for the corpus timed"}
            continue
        total = used * scale + (embedding if metric.needs_vectors else 0.0)
        grades[metric.name] = {
            "value": total / of_gzip,
            "cpu_seconds": total,
            "embedding_cpu_seconds": embedding if metric.needs_vectors else 0.0,
            "gzip_cpu_seconds": of_gzip,
            "embeds": metric.needs_vectors,
        }
    return grades


def _gzip_seconds(texts: Sequence[str]) -> float:
    """CPU-seconds of one compression by gzip."""
    started, times = time.process_time(), 0
    while (used := time.process_time() - started) < _LEAST_SECONDS:
        compression_ratio(texts)
        times += 1
    return used / times
