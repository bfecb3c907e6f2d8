"""A share of work that is split among processes: part i of n."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from divsyn_jax.base.errors import UserError


@dataclass(frozen=True)
class WorkPart:
    """Part `index` of `of`: what stands at the places index, index + of, ... of a list counted
    from 1.

    `index` runs from 1 to `of`; both 0 and `of` mean the last, so that the tasks of a job array
    may be counted from either."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "WorkPart":
        """'i/n'. Raises `UserError` for anything else."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        index, of = map(int, found.groups()) if found else (1, 0)
        if of < 1 or index > of:
            raise UserError(f"--part={text}: give i/n with i from 1 to n, e.g. --part=1/4")
        return cls(index or of, of)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def holds(self, place: int) -> bool:
        """Whether the item at `place`, counted from 0, belongs to this part."""
        return place % self.of == self.index - 1

    def size(self, items: int) -> int:
        """How many of so many items belong to this part."""
        return len(range(self.index - 1, items, self.of))


def in_part_order(found: Iterable[tuple[str, WorkPart]]) -> list[str]:
    """The names of the parts from first to last.

    Raises `UserError` naming parts that are missing, there twice, or of another number."""
    named: dict[WorkPart, str] = {}
    for name, part in found:
        if part in named:
            raise UserError(
                f"--merge: {named[part]} and {name} are both part {part}; name each once"
            )
        named[part] = name
    numbers = sorted({part.of for part in named})
    if len(numbers) != 1:
        shown = " and ".join(f"{part} in {name}" for part, name in list(named.items())[:2])
        raise UserError(f"--merge: parts of different splits ({shown}); take those of one")
    missing = [part for part in all_of(numbers[0]) if part not in named]
    if missing:
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"--merge: {len(missing)} of {numbers[0]} parts are missing ({shown}); run them with"
            f" --part={missing[0]} and name their folders too"
        )
    return [named[part] for part in all_of(numbers[0])]


def all_of(count: int) -> list[WorkPart]:
    """The parts of a split."""
    return [WorkPart(index, count) for index in range(1, count + 1)]
