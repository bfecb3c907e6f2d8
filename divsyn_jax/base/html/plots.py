"""Plots drawn without a library."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.html.markup import Html, attribute
from divsyn_jax.base.html.numbers import number

_WIDTH, _ROW, _RIGHT = 460, 42, 70
_NAME_CHARACTERS = 56  # that fit the width; the whole name is in the element's title


def interval_plot(rows: Sequence[tuple[str, Mapping[str, Any]]], label: str) -> Html:
    """Points with intervals on one axis from zero, a row each with its name above it.

    Drawn narrow, so that a phone shows it at a size that can be read. Nothing where a value is
    missing; a value without an interval is a point."""
    if any(values["value"] is None for _, values in rows):
        return Html("")
    ends = [values.get("ci_high") for _, values in rows] + [values["value"] for _, values in rows]
    top = _round_up(max((end for end in ends if end is not None), default=1.0) or 1.0)
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
            f'<text x="{high + 10:.1f}" y="{y + 5}">{number(values["value"])}</text></g>'
        )
    bottom = _ROW * len(rows) + 6
    ticks = "".join(
        f'<line x1="{left + scale * tick:.1f}" x2="{left + scale * tick:.1f}" y1="0"'
        f' y2="{bottom}" stroke="var(--line)"/><text x="{left + scale * tick:.1f}"'
        f' y="{bottom + 16}" text-anchor="{"start" if tick == 0 else "middle"}">'
        f"{number(float(tick))}</text>"
        for tick in (0.0, top / 2, top)
    )
    box = f'viewBox="0 0 {_WIDTH} {bottom + 24}" width="{_WIDTH}" height="{bottom + 24}"'
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{attribute(label)}"'
        f" {box}>{ticks}{''.join(lines)}</svg>"
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value * (1 - 1e-9))
