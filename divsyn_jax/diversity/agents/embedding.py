"""The offline agent: average-linkage clustering of sentence embeddings, cut at a threshold. A proxy
for judgement.

Shapes: N documents in the sample, D draws, K documents a draw, E embedding dimensions.
"""

import dataclasses
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
_CORPORA_KEPT = 8


def make_embedding_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Embedder:
    """See `base.Agent`.

    Raises `UserError` where no embedding model is installed, and for a corpus that it cannot spell.
    """
    made = EmbeddingAgent(settings.threshold, settings.embedding_cache, settings.embedding_model)
    for name, sample in samples.items():
        made.reading(sample).require_readable(name)
    return made


@dataclasses.dataclass
class _Kept:
    """A sample, the pieces that the model reads of it, and its vectors once they were asked for."""

    sample: Sample
    pieces: list[Pieces]
    vectors_NE: np.ndarray | None = None


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
        self._kept: list[_Kept] = []

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
        kept = self._keep(sample)
        if kept.vectors_NE is None:
            kept.vectors_NE = embeddings.embed(kept.pieces, self._model, self._cache, sample.spec)
        return kept.vectors_NE

    def usage(self) -> UsageRecord:
        return nothing_used()

    def reading(self, sample: Sample) -> reading.Reading:
        """How much of the sampled documents the model can see."""
        return reading.summarise_reading(self._keep(sample).pieces, self._model)

    def _keep(self, sample: Sample) -> "_Kept":
        """What is known of these documents; of no more corpora than memory has room for, since
        every stage of a comparison goes through all of them."""
        found = next((each for each in self._kept if each.sample is sample), None)
        if found is None:
            found = _Kept(sample, self._model.read(sample.texts))
            self._kept = [*self._kept[1 - _CORPORA_KEPT :], found]
        return found

    def close(self) -> None:
        self._kept = []
