"""What an LLM judge is asked, beside whom; without the imports that asking takes."""

import dataclasses
from typing import Annotated

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag


@dataclasses.dataclass(frozen=True)
class JudgeSettings:
    """What the agent asks, beside whom.

    Attributes:
      criteria_file: criteria for --agent=openai, instead of finding them in the corpora: a
        criteria.json of an earlier run, or your own.
      criteria_sets: independent criteria sets to make (R).
      criteria_documents: documents a criteria proposal sees (J).
      criteria_proposals: proposals a criteria set is merged from (M).
      verification: have the endpoint verify its own clusters.
      document_characters: characters of a document that the endpoint is shown, in all corpora
        alike.
      control_draws: put draws of known answer among the others (7 a run), to find out a judge that
        cannot be believed.
      strict_judge: refuse to score by a judge that fails the control draws.
      weak_models: ask also a model that fails the start-up probe; for calibration, which finds out
        what a judge is.
    """

    criteria_file: Annotated[str | None, Flag("criteria")] = None
    criteria_sets: int = 5
    criteria_documents: int = 5
    criteria_proposals: int = 100
    verification: bool = True
    document_characters: int = 4000
    control_draws: bool = True
    strict_judge: bool = False
    weak_models: bool = False

    def __post_init__(self) -> None:
        for flag in (
            "criteria_sets",
            "criteria_documents",
            "criteria_proposals",
            "document_characters",
        ):
            if getattr(self, flag) < 1:
                raise UserError(f"--{flag}={getattr(self, flag)}: give a number of 1 or more")
        if self.strict_judge and not self.control_draws:
            raise UserError("--strict_judge needs the control draws: leave out --nocontrol_draws")
