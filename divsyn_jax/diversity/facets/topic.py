"""Topic: what documents are about, by the sentence embeddings that the score has anyway.

Two documents share a topic as they do at the granularity "topics" of the headline. That the
embeddings are of whole documents and not of their keywords is measured to be better: style and
layout move it less (tools/benchmarks/facet_response.md).

Shapes: N documents, R rows of them, E embedding dimensions.
"""

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import GRANULARITIES

TOPIC_JOIN = GRANULARITIES["topics"]


def same_topic(rows_RE: np.ndarray, vectors_NE: np.ndarray) -> np.ndarray:
    """[R, N] P(one topic) of each row with each document, by cosine distance of unit vectors."""
    return TOPIC_JOIN.at(1 - rows_RE @ vectors_NE.T)
