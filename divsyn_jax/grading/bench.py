"""Computes metrics on corpora: each text is embedded once, whoever asks for its vector.

Shapes: N documents, E embedding dimensions.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from divsyn_jax.data.readers.given_records import GivenRecords
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.diversity.baselines import (
    BaselineInputs,
    Settings,
    Value,
    largest_shared_text,
    no_value,
)
from divsyn_jax.diversity.sampling import random_order, read_sample
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.embedding import embeddings
from divsyn_jax.embedding.models import EmbeddingModel


@dataclasses.dataclass(frozen=True)
class GradedMetric:
    """A metric under test.

    Attributes:
      name: in tables.
      function: computes it from what may be read of one corpus.
      direction: whether more diverse corpora have `up` or `down` values.
      effective_number: whether it claims to count kinds.
      source: who defined it.
      needs_vectors: whether it reads embeddings.
      clock: CPU-seconds that were used so far where it is computed.
    """

    name: str
    function: Callable[[BaselineInputs], Value]
    direction: Literal["up", "down"]
    effective_number: bool
    source: str
    needs_vectors: bool = False
    clock: Callable[[], float] = time.process_time


@dataclasses.dataclass(frozen=True)
class GradedCorpus:
    """A corpus that metrics are computed on.

    Attributes:
      name: in results.
      texts: its documents.
      kinds: how many kinds it is known to hold, as an effective number; None where nobody knows.
    """

    name: str
    texts: Sequence[str]
    kinds: float | None = None


class Bench:
    """Metrics, and the vectors that they share.

    Args:
      metrics: under test.
      model: embeds; None where no metric reads vectors.
      cache: directory that keeps the vectors.
      seed: of the order in which baselines read documents, and of draws.
    """

    def __init__(
        self,
        metrics: Sequence[GradedMetric],
        model: EmbeddingModel | None,
        cache: str | None = None,
        seed: int = 0,
    ) -> None:
        self.metrics = tuple(metrics)
        self.seed = seed
        self._model, self._cache = model, cache
        self._vectors: dict[str, np.ndarray] = {}

    def embed(self, texts: Iterable[str], told: str = "") -> None:
        """Make the vectors of texts that have none yet, in one go.

        Args:
          texts: to embed.
          told: what they are, for the progress bar.
        """
        missing = [
            text for text in dict.fromkeys(texts) if text.strip() and text not in self._vectors
        ]
        if missing and self._model is not None:
            vectors_NE = self._embedded(missing, self._cache, told)
            self._vectors.update(zip(missing, vectors_NE, strict=True))

    def inputs(self, texts: Sequence[str], name: str = "corpus") -> BaselineInputs:
        """What metrics may read of a corpus."""
        read = ReadOptions()
        sample = read_sample(
            GivenRecords(list(texts), name, read),
            read,
            documents=len(texts),
            label_field=None,
            seed=self.seed,
        )

        def vectors() -> np.ndarray:
            self.embed(sample.texts)
            return np.stack([self._vectors[text] for text in sample.texts])

        shared = largest_shared_text(sample.texts, ScoreSettings.baseline_tokens)
        settings = Settings(names=(), seed=self.seed)
        embed = None if self._model is None else vectors
        return BaselineInputs(sample, random_order(sample, self.seed), shared, settings, embed)

    def values(self, corpus: GradedCorpus) -> dict[str, Value]:
        """Every metric of a corpus by its name; one that is no finite number has a reason."""
        reading = self.inputs(corpus.texts, corpus.name)
        return {metric.name: value_of_metric(metric, reading) for metric in self.metrics}

    def cpu_seconds(self, metric: GradedMetric, texts: Sequence[str]) -> float | None:
        """CPU-seconds of a metric on these texts, whose vectors are there already; None where it
        has no value for them. What metrics share is computed for this one alone."""
        reading = self.inputs(texts)
        started = metric.clock()
        found = value_of_metric(metric, reading)
        used = metric.clock() - started
        return None if found.value is None else used

    def embedding_seconds(self, texts: Sequence[str]) -> float:
        """CPU-seconds of embedding these texts anew, the faster of two times: the first may
        compile."""
        used = []
        for _ in range(2):
            started = time.process_time()
            self._embedded(texts, None, "to time it")
            used.append(time.process_time() - started)
        return min(used)

    def _embedded(self, texts: Sequence[str], cache: str | None, told: str) -> np.ndarray:
        assert self._model is not None
        return embeddings.embed(self._model.read(texts), self._model, cache, told)


def value_of_metric(metric: GradedMetric, reading: BaselineInputs) -> Value:
    """A metric of a corpus; no value with a reason where it is no finite number."""
    found = metric.function(reading)
    if found.value is not None and not math.isfinite(found.value):
        return no_value(f"its value is {found.value}")
    return found


def reasons(values: Mapping[str, Mapping[str, Value]], metric: str) -> str:
    """Why a metric has no value for some corpora; empty where it has one for all.

    Args:
      values: by corpus and metric.
      metric: the metric's name.
    """
    lacking = {name: found[metric] for name, found in values.items() if found[metric].value is None}
    if not lacking:
        return ""
    name, first = next(iter(lacking.items()))
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return f"no value for {name}{more}: {first.reason}"
