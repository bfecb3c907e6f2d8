"""The flags every command that reads corpora shares."""

import dataclasses
from typing import get_args

from divsyn_jax.base import setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.parts import WorkPart
from divsyn_jax.data.readers.options import ConversationSide, ReadOptions


@dataclasses.dataclass(frozen=True)
class _Parts:
    """Which part of what.

    Attributes:
      part: all, prompt or response: which side of a conversation is its text; i/n: only part i of n
        (from 1 to n) of the work, where a command splits it among processes; both as response,1/4.
    """

    part: tuple[str, ...] = ("all",)


READING = setting_flags.define(ReadOptions, "corpora", without=("part",))
_PARTS = setting_flags.define(_Parts, "corpora")


def read_options(is_split: bool = False) -> ReadOptions:
    """The reading options given on the command line; `is_split`: the command asks for
    `part_of_work`, too.
    """
    (side,) = [value for value in _given() if not isinstance(value, WorkPart)] or ["all"]
    if not is_split and (part := part_of_work()) is not None:
        raise UserError(
            f"--part={part}: this command does not split its work; give all, prompt or response"
        )
    return READING.given(part=side)


def part_of_work() -> WorkPart | None:
    """The part of the work that this process is to do; None for all of it."""
    return next((value for value in _given() if isinstance(value, WorkPart)), None)


def _given() -> list[str | WorkPart]:
    sides = get_args(ConversationSide)
    found: list[str | WorkPart] = []
    for value in _PARTS.value("part") or ():
        if value not in sides and not set(value) & set("0123456789/"):
            raise UserError(
                f"--part={value}: give all, prompt or response for a side of conversations, or i/n"
                " for a share of the work, e.g. --part=1/4"
            )
        found.append(value if value in sides else WorkPart.parse(value))
    for kind in (str, WorkPart):
        if sum(isinstance(value, kind) for value in found) > 1:
            raise UserError(f"--part={','.join(map(str, found))}: give one of a kind")
    return found
