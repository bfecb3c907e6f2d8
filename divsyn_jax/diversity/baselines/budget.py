"""How much text compared corpora contribute to baselines, so that no metric compares sizes or lengths."""

import dataclasses
import re
from collections.abc import Sequence

_WORD = re.compile(r"\S+")


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every compared corpus contributes.

    Attributes:
      words: white-space words to the metrics that read words.
      bytes: UTF-8 bytes to gzip.
      documents: documents to the metrics that depend on their number.
      lower_quartile: words that three documents in four have or exceed.
      document_words: words of every document in the metrics that depend on document length; None reads documents whole.
    """

    words: int
    bytes: int
    documents: int
    lower_quartile: int
    document_words: int | None = None


def largest_budget(texts: Sequence[str], words: int) -> Budget:
    """What the first documents that hold `words` words (all of them, when they hold fewer) can contribute."""
    lengths = [len(text.split()) for text in texts]
    counted = size = 0
    for text, length in zip(texts, lengths, strict=True):
        if counted >= words:
            break
        counted += length
        size += len(text.encode("utf-8")) + 1
    quartile = sorted(lengths)[(len(lengths) - 1) // 4] if lengths else 0
    return Budget(min(counted, words), max(0, size - 1), len(texts), quartile)


def common_budget(budgets: Sequence[Budget], match_lengths: bool = True) -> Budget:
    """The budget that every corpus can meet.

    Args:
      budgets: one a corpus.
      match_lengths: several corpora are read at one document length, the smallest of their lower quartiles.
    """
    common = Budget(
        *(
            min(getattr(budget, name) for budget in budgets)
            for name in ("words", "bytes", "documents", "lower_quartile")
        )
    )
    if match_lengths and len(budgets) > 1:
        return dataclasses.replace(common, document_words=common.lower_quartile)
    return common


def cut_to_words(texts: Sequence[str], words: int) -> list[str]:
    """The first documents, `words` white-space words in all; the last document is cut after a word."""
    documents, left = [], words
    for text in texts:
        if left <= 0:
            break
        length = len(text.split())
        documents.append(text if length <= left else _head(text, left))
        left -= length
    return documents


def match_lengths(texts: Sequence[str], budget: Budget) -> list[str]:
    """Documents within the budget, of one length where it sets one: those of at least that length, cut to it.

    Every compared corpus gives the same number of them: three quarters of the smallest sample, or fewer when the words
    end first. Without a length: the documents whole.
    """
    length = budget.document_words
    if length is None:
        return cut_to_words(texts, budget.words)
    wanted = max(1, min(budget.words // length, budget.documents * 3 // 4))
    long_enough = (text for text in texts if len(text.split(maxsplit=length - 1)) == length)
    return [_head(text, length) for text, _ in zip(long_enough, range(wanted), strict=False)]


def _head(text: str, words: int) -> str:
    """`text` up to the end of its `words`-th word; white space inside stays as it is."""
    for count, word in enumerate(_WORD.finditer(text), 1):
        if count == words:
            return text[: word.end()]
    return text
