"""What an embedding model is, and which one is meant.

Shapes: B documents of a batch, E embedding dimensions.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from divsyn_jax.embedding.pieces import Pieces


class EmbeddingModel(Protocol):
    """Turns texts into vectors.

    Attributes:
      name: the model with its version, as results name it.
      weights: digest of all that its vectors depend on besides a text's pieces.
      precision: `float32` or `bfloat16`: how it multiplies.
      max_pieces: pieces of a text that it reads, special ones among them.
      reads_by_letter: whether a text of single letters is nothing unusual to it.
    """

    name: str
    precision: str
    max_pieces: int
    reads_by_letter: bool

    @property
    def weights(self) -> str: ...

    def read(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces that the model reads of every text."""

    def encode(self, texts: Sequence[Pieces]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed texts batch by batch, in an order of its own.

        Yields:
          [B] positions in `texts`, and their [B, E] float32 vectors.
        """


def load(name: str | None = None) -> EmbeddingModel:
    """The model of that name (a folder, or a name on the Hugging Face hub); None is the default.

    Nothing is computed yet, and neither JAX nor torch is loaded.

    Raises:
      UserError: it is not there, is not a sentence-transformers model that can be read safely, or
        what it needs is not installed.
    """
    if name is None:
        from divsyn_jax.embedding.minilm import MiniLM

        return MiniLM()
    from divsyn_jax.embedding.sentence_transformers_model import SentenceTransformersModel

    return SentenceTransformersModel(name)
