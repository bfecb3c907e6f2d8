"""How much text compared corpora contribute to a comparison, so that no metric compares sizes, and
at which length documents are read where their lengths differ.

Words are those of `base.words`, so a length means the same in every script.

Why documents are read whole by the agents up to a factor. A metric that sums over a document's
words (self-repetition) moves with any difference of length, so `LENGTHS_APART` is small for those.
What a document is about changes less, and a cut has an error of its own. Embedded with MiniLM,
texts cut to 1/r of their words have, over the whole texts (200 documents each), effective clusters
at cosine distance 0.5 and 0.3 and a Vendi score of

    r       one-sentence intents (9 words)    answers to prompts (195 words)
    1.25    1.25, 1.29, 1.02                  1.29, 1.03, 1.05
    1.5     1.22, 1.26, 0.98                  1.52, 1.05, 1.09
    2       0.99, 1.04, 0.85
    3       0.40, 0.54, 0.57

and cutting a corpus to its own lower quartile, as matching does to the shortest, moves it by 1.25,
1.22 and 0.99 (intents). So a cut costs about as much as a difference of lengths of 1.25 to 1.5
does; and one content has 1.0 to 1.2 times as many words in one language as in another (a test's
twins). Up to `JUDGED_LENGTHS_APART` documents are read whole, beyond it at one length, and either
is said. A cut below `FEWEST_WORDS` words is never made: too little is left of a document to say
what it is about.
"""

import dataclasses
from collections.abc import Sequence

from divsyn_jax.base.words import count_words, first_words

LENGTHS_APART = 1.1
JUDGED_LENGTHS_APART = 1.5
FEWEST_WORDS = 20


@dataclasses.dataclass(frozen=True)
class SharedText:
    """What every compared corpus contributes.

    Attributes: words: words to the metrics that read words. bytes: UTF-8 bytes to gzip. documents:
      documents to the metrics that depend on their number. mean_words: mean words of a document.
      lower_quartile: words that three documents in four have or exceed. lengths_apart: largest over
      smallest mean words of a document. document_words: words of every document in the baselines
      that depend on document length; None reads documents whole. judged_words: words of every
      document that the agents and the embeddings read, at most; None reads documents whole.
    """

    words: int
    bytes: int
    documents: int
    mean_words: float
    lower_quartile: int
    lengths_apart: float = 1.0
    document_words: int | None = None
    judged_words: int | None = None

    def notes(self) -> list[str]:
        """What a reader has to know of lengths, in sentences; none where documents are of one
        length.
        """
        apart = f"Mean lengths of documents differ by a factor of {self.lengths_apart:.2g}"
        if self.lengths_apart <= LENGTHS_APART:
            return []
        if self.document_words is None:
            quartile = f"a quarter of the documents of one corpus have {_at_most(self)}"
            why = (
                f"{quartile}, and no cut is made below {FEWEST_WORDS}"
                if self.lower_quartile < FEWEST_WORDS
                else "lengths are not matched (--nomatch_lengths, or --parity)"
            )
            return [
                f"{apart}. All documents were read whole: {why}. Metrics that grow with the length"
                " of documents (self-repetition, homogenization, perplexity) are not comparable"
                " between these corpora."
            ]
        cut = f"the first {self.document_words} words of every document"
        if self.judged_words is None:
            return [
                f"{apart}. The agent and the embeddings read documents whole; the baselines that"
                f" depend on document length read {cut}."
            ]
        return [
            f"{apart}, more than {JUDGED_LENGTHS_APART:g}. The agent, the embeddings and the"
            f" baselines that depend on document length read {cut}: numbers differ from those of a"
            " corpus scored alone."
        ]

    def to_json(self) -> dict[str, object]:
        """The field `lengths` of score.json and comparison.json."""
        return {
            "lengths_apart": self.lengths_apart,
            "judged_words": self.judged_words,
            "document_words": self.document_words,
            "judged_lengths_apart": JUDGED_LENGTHS_APART,
            "fewest_words": FEWEST_WORDS,
            "unit": "words (UAX 29 segments)",
            "notes": self.notes(),
        }


def _at_most(shared: SharedText) -> str:
    words = shared.lower_quartile
    return f"{words} word{'s' * (words != 1)} or fewer"


def largest_shared_text(texts: Sequence[str], words: int) -> SharedText:
    """What the first documents that hold `words` words (all of them, when they hold fewer) can
    contribute.
    """
    lengths = [count_words(text) for text in texts]
    counted = size = 0
    for text, length in zip(texts, lengths, strict=True):
        if counted >= words:
            break
        counted += length
        size += len(text.encode("utf-8")) + 1
    quartile = sorted(lengths)[(len(lengths) - 1) // 4] if lengths else 0
    mean = sum(lengths) / max(1, len(lengths))
    return SharedText(min(counted, words), max(0, size - 1), len(texts), mean, quartile)


def common_shared_text(corpora: Sequence[SharedText], match_lengths: bool = True) -> SharedText:
    """The text that every corpus can contribute.

    Args: corpora: the most that each can. match_lengths: whether documents of corpora whose mean
      lengths lie more than `LENGTHS_APART` apart are read at one length by the baselines that
      depend on it, and by the agents and embeddings when they lie more than `JUDGED_LENGTHS_APART`
      apart. The length is the smallest of the lower quartiles; below `FEWEST_WORDS` nothing is cut.
    """
    longest = max(each.mean_words for each in corpora)
    shortest = min(each.mean_words for each in corpora)
    apart = longest / shortest if shortest else (float(len(corpora)) if longest else 1.0)
    quartile = min(each.lower_quartile for each in corpora)
    cut = match_lengths and apart > LENGTHS_APART and quartile >= FEWEST_WORDS
    return SharedText(
        words=min(each.words for each in corpora),
        bytes=min(each.bytes for each in corpora),
        documents=min(each.documents for each in corpora),
        mean_words=shortest,
        lower_quartile=quartile,
        lengths_apart=apart,
        document_words=quartile if cut else None,
        judged_words=quartile if cut and apart > JUDGED_LENGTHS_APART else None,
    )


def first_documents(lengths: Sequence[int], words: int) -> list[tuple[int, int]]:
    """(document, words kept of it) of the first documents, `words` words in all; the last may be
    cut.

    Args: lengths: words of each document.
    """
    kept, left = [], words
    for document, length in enumerate(lengths):
        if left <= 0:
            break
        kept.append((document, min(length, left)))
        left -= length
    return kept


def documents_of_one_length(lengths: Sequence[int], shared: SharedText) -> list[tuple[int, int]]:
    """(document, words kept of it) within the shared text, all of one length where it sets one:
    documents of at least that length.

    Every compared corpus gives the same number of them: three quarters of the smallest sample, or
    fewer when the words end first. Without a length: as `first_documents`.
    """
    length = shared.document_words
    if length is None:
        return first_documents(lengths, shared.words)
    wanted = max(1, min(shared.words // length, shared.documents * 3 // 4))
    enough = [(document, length) for document, words in enumerate(lengths) if words >= length]
    return enough[:wanted]


def cut_texts(
    texts: Sequence[str], lengths: Sequence[int], kept: Sequence[tuple[int, int]]
) -> list[str]:
    """The texts of `kept`, each to the end of the last word kept; whole where all words are."""
    return [
        texts[document] if words >= lengths[document] else first_words(texts[document], words)
        for document, words in kept
    ]
