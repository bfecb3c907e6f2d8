"""How much of a corpus an embedding model can see: what it cannot spell, and what it does not
reach.

Every share is a mean over documents, since a document counts once whatever its length: a Thai
document is one unknown piece to a model of English, beside a hundred pieces of an English one.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding.models import EmbeddingModel
from divsyn_jax.embedding.pieces import Pieces

# Of an average document more is unseen than seen. Sentences of one content through the default
# model's tokenizer: Thai, Khmer and Amharic 1.00, Chinese 0.67, Japanese 0.26, Korean 0.17, Hindi
# 0.15; English, German, Vietnamese, Russian, Arabic 0.00; chat with emoji 0.09.
REFUSED_UNKNOWN = 0.5
# Documents that cannot be seen share one vector. A share u of them adds at most u^2 to the share of
# pairs of one kind: 0.0004 here, which moves 100 effective clusters by 4%, less than the error that
# the number has anyhow.
WARNED_UNKNOWN = 0.02
# Russian, Greek, Arabic, Hebrew: 0.91 to 1.00; Vietnamese 0.20, German 0.03, English 0.00.
WARNED_BY_LETTER = 0.5
REMEDY = "--embedding_model=a multilingual model, or --agent=openai"


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a model sees of the sampled documents of a corpus.

    Attributes:
      model: whose reading it is.
      documents: how many.
      max_pieces: pieces of a document that the model reads, special ones among them.
      unknown_pieces: share of all pieces read that are not in the vocabulary.
      unknown: share of a document's characters that lie in unknown pieces, mean over documents.
      by_letter: share of a document's characters that the model spells as single letters of longer
        words, mean over documents.
      documents_cut: share of documents that are longer than the model reads.
      warning: what the numbers above say against the score, or None.
    """

    model: str
    documents: int
    max_pieces: int
    unknown_pieces: float
    unknown: float
    by_letter: float
    documents_cut: float
    warning: str | None

    def to_json(self) -> dict[str, Any]:
        """The entry of score.json."""
        return dataclasses.asdict(self)

    def require_readable(self, corpus: str) -> None:
        """Raise `UserError` for a corpus of which the model sees less than it does not see."""
        if self.unknown > REFUSED_UNKNOWN:
            raise UserError(
                f"{corpus}: the embedding model cannot spell {self.unknown:.0%} of its text"
                f" (unknown word pieces): no number is given; use {REMEDY}"
            )


def summarise_reading(texts: Sequence[Pieces], model: EmbeddingModel) -> Reading:
    """What `model` sees of these documents, at least one."""
    pieces = sum(max(1, len(text.ids_L)) for text in texts)
    unseen = sum(text.unknown_pieces if len(text.ids_L) else 1 for text in texts)
    unknown = float(np.mean([text.unknown for text in texts]))
    by_letter = float(np.mean([text.by_letter for text in texts]))
    reasons = []
    if unknown > WARNED_UNKNOWN:
        reasons.append(
            f"the embedding model cannot spell {unknown:.0%} of the text (unknown word pieces)"
        )
    if by_letter > WARNED_BY_LETTER and not model.reads_by_letter:
        reasons.append(
            f"the embedding model, made for English, spells {by_letter:.0%} of the text letter by"
            " letter and knows few of its words"
        )
    warning = f"{'; '.join(reasons)}: the score says little; use {REMEDY}" if reasons else None
    return Reading(
        model=model.name,
        documents=len(texts),
        max_pieces=model.max_pieces,
        unknown_pieces=unseen / pieces,
        unknown=unknown,
        by_letter=by_letter,
        documents_cut=sum(not text.whole for text in texts) / len(texts),
        warning=warning,
    )
