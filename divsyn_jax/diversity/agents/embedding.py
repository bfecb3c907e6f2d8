"""The offline agent: average-linkage clustering of sentence embeddings, cut at a threshold. A proxy
for judgement.

Shapes: N documents in the sample, D draws, K documents a draw, E embedding dimensions.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.diversity.agents import kinds
from divsyn_jax.diversity.agents.base import Draws, Embedder, Partitions, nothing_used
from divsyn_jax.diversity.agents.clustering import average_linkage, cosine_distances
from divsyn_jax.diversity.estimation.near_copies import near_copies
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import UsageRecord
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.embedding import embeddings, models, reading
from divsyn_jax.embedding.pieces import Pieces

THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(13))  # 0.20, 0.25, ..., 0.80
NEAR_DUPLICATE_CUT = 0.3  # clusters of near-duplicates; one of THRESHOLDS
NEAR_DUPLICATE_DISTANCE = 0.1  # pairs of near-duplicates
_DRAWS_AT_ONCE = 1024


def make_embedding_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Embedder:
    """See `base.Agent`.

    Raises `UserError` where no embedding model is installed, and for a corpus that it cannot spell.
    """
    made = EmbeddingAgent(settings.threshold, settings.embedding_cache, settings.embedding_model)
    for name, sample in samples.items():
        made.reading(sample).require_readable(name)
    return made


class EmbeddingAgent:
    """Clusters the documents of a draw by cosine distance between their embeddings.

    One dendrogram a draw, cut at every threshold of `THRESHOLDS` and at `threshold`, which gives
    the headline."""

    kind = kinds.EMBEDDING
    criteria = ()

    def __init__(
        self,
        threshold: float = 0.5,
        cache: str | os.PathLike[str] | None = None,
        embedding_model: str | None = None,
    ) -> None:
        """`cache`: directory of the embedding store; None keeps no vectors. `embedding_model`: a
        folder or hub name; None is the default.

        Raises `UserError` without the model.
        """
        self._model = models.load(embedding_model)
        self.model = self._model.name
        self.threshold = threshold
        self._cache = cache
        self._pieces_of: tuple[Sample, list[Pieces]] | None = None
        self._vectors_of: tuple[Sample, np.ndarray] | None = None

    def settings(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "distance": "cosine",
            "linkage": "average",
            "document_tokens": self._model.max_pieces,
            "precision": self._model.precision,
            "weights": self._model.weights[:16],
        }

    def partition(self, corpora: Sequence[Draws], repetition: int = 0) -> list[Partitions]:
        """Partition each draw at the headline threshold; `cuts` holds the whole grid, the headline
        included.
        """
        return [
            self._partition(self.vectors(draws.sample), draws.documents_DK) for draws in corpora
        ]

    def _partition(self, vectors_NE: np.ndarray, draws_DK: np.ndarray) -> Partitions:
        thresholds = sorted({*THRESHOLDS, self.threshold})
        cuts = {threshold: np.empty(draws_DK.shape, np.int16) for threshold in thresholds}
        for start in range(0, len(draws_DK), _DRAWS_AT_ONCE):
            some = slice(start, start + _DRAWS_AT_ONCE)
            distances_BKK = cosine_distances(vectors_NE[draws_DK[some]])
            for threshold, labels_BK in average_linkage(distances_BKK, thresholds).items():
                cuts[threshold][some] = labels_BK
        return Partitions(cuts[self.threshold], cuts)

    def near_duplicate_share(self, sample: Sample) -> float:
        """Share of the sampled documents within `NEAR_DUPLICATE_DISTANCE` of an earlier sampled
        one.
        """
        repeats = near_copies(self.vectors(sample), NEAR_DUPLICATE_DISTANCE)
        return len(repeats) / len(sample)

    def vectors(self, sample: Sample) -> np.ndarray:
        """[N, E] unit vectors of the sampled documents, embedded once."""
        # One corpus at a time: partition and near_duplicate_share ask for the same vectors one
        # after the other.
        if self._vectors_of is None or self._vectors_of[0] is not sample:
            pieces = self._pieces(sample)
            found_NE = embeddings.embed(pieces, self._model, self._cache, sample.spec)
            self._vectors_of = (sample, found_NE)
        return self._vectors_of[1]

    def usage(self) -> UsageRecord:
        return nothing_used()

    def reading(self, sample: Sample) -> reading.Reading:
        """How much of the sampled documents the model can see."""
        return reading.summarise_reading(self._pieces(sample), self._model)

    def _pieces(self, sample: Sample) -> list[Pieces]:
        if self._pieces_of is None or self._pieces_of[0] is not sample:
            self._pieces_of = (sample, self._model.read(sample.texts))
        return self._pieces_of[1]

    def close(self) -> None:
        self._vectors_of = None
        self._pieces_of = None
