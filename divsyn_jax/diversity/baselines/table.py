"""What a row of the table of baselines says about a metric."""

import dataclasses

PARITY = "diversity-0.3"


@dataclasses.dataclass(frozen=True)
class Baseline:
    """One metric, for readers of tables.

    Attributes:
      meaning: what it is and what more of it means, in a line.
      source: who defined it.
      depends_on: what else moves it; the budget of a comparison holds that equal.
    """

    meaning: str
    source: str
    depends_on: str
