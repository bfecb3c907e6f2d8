"""report.html: one self-contained, inert page. Every text from a corpus is escaped; there is no script."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.comparison import METRICS, measurement
from divsyn_jax.diversity.sampling import Sample

_DRAWS_SHOWN = 3
_CHARACTERS_SHOWN = 300
_PLOTTED = ("effective_clusters", "cluster_score", "near_duplicate_clusters")
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; } .ci, .note { color: #666; font-size: 85%; }
.draw td { text-align: left; vertical-align: top; } svg text { font: 12px system-ui, sans-serif; }
"""


def render(
    scores: Sequence[dict[str, Any]],
    comparison: dict[str, Any],
    samples: Sequence[Sample],
    draws: Sequence[Sequence[Mapping[str, Any]]],
) -> str:
    """The page for scored corpora: table, intervals, differences, conditions and a few draws of each.

    Args:
      scores: contents of score.json.
      comparison: content of comparison.json.
      samples: the corpora's samples, for the documents' texts.
      draws: records of draws.jsonl of each corpus.
    """
    agent = scores[0]["agent"]
    proxy = " The embedding agent is a proxy for judgement by a reader." if agent["kind"] == "embedding" else ""
    parts = [
        "<h1>Diversity of corpora</h1>",
        f"<p>Agent {_text(agent['kind'])}, model {_text(agent['model'])}, settings {_text(agent['settings'])}; "
        f"{_text(scores[0]['settings'])}.{proxy}</p>",
        _metric_table(scores),
        *[_interval_plot(scores, metric) for metric in _PLOTTED],
        _curve_table(scores),
        _difference_table(comparison),
        _baseline_table(),
        "<h2>Corpora</h2>",
        *[_corpus(score, sample, records) for score, sample, records in zip(scores, samples, draws, strict=True)],
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Diversity of corpora</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def number(value: float | None) -> str:
    """A number for a table: four significant digits, no exponent for readable sizes."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    return html.escape("none" if value is None else str(value), quote=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are already HTML."""
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _interval(measured: Mapping[str, Any]) -> str:
    if measured["value"] is None:
        return f'<span class="ci">{_text(measured.get("reason", "none"))}</span>'
    if "ci_low" not in measured:
        return number(measured["value"])
    bounds = f"[{number(measured['ci_low'])}, {number(measured['ci_high'])}]"
    return f'{number(measured["value"])} <span class="ci">{bounds}</span>'


def _metric_table(scores: Sequence[dict[str, Any]]) -> str:
    head = ["metric", *[_text(score["corpus"]["name"]) for score in scores]]
    rows = [
        [
            f'{metric}<br><span class="note">{meaning}</span>',
            *[_interval(measurement(score, metric)) for score in scores],
        ]
        for metric, meaning in METRICS.items()
    ]
    return f"<h2>Metrics, with 95% intervals over draws</h2>{_table(head, rows)}"


def _baseline_table() -> str:
    rows = [[name, _text(row.source), _text(row.depends_on)] for name, row in baselines.METRICS.items()]
    return f"<h2>Baselines: who defined them</h2>{_table(['baseline', 'source', 'also moves with'], rows)}"


def _interval_plot(scores: Sequence[dict[str, Any]], metric: str) -> str:
    measured = [(score["corpus"]["name"], measurement(score, metric)) for score in scores]
    if any(values["value"] is None for _, values in measured):
        return ""
    left, width, row = 260, 640, 24
    top = max(values["ci_high"] for _, values in measured) or 1.0
    lines = []
    for place, (name, values) in enumerate(measured):
        y = place * row + row / 2
        low, middle, high = (left + width * values[key] / top for key in ("ci_low", "value", "ci_high"))
        lines.append(
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{_text(name)}</text>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#2a6" stroke-width="3"/>'
            f'<circle cx="{middle:.1f}" cy="{y}" r="4" fill="#164"/>'
            f'<text x="{min(high, left + width) + 8:.1f}" y="{y + 4}">{number(values["value"])}</text>'
        )
    height = row * len(measured)
    axis = f'<line x1="{left}" x2="{left}" y1="0" y2="{height}" stroke="#999"/>'
    box = f'viewBox="0 0 {left + width + 80} {height}" width="{left + width + 80}" height="{height}"'
    return f'<h3>{metric}</h3><svg xmlns="http://www.w3.org/2000/svg" role="img" {box}>{axis}{"".join(lines)}</svg>'


def _curve_table(scores: Sequence[dict[str, Any]]) -> str:
    if not scores[0]["curve"]:
        return ""
    rows = [
        [f"{points[0]['threshold']:g}", *[_interval(point["effective_clusters"]) for point in points]]
        for points in zip(*[score["curve"] for score in scores], strict=True)
    ]
    head = ["threshold", *[_text(score["corpus"]["name"]) for score in scores]]
    note = "<p>The threshold sets the granularity; it is chosen by calibration, never per corpus.</p>"
    return f"<h2>Effective clusters at every threshold</h2>{note}{_table(head, rows)}"


def _difference_table(comparison: dict[str, Any]) -> str:
    if not comparison["differences"]:
        return ""
    rows = [
        [
            _text(row["statistic"]),
            _text(row["first"]),
            _text(row["second"]),
            _interval({**row, "value": row["difference"]}),
            number(row["p_value"]),
            number(row["p_value_holm"]),
        ]
        for row in comparison["differences"]
    ]
    head = ["statistic", "first", "second", "second - first", "p", "p (Holm)"]
    return (
        f"<h2>Differences between neighbours</h2><p>{_text(comparison['differences_method'])}.</p>{_table(head, rows)}"
    )


def _corpus(score: dict[str, Any], sample: Sample, records: Sequence[Mapping[str, Any]]) -> str:
    corpus = score["corpus"]
    facts = {key: corpus[key] for key in ("path", "documents", "tokens", "malformed", "empty", "fingerprint")}
    position = {int(index): place for place, index in enumerate(sample.index_N)}
    drawn = "".join(_draw(record, sample, position) for record in records[:_DRAWS_SHOWN])
    return f"<h3>{_text(corpus['name'])}</h3><p>{_text(facts)}; scored: {_text(score['population'])}.</p>{drawn}"


def _draw(record: Mapping[str, Any], sample: Sample, position: Mapping[int, int]) -> str:
    rows = []
    for cluster, document in sorted(zip(record["clusters"], record["documents"], strict=True)):
        place = position[document]
        text = sample.texts[place]
        shown = text[:_CHARACTERS_SHOWN] + ("..." if len(text) > _CHARACTERS_SHOWN else "")
        rows.append([str(cluster + 1), _text(sample.wheres[place]), _text(shown)])
    summary = f"Draw {record['draw'] + 1}: {max(record['clusters']) + 1} clusters of {len(rows)} documents"
    table = _table(["cluster", "place", "document"], rows)
    return f'<details><summary>{summary}</summary><div class="draw">{table}</div></details>'
