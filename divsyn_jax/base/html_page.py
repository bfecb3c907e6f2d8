"""The parts reports are made of: one self-contained, inert HTML page.

Every text is escaped; there is no script.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2125; --soft: #5c666f; --line: #d8dde2; --page: #fff; --mark: #0b6e4f; --tint: #eef6f2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #9aa5af; --line: #3a424a; --page: #15181b; --mark: #5fd0a5; --tint: #1d2824; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2em auto; max-width: 72em; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; } h3 { font-size: 1.05em; margin-bottom: .3em; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .3em .7em; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.soft { color: var(--soft); font-size: 88%; } .verdict { background: var(--tint); border-left: 4px solid var(--mark); padding: .6em 1em; }
svg { max-width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.yes { color: var(--mark); } .no { color: #c0392b; }
details { margin: .4em 0; } summary { cursor: pointer; }
@media print { body { max-width: none; margin: 0; } .scroll { overflow: visible; } details { break-inside: avoid; } }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page from parts that are already HTML; empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,'
        f' initial-scale=1"><title>{text(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def text(value: Any) -> str:
    """Any value as escaped text; mappings as `key value` pairs."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    return html.escape("none" if value is None else str(value), quote=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: bool = False) -> str:
    """A table of cells that are already HTML; `words` aligns everything left."""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    kind = ' class="words"' if words else ""
    return f'<div class="scroll"><table{kind}>' + "\n".join(lines) + "</table></div>"


def number(value: float | None) -> str:
    """A number for a table: four significant digits, no exponent for readable sizes."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval(measured: Mapping[str, Any]) -> str:
    """`value [ci_low, ci_high]`, or the reason why there is no value."""
    if measured["value"] is None:
        return f'<span class="soft">{text(measured.get("reason", "none"))}</span>'
    if not isinstance(measured["value"], int | float):
        return text(measured["value"])
    if measured.get("ci_low") is None:
        return number(measured["value"])
    bounds = f"[{number(measured['ci_low'])}, {number(measured['ci_high'])}]"
    return f'{number(measured["value"])} <span class="soft">{bounds}</span>'


def interval_plot(rows: Sequence[tuple[str, Mapping[str, Any]]], label: str) -> str:
    """Points with intervals on one axis from zero, a row each; nothing where a value is missing."""
    if any(values["value"] is None for _, values in rows):
        return ""
    left, width, row = 260, 620, 26
    top = max(values["ci_high"] for _, values in rows) or 1.0
    lines = []
    for place, (name, values) in enumerate(rows):
        y = place * row + row / 2
        low, middle, high = (
            left + width * values[key] / top for key in ("ci_low", "value", "ci_high")
        )
        lines.append(
            f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{text(name)}</text><line'
            f' x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="var(--mark)"'
            f' stroke-width="3"/><circle cx="{middle:.1f}" cy="{y}" r="4.5"'
            f' fill="var(--mark)"/><text x="{high + 8:.1f}"'
            f' y="{y + 4}">{number(values["value"])}</text>'
        )
    height = row * len(rows)
    axis = f'<line x1="{left}" x2="{left}" y1="0" y2="{height}" stroke="var(--line)"/>'
    box = (
        f'viewBox="0 0 {left + width + 90} {height}" width="{left + width + 90}" height="{height}"'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{text(label)}"'
        f" {box}>{axis}{''.join(lines)}</svg>"
    )
