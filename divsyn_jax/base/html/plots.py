"""Plots drawn without a library."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from divsyn_jax.base.html.markup import Html, attribute
from divsyn_jax.base.html.numbers import number

_WIDTH, _ROW, _RIGHT = 460, 42, 70
_CEILING_SHOWN = 1.5  # times the highest value: farther off, a ceiling would squeeze the values
_NAME_CHARACTERS = 56  # that fit the width; the whole name is in the element's title


def interval_plot(
    rows: Sequence[tuple[str, Mapping[str, Any]]], label: str, ceiling: float | None = None
) -> Html:
    """Points with intervals on one axis from zero, a row each with its name above it.

    Drawn narrow, so that a phone shows it at a size that can be read. Nothing where a value is
    missing; a value without an interval is a point. `label` stands under the axis. `ceiling`, the
    most that a value can be, is a dashed line where the axis reaches it."""
    if any(values["value"] is None for _, values in rows):
        return Html("")
    ends = [values.get("ci_high") for _, values in rows] + [values["value"] for _, values in rows]
    highest = max((end for end in ends if end is not None), default=1.0) or 1.0
    shows_ceiling = ceiling is not None and ceiling <= max(
        _CEILING_SHOWN * highest, _round_up(highest)
    )
    top = _round_up(max(highest, ceiling or 0.0) if shows_ceiling else highest)
    left, scale = 6, (_WIDTH - _RIGHT - 6) / top
    lines = []
    for place, (name, values) in enumerate(rows):
        y = place * _ROW + 29
        middle = left + scale * values["value"]
        low, high = (
            left + scale * (values["value"] if values.get(key) is None else values[key])
            for key in ("ci_low", "ci_high")
        )
        short = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 3]}..."
        lines.append(
            f"<g><title>{attribute(name)}</title>"
            f'<text x="{left}" y="{y - 13}">{attribute(short)}</text>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="var(--mark)"'
            f' stroke-width="3"/><circle cx="{middle:.1f}" cy="{y}" r="4.5" fill="var(--mark)"/>'
            f'<text x="{high + 10:.1f}" y="{y + 5}" paint-order="stroke" stroke="var(--page)"'
            f' stroke-width="5">{number(values["value"])}</text></g>'
        )
    bottom = _ROW * len(rows) + 6
    ticks = "".join(
        f'<line x1="{left + scale * tick:.1f}" x2="{left + scale * tick:.1f}" y1="0"'
        f' y2="{bottom}" stroke="var(--line)"/><text x="{left + scale * tick:.1f}"'
        f' y="{bottom + 16}" text-anchor="{"start" if tick == 0 else "middle"}">'
        f"{number(float(tick))}</text>"
        for tick in (0.0, top / 2, top)
    )
    if shows_ceiling and ceiling is not None:
        x = left + scale * ceiling
        ticks += (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}" stroke="var(--bad)"'
            f' stroke-width="2" stroke-dasharray="5 4">'
            f"<title>at most {number(ceiling)}</title></line>"
        )
    ticks += f'<text x="{left}" y="{bottom + 36}" font-style="italic">{attribute(label)}</text>'
    box = f'viewBox="0 0 {_WIDTH} {bottom + 44}" width="{_WIDTH}" height="{bottom + 44}"'
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{attribute(label)}"'
        f" {box}>{ticks}{''.join(lines)}</svg>"
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value * (1 - 1e-9))


# Read on white and on black alike.
_SERIES = ("#3a87c8", "#d9673f", "#5a9e4b", "#9a6bc0", "#b5902a", "#4b9aa3", "#c85a8e", "#7d868f")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
_CHART, _LEGEND = 250, 22
_CHARACTER = 8.5  # width of a digit of the page's type, at most


def line_chart(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    label: str,
    across: str,
    marks: Mapping[str, float] | None = None,
    *,
    ticks: Sequence[float] = (),
    is_across_log: bool = False,
    beyond: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    bars: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
) -> Html:
    """Lines over one axis, heights on a logarithmic scale, with a legend under them.

    Args:
      series: name and points (x, y > 0) of each line, x rising.
      label: of the heights.
      across: of the axis.
      marks: names of places on the axis.
      ticks: of the axis; by default its ends and its middle.
      is_across_log: whether the axis is logarithmic, too.
      beyond: by name, points of a dashed line in the colour of that one.
      bars: by name, (x, low, high) of its intervals.
    """
    beyond, bars = beyond or {}, bars or {}
    points = [point for _, line in series for point in line]
    points += [point for line in beyond.values() for point in line]
    points += [(x, end) for spans in bars.values() for x, *ends in spans for end in ends]
    if not points:
        return Html("")
    left, top = 52, 48

    def scaled(x: float) -> float:
        return math.log10(x) if is_across_log else x

    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low = math.log10(min(y for _, y in points) / 1.1)
    high = math.log10(max(y for _, y in points) * 1.1)
    scale = (_WIDTH - left - 12) / ((scaled(last) - scaled(first)) or 1.0)

    def at(x: float, y: float) -> tuple[float, float]:
        height = (math.log10(y) - low) / (high - low)
        return left + scale * (scaled(x) - scaled(first)), top + _CHART * (1 - height)

    bottom = top + _CHART
    drawn = [f'<text x="{left - 46}" y="16" font-style="italic">{attribute(label)}</text>']
    for tick in _log_ticks(low, high):
        y = at(first, tick)[1]
        drawn.append(
            f'<line x1="{left}" x2="{_WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
            f'<text x="{left - 6}" y="{y + 5:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    room = math.inf
    for tick in sorted(ticks or (first, (first + last) / 2, last), reverse=True):
        x, width = at(tick, 10**low)[0], _CHARACTER * len(number(tick))
        right = x if tick == last else x + width / 2
        if right > room:  # over the number to its right: the line speaks without this one
            continue
        room = right - width - _CHARACTER
        anchor = "end" if tick == last else "middle"
        drawn.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="{anchor}">{number(tick)}</text>'
        )
    for name, place in (marks or {}).items():
        x = at(place, 10**low)[0]
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="var(--soft)"'
            f' stroke-dasharray="2 4"/><text x="{x:.1f}" y="{top - 8}"'
            f' text-anchor="middle">{attribute(name)}</text>'
        )
    drawn.append(
        f'<text x="{left}" y="{bottom + 38}" font-style="italic">{attribute(across)}</text>'
    )
    for place, (name, line) in enumerate(series):
        colour, dash = _SERIES[place % len(_SERIES)], _DASHES[place // len(_SERIES) % len(_DASHES)]
        stroke = f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}" fill="none"'
        y = bottom + 38 + _LEGEND * (place + 1)
        short = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 3]}..."
        more = "".join(
            f'<line x1="{at(x, low_end)[0]:.1f}" x2="{at(x, low_end)[0]:.1f}"'
            f' y1="{at(x, low_end)[1]:.1f}" y2="{at(x, high_end)[1]:.1f}" stroke="{colour}"'
            ' stroke-width="1.5"/>'
            for x, low_end, high_end in bars.get(name, ())
        )
        if beyond.get(name):
            dashed = f'stroke="{colour}" stroke-width="1.8" stroke-dasharray="3 4" fill="none"'
            more += f'<polyline points="{_path(at(*point) for point in beyond[name])}" {dashed}/>'
        drawn.append(
            f"<g><title>{attribute(name)}</title><polyline"
            f' points="{_path(at(*point) for point in line)}" {stroke}/>{more}'
            f'<line x1="{left}" x2="{left + 26}" y1="{y - 5}" y2="{y - 5}" {stroke}/>'
            f'<text x="{left + 34}" y="{y}">{attribute(short)}</text></g>'
        )
    height = bottom + 48 + _LEGEND * len(series)
    box = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{attribute(label)}"'
        f" {box}>{''.join(drawn)}</svg>"
    )


def _path(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten: 1, 2, 5 where they are few, else powers of ten; all
    digits, or the ends, where an axis is so short that it would have one number or none.
    """
    powers = range(math.floor(low), math.ceil(high) + 1)

    def between(steps: Iterable[int]) -> list[float]:
        ticks = [10.0**power * step for power in powers for step in steps]
        return [tick for tick in ticks if low <= math.log10(tick) <= high]

    shown = between((1, 2, 5))
    if len(shown) > 8:
        return between((1,))
    if len(shown) > 1:
        return shown
    digits = between(range(1, 10))
    return digits if len(digits) > 1 else [10.0**low, 10.0**high]
