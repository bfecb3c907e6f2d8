"""How much text compared corpora contribute to baselines, so that no metric compares sizes or
lengths.
"""

import dataclasses
from collections.abc import Sequence

from divsyn_jax.diversity.sampling import head

LENGTHS_APART = 1.1


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every compared corpus contributes.

    Attributes: words: white-space words to the metrics that read words. bytes: UTF-8 bytes to gzip.
      documents: documents to the metrics that depend on their number. mean_words: mean words of a
      document. lower_quartile: words that three documents in four have or exceed. document_words:
      words of every document in the metrics that depend on document length; None reads documents
      whole.
    """

    words: int
    bytes: int
    documents: int
    mean_words: float
    lower_quartile: int
    document_words: int | None = None


def largest_budget(texts: Sequence[str], words: int) -> Budget:
    """What the first documents that hold `words` words (all of them, when they hold fewer) can
    contribute.
    """
    lengths = [len(text.split()) for text in texts]
    counted = size = 0
    for text, length in zip(texts, lengths, strict=True):
        if counted >= words:
            break
        counted += length
        size += len(text.encode("utf-8")) + 1
    quartile = sorted(lengths)[(len(lengths) - 1) // 4] if lengths else 0
    mean = sum(lengths) / max(1, len(lengths))
    return Budget(min(counted, words), max(0, size - 1), len(texts), mean, quartile)


def common_budget(budgets: Sequence[Budget], match_lengths: bool = True) -> Budget:
    """The budget that every corpus can meet.

    Args: budgets: one a corpus. match_lengths: corpora whose mean document lengths lie more than
      `LENGTHS_APART` apart are read at one document length, the smallest of their lower quartiles.
      Corpora of one length are read whole: cutting them would only throw text away.
    """
    least = {
        name: min(getattr(budget, name) for budget in budgets)
        for name in ("words", "bytes", "documents", "mean_words", "lower_quartile")
    }
    apart = max(budget.mean_words for budget in budgets) > LENGTHS_APART * least["mean_words"]
    return Budget(
        **least, document_words=least["lower_quartile"] if match_lengths and apart else None
    )


def cut_to_words(texts: Sequence[str], words: int) -> list[str]:
    """The first documents, `words` white-space words in all; the last document is cut after a word."""
    documents, left = [], words
    for text in texts:
        if left <= 0:
            break
        length = len(text.split())
        documents.append(text if length <= left else head(text, left))
        left -= length
    return documents


def match_lengths(texts: Sequence[str], budget: Budget) -> list[str]:
    """Documents within the budget, of one length where it sets one: those of at least that length,
    cut to it.

    Every compared corpus gives the same number of them: three quarters of the smallest sample, or
    fewer when the words
    end first. Without a length: the documents whole."""
    length = budget.document_words
    if length is None:
        return cut_to_words(texts, budget.words)
    wanted = max(1, min(budget.words // length, budget.documents * 3 // 4))
    long_enough = (text for text in texts if len(text.split(maxsplit=length - 1)) == length)
    return [head(text, length) for text, _ in zip(long_enough, range(wanted), strict=False)]
