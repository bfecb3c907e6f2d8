"""The corpora of a factorial study: its factors become levels, and levels become a design.

A recipe with `factors` ({key: (low, high)}) holds one level, what all corpora have in common, or
corpora of its own that each say their place (`at`: {factor: low or high value}). A sham factor,
the order of documents in the corpus, and a twin of one corpus (the same place, another seed) are
always inside."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.statistics.factorial import RESOLUTIONS, Design, factorial_design
from divsyn_jax.study.factorial import pools

SHAM = "file_order"
SHAM_VALUES = ("as_written", "by_hash")
# A twin is written with a seed this much higher.
TWIN_SEED = 1
# Which corpus has a twin: about a third down the design, high and low factors mixed.
_TWIN_AT = 3


def design_of(recipe: Mapping[str, Any]) -> Design:
    """The design of a recipe's factors. Raises `UserError` for factors that make none."""
    factors = recipe["factors"]
    for name, values in factors.items():
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
            raise UserError(f"config.factors.{name}={values!r}: give its low and its high value")
        if values[0] == values[1]:
            raise UserError(f"config.factors.{name}={tuple(values)}: the two values are equal")
    resolution = recipe.get("resolution", RESOLUTIONS[0])
    try:
        return factorial_design(list(factors), resolution, SHAM)
    except ValueError as error:
        raise UserError(f"config.factors, config.resolution: {error}") from None


def with_cells(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with a level for every cell of the design, a twin, and the null control of both.

    A recipe without factors comes back as it is. Raises `UserError` for one that makes no design.
    """
    if not recipe.get("factors"):
        return dict(recipe)
    design = design_of(recipe)
    if recipe["null_control"]:
        raise UserError(
            "config.null_control: a factorial study has a twin of its own; leave it out"
        )
    given = [dict(level) for level in recipe["levels"]]
    placed = [level for level in given if "at" in level]
    if placed and len(placed) < len(given):
        raise UserError(
            "config.levels: with config.factors every level needs `at`, or one has none"
        )
    if not placed and len(given) != 1:
        raise UserError(
            f"config.levels holds {len(given)}: with config.factors give one level, what the"
            " corpora have in common, or every corpus with its place (at)"
        )
    levels = _placed(recipe, design, placed) if placed else _written(recipe, design, given[0])
    twins = levels[len(design.rows) :]
    control = () if not twins else (levels[_cell(levels, twins[0])]["name"], twins[0]["name"])
    return {**recipe, "levels": levels, "null_control": list(control)}


def _cell(levels: Sequence[Mapping[str, Any]], twin: Mapping[str, Any]) -> int:
    return next(place for place, level in enumerate(levels) if level["at"] == twin["at"])


def _written(
    recipe: Mapping[str, Any], design: Design, common: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A level a cell, and the twin last."""
    if taken := sorted(set(common) & set(recipe["factors"])):
        raise UserError(
            f"config.levels[0].{taken[0]}: config.factors gives its values; leave it out there"
        )
    levels = []
    for row in design.rows:
        at = _values(recipe, design, row)
        levels.append(_level(recipe, common, at))
    if len({level["name"] for level in levels}) < len(levels):
        # The sham is crossed with the others, and alone sets cells apart.
        levels = [{**level, "name": f"{level['name']}_{level['at'][SHAM]}"} for level in levels]
    chosen = levels[len(levels) // _TWIN_AT]
    twin = {**chosen, "name": f"{chosen['name']}_twin", "seed": chosen.get("seed", 0) + TWIN_SEED}
    return [*levels, twin]


def _level(
    recipe: Mapping[str, Any], common: Mapping[str, Any], at: Mapping[str, Any]
) -> dict[str, Any]:
    real = {name: value for name, value in at.items() if name != SHAM}
    level = {**common, **real, "name": _name(real, list(recipe["factors"])), "at": dict(at)}
    return _ordered(level, at[SHAM])


def _ordered(level: dict[str, Any], order: str) -> dict[str, Any]:
    return {**level, SHAM: order} if order != SHAM_VALUES[0] else level


def _name(real: Mapping[str, Any], factors: Sequence[str]) -> str:
    """E.g. t4_s1_p13_w1; whole names of factors where first letters are not enough; of factors that
    are low or high those that are high."""
    if set(real.values()) <= set(pools.LEVELS):
        return "_".join(name for name, value in real.items() if value == pools.HIGH) or "all_low"
    letters = [factor[0] for factor in factors]
    short = len(set(letters)) == len(letters)
    parts = [
        f"{factor[0] if short else factor}{re.sub(r'[^A-Za-z0-9.-]+', '-', str(value))}"
        for factor, value in real.items()
    ]
    return "_".join(parts)


def _values(recipe: Mapping[str, Any], design: Design, row: Sequence[int]) -> dict[str, Any]:
    """The values of a cell, by factor."""
    values = {**recipe["factors"], SHAM: SHAM_VALUES}
    return {
        name: values[name][int(sign > 0)] for name, sign in zip(design.factors, row, strict=True)
    }


def _placed(
    recipe: Mapping[str, Any], design: Design, given: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Given corpora in the order of the design, with their file orders; further ones of a cell are
    twins."""
    cells = [_values(recipe, design, row) for row in design.rows]
    real = [{name: value for name, value in at.items() if name != SHAM} for at in cells]
    found: list[dict[str, Any] | None] = [None] * len(cells)
    twins = []
    for level in given:
        matches = [place for place, at in enumerate(real) if at == dict(level["at"])]
        if not matches:
            raise UserError(
                f"level {level.get('name')}: at={dict(level['at'])} is no cell of the design of"
                f" {', '.join(recipe['factors'])}"
            )
        # Where the sham is crossed with the others, a cell has a corpus for each file order.
        free = [place for place in matches if found[place] is None]
        place = free[0] if free else matches[0]
        ordered = _ordered({**level, "at": cells[place]}, cells[place][SHAM])
        if free:
            found[place] = ordered
        else:
            twins.append(ordered)
    lacking = [at for at, level in zip(real, found, strict=True) if level is None]
    if lacking:
        raise UserError(
            f"config.levels: {len(lacking)} of {len(cells)} cells of the design have no corpus, the"
            f" first at={lacking[0]}"
        )
    return [level for level in found if level is not None] + twins


def twin_places(recipe: Mapping[str, Any], design: Design) -> dict[int, str]:
    """The cell of each twin's original, and the twin's name."""
    levels = recipe["levels"]
    twins = levels[len(design.rows) :]
    return {_cell(levels, twin): twin["name"] for twin in twins}


def scaled(values: Sequence[float]) -> tuple[list[float], str]:
    """Values of a metric on the scale of effects: doublings where all are positive."""
    if all(value > 0 for value in values):
        return [math.log2(value) for value in values], "log2"
    return list(values), "linear"
