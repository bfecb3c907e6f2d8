"""Topic: what documents are about, by the sentence embeddings that the score has anyway.

Shapes: N documents, R rows of them, E embedding dimensions.
"""

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import Join

# Up to this distance two texts share a subject; half-way it is a coin's toss. Unrelated texts lie
# at 0.7 to 1, and one subject in two registers at 0.3 to 0.5.
TOPIC_JOIN = Join(0.4, 0.04)


def same_topic(rows_RE: np.ndarray, vectors_NE: np.ndarray) -> np.ndarray:
    """[R, N] P(one topic) of each row with each document, by cosine distance of unit vectors."""
    return TOPIC_JOIN.at(1 - rows_RE @ vectors_NE.T)
