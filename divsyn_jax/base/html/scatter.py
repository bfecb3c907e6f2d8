"""A map of points that belong to groups, drawn without a library."""

import dataclasses
import math
from collections.abc import Sequence

from divsyn_jax.base.html.markup import Html, attribute

_WIDTH, _MARGIN, _TALLEST, _LEGEND = 460, 14, 460, 22
_LEGEND_CHARACTERS = 58
# Numbers of groups: how far apart they stand, across and down, and the rings on which room is
# sought.
_APART, _RING, _RINGS = (16.0, 17.0), 6.0, 12
# Read on white and on black alike; the last is of the points in no group shown.
GROUP_COLOURS = ("#3a87c8", "#d9673f", "#5a9e4b", "#9a6bc0", "#b5902a", "#2f9c95", "#c85a8e",
                 "#8a5a3c")  # fmt: skip
_NO_GROUP = "#8d969e"


@dataclasses.dataclass(frozen=True)
class ScatterPoint:
    """A point.

    Attributes:
      x, y: its place.
      group: number of its group from 0; None for no group shown.
      ours, theirs: what is said of it where the pointer rests: our words, and a stranger's, which
        are isolated.
    """

    x: float
    y: float
    group: int | None
    ours: str
    theirs: str


def scatter_plot(points: Sequence[ScatterPoint], groups: Sequence[str], label: str) -> Html:
    """Points coloured by group, on axes of one scale without units, with a legend under them.

    The number of a group, from 1, stands at the middle of its points. Nothing without points.

    Args:
      points: where they lie; those of no group are drawn first and hollow.
      groups: names of the groups, at most as many as `GROUP_COLOURS`.
      label: what the picture shows, for those who cannot see it.
    """
    if not points:
        return Html("")
    left, right = min(point.x for point in points), max(point.x for point in points)
    low, high = min(point.y for point in points), max(point.y for point in points)
    scale = min(
        (_WIDTH - 2 * _MARGIN) / ((right - left) or 1.0),
        (_TALLEST - 2 * _MARGIN) / ((high - low) or 1.0),
    )
    inset = (_WIDTH - scale * (right - left)) / 2
    bottom = scale * (high - low) + 2 * _MARGIN

    def at(x: float, y: float) -> tuple[float, float]:
        return inset + scale * (x - left), _MARGIN + scale * (high - y)

    drawn = []
    for group in (None, *range(len(groups))):
        members = [point for point in points if point.group == group]
        colour = _NO_GROUP if group is None else GROUP_COLOURS[group]
        paint = (
            f'fill="none" stroke="{colour}" stroke-width="0.8" stroke-opacity="0.7"'
            if group is None
            else f'fill="{colour}" fill-opacity="0.75"'
        )
        circles = "".join(_circle(*at(point.x, point.y), point) for point in members)
        drawn.append(f"<g {paint}>{circles}</g>")
    taken: list[tuple[float, float]] = []
    for group in range(len(groups)):
        members = [point for point in points if point.group == group]
        if members:
            middle = at(_middle([point.x for point in members]), _middle([p.y for p in members]))
            x, y = _free(middle, taken, bottom)
            taken.append((x, y))
            drawn.append(
                f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" font-weight="bold"'
                f' paint-order="stroke" stroke="var(--page)" stroke-width="4">{group + 1}</text>'
            )
    for place, name in enumerate(groups):
        y = bottom + 18 + _LEGEND * place
        short = name if len(name) <= _LEGEND_CHARACTERS else f"{name[: _LEGEND_CHARACTERS - 1]}…"
        drawn.append(
            f'<g><title>{attribute(name)}</title><circle cx="12" cy="{y - 5}" r="6"'
            f' fill="{GROUP_COLOURS[place]}"/><text x="26" y="{y}">{attribute(short)}</text></g>'
        )
    height = round(bottom + 12 + _LEGEND * len(groups))
    box = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{attribute(label)}"'
        f" {box}>{''.join(drawn)}</svg>"
    )


def _circle(x: float, y: float, point: ScatterPoint) -> str:
    # The isolates are ours, outside of what is escaped: no <bdi> may stand in an SVG.
    said = f"{attribute(point.ours)}\u2068{attribute(point.theirs)}\u2069"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"><title>{said}</title></circle>'


def _free(
    wanted: tuple[float, float], taken: Sequence[tuple[float, float]], bottom: float
) -> tuple[float, float]:
    """The place nearest to the one wanted, on rings around it, where a number overprints none of
    those that stand already.
    """
    x, y = wanted
    for ring in range(_RINGS):
        for step in range(max(1, 8 * ring)):
            angle = 2 * math.pi * step / max(1, 8 * ring)
            place = x + ring * _RING * math.cos(angle), y + ring * _RING * math.sin(angle)
            inside = _MARGIN <= place[0] <= _WIDTH - _MARGIN and _MARGIN <= place[1] <= bottom
            if inside and all(
                abs(place[0] - other[0]) >= _APART[0] or abs(place[1] - other[1]) >= _APART[1]
                for other in taken
            ):
                return place
    return wanted


def _middle(values: Sequence[float]) -> float:
    """The median: a kind far from most of its documents pulls no number away."""
    return sorted(values)[len(values) // 2]
