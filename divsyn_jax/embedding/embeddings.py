"""Unit vectors of texts: each distinct text is embedded once, and kept.

Shapes: N documents, E embedding dimensions.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding.models import EmbeddingModel
from divsyn_jax.embedding.pieces import Pieces
from divsyn_jax.embedding.store import VectorStore

# Vectors that wait to be stored together. Each transaction is synced to the disk, which for batches
# of 16 took a tenth of the time of embedding; a process that is killed loses no more than these.
_STORED_AT_ONCE = 256


def embed(
    texts: Sequence[Pieces],
    model: EmbeddingModel,
    cache: str | os.PathLike[str] | None = None,
    corpus: str = "",
) -> np.ndarray:
    """Embed texts, taking from the cache what it holds and adding what it lacks.

    Args:
      texts: N texts as `model.read` gives them; those of equal pieces are embedded once.
      model: who embeds them.
      cache: directory of the store; without one, vectors live in memory for this call only.
      corpus: whose texts they are, for the progress bar.

    Returns:
      [N, E] float32 unit vectors, equal for a cold and a warm cache.

    Raises:
      UserError: the model cannot be loaded, or the store is not a database.
    """
    keys = [_key(text, model) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    with contextlib.closing(VectorStore(cache)) as store:
        vectors = store.get(text_of)
        if store.damaged:
            print(
                f"{store.path}: {store.damaged:,} stored vectors are damaged; they are computed"
                " anew",
                file=sys.stderr,
            )
        missing = [key for key in text_of if key not in vectors]
        if missing:
            _embed_missing(missing, text_of, model, store, corpus)
            vectors.update(store.get(missing))
    vectors_NE = np.stack([vectors[key] for key in keys]).astype(np.float32)
    return vectors_NE / np.linalg.norm(vectors_NE, axis=1, keepdims=True)


def _key(text: Pieces, model: EmbeddingModel) -> bytes:
    """What a vector depends on: the pieces read, and all of the model that is not one text's."""
    identity = f"{model.weights}\n{model.precision}\n{model.max_pieces}\n"
    return hashlib.sha256(identity.encode() + text.ids_L.astype("<i4").tobytes()).digest()


def _embed_missing(
    keys: Sequence[bytes],
    text_of: dict[bytes, Pieces],
    model: EmbeddingModel,
    store: VectorStore,
    corpus: str,
) -> None:
    from tqdm import tqdm

    progress = tqdm(
        total=len(keys),
        desc=f"embedding {corpus} ({model.precision})".replace("  ", " "),
        unit="doc",
        mininterval=1,
        file=sys.stderr,
    )
    waiting: dict[bytes, np.ndarray] = {}

    def keep() -> None:
        if waiting:
            store.add(list(waiting), np.stack(list(waiting.values())))
            waiting.clear()

    with progress:
        try:
            for positions_B, vectors_BE in model.encode([text_of[key] for key in keys]):
                lengths_B1 = np.linalg.norm(vectors_BE, axis=1, keepdims=True)
                if not (np.isfinite(lengths_B1) & (lengths_B1 > 0)).all():
                    raise UserError(
                        f"embedding model {model.name}: a document has no direction (a vector of"
                        " zeros or not finite); use another --embedding_model"
                    )
                found = zip(positions_B, vectors_BE / lengths_B1, strict=True)
                waiting.update({keys[position]: vector_E for position, vector_E in found})
                if len(waiting) >= _STORED_AT_ONCE:
                    keep()
                progress.update(len(positions_B))
        finally:
            keep()
