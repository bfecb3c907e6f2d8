"""How text is drawn from a model; without JAX, since a command's flags are made from it."""

import dataclasses
from typing import Annotated

from divsyn_jax.base.setting_flags import Flag


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Raises `ValueError` for a value out of range.

    Attributes:
      temperature: of the draws; 0 takes the likeliest token.
      top_k: draw from the likeliest so many tokens; 0: from all.
      top_p: draw from the likeliest tokens that together have this probability (nucleus sampling,
        Holtzman et al. 2020); 1: from all.
      seed: seed of the draws. A row's draws depend on it and the row's number, not on the rows
        beside it.
    """

    temperature: Annotated[float, Flag(at_least=0)] = 0.0
    top_k: Annotated[int, Flag(at_least=0)] = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"{self}: temperature and top_k must be at least 0, top_p in (0, 1]")
