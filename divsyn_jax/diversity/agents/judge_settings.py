"""What an LLM judge is asked, beside whom; without the imports that asking takes."""

import dataclasses

from divsyn_jax.base.commandline import UserError


@dataclasses.dataclass(frozen=True)
class JudgeSettings:
    """What the agent asks, beside whom.

    Attributes:
      criteria_file: criteria sets to use instead of finding them in the corpora.
      criteria_sets: R, independent criteria sets to make.
      criteria_documents, criteria_proposals: J and M of the paper, for each set.
      verification: whether clusters are verified.
      document_characters: every document is cut to this many characters, in all corpora alike.
    """

    criteria_file: str | None = None
    criteria_sets: int = 5
    criteria_documents: int = 5
    criteria_proposals: int = 100
    verification: bool = True
    document_characters: int = 4000

    def __post_init__(self) -> None:
        for flag in (
            "criteria_sets",
            "criteria_documents",
            "criteria_proposals",
            "document_characters",
        ):
            if getattr(self, flag) < 1:
                raise UserError(f"--{flag}={getattr(self, flag)}: give a number of 1 or more")
