"""Vectors of the documents that are left, on disk; and what is near in them.

Shapes: N documents of the corpus, A documents that are left, E dimensions, M items, B of a block.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.embedding import embeddings, models, reading

_AT_ONCE = 2048
_ROWS = 512
_FILE = "scratch-vectors.f16"


@dataclasses.dataclass(frozen=True)
class DocumentVectors:
    """Unit vectors of documents.

    Attributes:
      documents: their numbers in the corpus (A), ascending.
      vectors_AE: float16, mapped from disk.
      model: who made them.
    """

    documents: np.ndarray
    vectors_AE: np.ndarray
    model: str

    def among(self, alive_N: np.ndarray) -> "DocumentVectors":
        """Those of documents that are `alive`."""
        left = alive_N[self.documents]
        return dataclasses.replace(
            self, documents=self.documents[left], vectors_AE=self.vectors_AE[left]
        )


class Embedding:
    """An embedding model with its cache.

    Args: name: a folder or hub name; None is the default. cache: folder that keeps vectors.

    Raises `UserError` where it is not installed.
    """

    def __init__(self, name: str | None, cache: str | os.PathLike[str]) -> None:
        self._model = models.load(name)
        self._cache = cache
        self.name = self._model.name

    def vectors(self, texts: Sequence[str], corpus: str) -> np.ndarray:
        """[B, E] float32 unit vectors. Raises `UserError` for texts that it cannot spell."""
        pieces = self._model.read(texts)
        reading.summarise_reading(pieces, self._model).require_readable(corpus)
        return embeddings.embed(pieces, self._model, self._cache, corpus)

    def of_documents(
        self, texts: Iterator[str], documents: np.ndarray, folder: pathlib.Path, corpus: str
    ) -> DocumentVectors:
        """Embed the texts of these documents, some at a time, to a file in `folder`."""
        dimensions = 0
        path = folder / _FILE
        with path.open("wb") as file:
            while some := [text for _, text in zip(range(_AT_ONCE), texts, strict=False)]:
                found_BE = self.vectors(some, corpus)
                dimensions = found_BE.shape[1]
                file.write(found_BE.astype("<f2").tobytes())
        if not dimensions:
            raise UserError(f"{corpus}: no document is left to embed; relax what is dropped")
        shape = (len(documents), dimensions)
        return DocumentVectors(documents, np.memmap(path, "<f2", "r", shape=shape), self.name)


def semantic_duplicates(
    vectors: DocumentVectors, distance: float, documents: int
) -> tuple[np.ndarray, np.ndarray]:
    """[N] the first earlier document that stays within a cosine `distance` of each (-1 for none),
    and [N] float32 their cosine. Every document is compared with all that stay before it.
    """
    of_N = np.full(documents, -1, np.int64)
    cosine_N = np.zeros(documents, np.float32)
    kept: list[int] = []  # rows of vectors
    stays_A = np.zeros(len(vectors.documents), bool)
    for start in range(0, len(vectors.documents), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(vectors.documents)))
        block_BE = vectors.vectors_AE[rows].astype(np.float32)
        near_of, near_cosine = _nearest_kept(block_BE, vectors, kept, 1 - distance)
        inside_BB = block_BE @ block_BE.T
        for place, row in enumerate(rows.tolist()):
            number = vectors.documents[row]
            if near_of[place] >= 0:
                of_N[number] = vectors.documents[near_of[place]]
                cosine_N[number] = near_cosine[place]
                continue
            close = np.flatnonzero(
                (inside_BB[place, :place] >= 1 - distance) & stays_A[start : start + place]
            )
            if len(close):
                of_N[number] = vectors.documents[start + close[0]]
                cosine_N[number] = inside_BB[place, close[0]]
            else:
                stays_A[row] = True
        kept += rows[stays_A[rows]].tolist()
    return of_N, cosine_N


def _nearest_kept(
    block_BE: np.ndarray, vectors: DocumentVectors, kept: Sequence[int], least: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each of a block the first row kept whose cosine is `least` or more (-1), and it."""
    of_B = np.full(len(block_BE), -1, np.int64)
    cosine_B = np.zeros(len(block_BE), np.float32)
    for start in range(0, len(kept), 4 * _ROWS):
        some = np.array(kept[start : start + 4 * _ROWS])
        cosines_BK = block_BE @ vectors.vectors_AE[some].astype(np.float32).T
        near_BK = cosines_BK >= least
        first_B = near_BK.argmax(axis=1)
        fresh = near_BK.any(axis=1) & (of_B < 0)
        of_B[fresh] = some[first_B[fresh]]
        cosine_B[fresh] = cosines_BK[fresh, first_B[fresh]]
    return of_B, cosine_B


def nearest_items(
    vectors: DocumentVectors, items_ME: np.ndarray, distance: float, documents: int
) -> tuple[np.ndarray, np.ndarray]:
    """[N] the nearest evaluation item within a cosine `distance` of each document (-1 for none),
    and [N] float32 their cosine.
    """
    of_N = np.full(documents, -1, np.int64)
    cosine_N = np.zeros(documents, np.float32)
    for start in range(0, len(vectors.documents), _ROWS):
        some = slice(start, start + _ROWS)
        cosines_BM = vectors.vectors_AE[some].astype(np.float32) @ items_ME.T
        best_B = cosines_BM.argmax(axis=1)
        value_B = cosines_BM[np.arange(len(best_B)), best_B]
        near_B = value_B >= 1 - distance
        numbers = vectors.documents[some][near_B]
        of_N[numbers], cosine_N[numbers] = best_B[near_B], value_B[near_B]
    return of_N, cosine_N
