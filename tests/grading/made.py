"""Metrics, models and corpora of which everything is known."""

import dataclasses
import zlib

import numpy as np

from divsyn_jax.diversity.baselines import Value
from divsyn_jax.embedding.pieces import Pieces
from divsyn_jax.grading.bench import Bench, GradedMetric


def metric(function, name="made", **known) -> GradedMetric:
    """A metric that reads the texts alone."""

    def of_reading(reading):
        return Value(float(function(list(reading.sample.texts))), "no interval: made for a test")

    said = {"direction": "up", "effective_number": False, "source": "a test"}
    return GradedMetric(name, of_reading, **{**said, **known})


def distinct_texts(texts) -> int:
    return len(set(texts))


@dataclasses.dataclass
class WordsModel:
    """Embeds by words: each adds a direction of its own. Counts the texts that it embeds."""

    name: str = "words"
    precision: str = "float32"
    max_pieces: int = 1000
    reads_by_letter: bool = True
    embedded: int = 0

    @property
    def weights(self) -> str:
        return "words"

    def read(self, texts):
        return [
            Pieces(
                np.array([zlib.crc32(word.encode()) % 2**31 for word in text.split()]),
                text,
                True,
                0,
                0.0,
                0.0,
            )
            for text in texts
        ]

    def encode(self, texts):
        self.embedded += len(texts)
        rows = []
        for pieces in texts:
            directions = [np.random.default_rng(int(i)).normal(size=64) for i in pieces.ids_L]
            rows.append(np.sum(directions, axis=0) / np.sqrt(64))
        yield np.arange(len(texts)), np.array(rows, np.float32)


def bench(*metrics, model=None) -> Bench:
    return Bench(metrics, model)
