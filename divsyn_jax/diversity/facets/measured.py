"""The facets of a corpus, measured: one effective number each, with its interval over documents.

Shapes: N documents, R rows of them, E embedding dimensions.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import (
    MIDDLES_B,
    PairEstimate,
    effective_clusters_at,
    estimate_of_means,
    pair_distances,
)
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.facets.records import FacetRecord
from divsyn_jax.diversity.facets.structure import layouts, same_structure
from divsyn_jax.diversity.facets.style import registers
from divsyn_jax.diversity.facets.text_parts import text_parts
from divsyn_jax.diversity.facets.topic import TOPIC_JOIN, same_topic
from divsyn_jax.diversity.facets.wording import Fillings, fillings

_ROWS_AT_ONCE = 512
# English running text has about 45 closed-class words in 100, telegraphic lists half of that.
LEAST_CLOSED = 0.2


@dataclasses.dataclass(frozen=True)
class Facet:
    """What a facet is.

    Attributes:
      reads: the features it is made of.
      cannot_see: the differences of its kind that leave it unmoved, and what else moves it.
      vectors: whether it needs embeddings.
      english: whether it needs English running text.
    """

    reads: str
    cannot_see: str
    vectors: bool = False
    english: bool = False


FACETS: dict[str, Facet] = {
    "topic": Facet(
        "sentence embeddings of the documents: two are on one topic up to a cosine distance of"
        " about 0.5, as at the granularity called topics",
        "parts of a document beyond what the embedding model reads; subjects that its language"
        " does not spell; how finely a subject is cut",
        vectors=True,
    ),
    "style": Facet(
        "rates of closed-class words, punctuation, word endings and sentence lengths in the"
        " running text, beyond what chance puts between texts of that length",
        "irony, tone and whatever else open-class words carry; layout; other languages than"
        " English",
        english=True,
    ),
    "structure": Facet(
        "kinds of lines (headings, lists, tables, quotations, code, labelled turns, prose), their"
        " shares and which follows which, the words blotted out",
        "how a sentence or an argument is built; layout that is not in lines, such as HTML in one"
        " line",
    ),
    "wording": Facet(
        "which open-class words fill the same place between closed-class words, over pairs of"
        " documents in one style and on different topics",
        "choices of whole phrases or of sentence patterns; words of a subject; corpora on one"
        " topic only; other languages than English",
        vectors=True,
        english=True,
    ),
}
assert tuple(FACETS) == FACET_NAMES


def measure_facets(
    names: Sequence[str], texts: Sequence[str], vectors_NE: np.ndarray | None, no_vectors: str = ""
) -> dict[str, FacetRecord]:
    """Some facets of a corpus.

    Args:
      names: which (`FACET_NAMES`).
      texts: the N documents.
      vectors_NE: [N, E] their unit vectors; None where nobody embeds them.
      no_vectors: why not.
    """
    if not names:
        return {}
    corpus = FacetPairs(texts, vectors_NE)
    return {name: _record(name, corpus, no_vectors) for name in names}


class FacetPairs:
    """What the facets say of the pairs of a corpus, a block of rows at a time.

    Attributes:
      documents: N.
      closed: share of its words that are closed-class English words.
      vectors_NE: [N, E] unit vectors; None where nobody embeds the documents.
    """

    def __init__(self, texts: Sequence[str], vectors_NE: np.ndarray | None) -> None:
        parts = [text_parts(text) for text in texts]
        self.documents = len(parts)
        self.vectors_NE = vectors_NE
        self._layouts_NF = layouts(parts)
        self._running = [each.running for each in parts]
        self._registers = registers(self._running)
        self.closed = self._registers.closed

    @functools.cached_property
    def _fillings(self) -> Fillings:
        return fillings(self._running)

    def blocks(self) -> Iterator[slice]:
        """Rows to be looked at together, so that memory grows with N and not with its square."""
        for start in range(0, self.documents, _ROWS_AT_ONCE):
            yield slice(start, min(start + _ROWS_AT_ONCE, self.documents))

    def similarity(self, name: str, rows: slice) -> np.ndarray:
        """[R, N] how alike each row is to each document by any facet but wording, 0 to 1."""
        if name == "style":
            return self._registers.same_style(rows)
        if name == "structure":
            return same_structure(self._layouts_NF[rows], self._layouts_NF)
        assert name == "topic"
        assert self.vectors_NE is not None
        return same_topic(self.vectors_NE[rows], self.vectors_NE)

    def choices(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """[R, N] each: choices of words in which each row agrees with each document, and all that
        they share, weighted by how alike they are in style and how far apart in topic."""
        weights_RN = self.similarity("style", rows) * (1 - self.similarity("topic", rows))
        same_RN, choices_RN = self._fillings.agreements(rows)
        return weights_RN * same_RN, weights_RN * choices_RN


def _record(name: str, corpus: FacetPairs, no_vectors: str) -> FacetRecord:
    facet = FACETS[name]
    closed = corpus.closed
    reason = ""
    if corpus.documents < 3:
        reason = f"{corpus.documents} documents: an interval over documents needs three"
    elif facet.english and closed < LEAST_CLOSED:
        reason = (
            f"closed-class English words are {closed:.0%} of the words: this is no English running"
            " text"
        )
    elif facet.vectors and corpus.vectors_NE is None:
        reason = no_vectors or "no sentence embeddings here"
    found = None if reason else _estimate(name, corpus)
    if found is None:
        reason = reason or "no two documents in one style and on different topics share a place"
        return {
            "value": None,
            "reads": facet.reads,
            "cannot_see": facet.cannot_see,
            "reason": reason,
        }
    return {
        "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "log_error": found.log_error,
        "share": found.share,
        "documents": corpus.documents,
        "method": f"all pairs, {found.method}",
        "reads": facet.reads,
        "cannot_see": facet.cannot_see,
    }


def _estimate(name: str, corpus: FacetPairs) -> PairEstimate | None:
    if name == "wording":
        sums = [[_others(part, rows) for part in corpus.choices(rows)] for rows in corpus.blocks()]
        same_N, choices_N = (np.concatenate(parts) for parts in zip(*sums, strict=True))
        return estimate_of_choices(same_N, choices_N)
    if name == "topic":
        # The very number of the granularity called topics, not another rounding of it.
        assert corpus.vectors_NE is not None
        distances = pair_distances(corpus.vectors_NE)
        return effective_clusters_at(distances, TOPIC_JOIN.at(MIDDLES_B))
    means = [_others(corpus.similarity(name, rows), rows) for rows in corpus.blocks()]
    return estimate_of_means(np.concatenate(means) / (corpus.documents - 1))


def _others(of_pairs_RN: np.ndarray, rows: slice) -> np.ndarray:
    """[R] the sum over all other documents."""
    own_R = of_pairs_RN[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)]
    total_R: np.ndarray = of_pairs_RN.sum(axis=1, dtype=np.float64) - own_R
    return total_R


def estimate_of_choices(same_N: np.ndarray, choices_N: np.ndarray) -> PairEstimate | None:
    """The estimate from a ratio of two sums over pairs: choices that agree, over all choices.

    To first order the ratio moves with a document's agreements beyond what its choices lead to
    expect; with these as its terms the variance over documents is that of `estimate_of_means`.
    None where no choice agrees, or there is none to compare.

    Args:
      same_N, choices_N: [N] the sums of `FacetPairs.choices` over all other documents.
    """
    if choices_N.sum() <= 0 or same_N.sum() <= 0:
        return None
    q = same_N.sum() / choices_N.sum()
    return estimate_of_means(q + (same_N - q * choices_N) / choices_N.mean())
