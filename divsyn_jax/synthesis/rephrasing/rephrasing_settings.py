"""How documents are told again, and what a rephrasing must be like."""

import dataclasses
from collections.abc import Sequence

from divsyn_jax.base.errors import UserError
from divsyn_jax.synthesis.rephrasing.formats import REPHRASING_FORMATS

DEFAULT_FORMATS = ("faq", "table", "tutorial", "textbook")


@dataclasses.dataclass(frozen=True)
class RephrasingSettings:
    """What a rephrasing must be like; the keys of --config.rephrase.

    Attributes:
      shortest: words of a rephrasing, as a share of its source's, at least.
      longest: the same, at most.
      source_characters: of a document that is told again, at most; that more were there is counted.
      copied: Jaccard similarity of word 5-grams with the source from which it is a copy.
      entailment: share of the rephrasings of which an endpoint is asked whether the source supports
        them; chosen by the seed.
      language: ISO 639-1 code of what they must be written in; '' for any.
      near_duplicate: Jaccard similarity of word 5-grams from which it is another's near-duplicate.

    Raises `UserError` naming a bad value.
    """

    shortest: float = 0.2
    longest: float = 3.0
    source_characters: int = 8000
    copied: float = 0.6
    entailment: float = 0.1
    language: str = "en"
    near_duplicate: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.shortest < self.longest:
            raise UserError(
                f"--config.rephrase.shortest={self.shortest} must lie in [0,"
                f" longest={self.longest})"
            )
        if self.source_characters < 100:
            raise UserError(
                f"--config.rephrase.source_characters={self.source_characters}: give 100 or more"
            )
        if not 0 <= self.entailment <= 1:
            raise UserError(
                f"--config.rephrase.entailment={self.entailment}: give a share in [0, 1]"
            )
        if self.copied <= 0 or self.near_duplicate <= 0:
            raise UserError("--config.rephrase.copied must be positive; above 1: nothing is a copy")


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats asked for, each once. Raises `UserError` for an unknown one and for none."""
    names = tuple(dict.fromkeys(name.strip() for name in formats if name.strip()))
    for name in names:
        if name not in REPHRASING_FORMATS:
            raise UserError(f"--formats={name}: choose among {', '.join(REPHRASING_FORMATS)}")
    if not names:
        raise UserError(f"--formats is empty: choose among {', '.join(REPHRASING_FORMATS)}")
    return names
