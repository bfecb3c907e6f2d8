"""The grades of metrics for readers: a Markdown table and a page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from divsyn_jax.base.html import Html, as_html, bullets, details, markup, number, page, table
from divsyn_jax.grading.grades import Grades, MetricGrades

_NONE = "-"


class _Column(NamedTuple):
    """A column of the table: its head, what it says, and the cell of a metric."""

    head: str
    meaning: str
    cell: Callable[[MetricGrades], str]


def _of(part: str, key: str = "value", digits: int = 2) -> Callable[[MetricGrades], str]:
    def cell(grades: MetricGrades) -> str:
        found: Mapping[str, Any] = grades[part]  # type: ignore[literal-required]
        value = found.get(key)
        return _NONE if value is None else number(float(value), digits)

    return cell


def _sees(grades: MetricGrades) -> str:
    found = grades["response"]
    return f"{found['sees']} {found['value']:.0%}" if found["value"] is not None else _NONE


_COLUMNS = (
    _Column(
        "order, mean",
        "Spearman's correlation with the known order of corpora, mean over ladders; 1 is right",
        _of("order"),
    ),
    _Column("order, worst", "the same on the worst ladder", _of("order", "worst")),
    _Column(
        "count error",
        "for metrics that claim to count: median of |ln(value / known number of kinds)|; 0.69 is"
        " a factor of two",
        _of("count"),
    ),
    _Column(
        "sees",
        "the factor (topics, styles, personas, wordings, formats, varied independently) that"
        " carries most of its variance, and that share: the discriminant share",
        _sees,
    ),
    _Column(
        "people",
        "Spearman's correlation with people's scores of sets of texts, mean over groups of tasks",
        _of("people"),
    ),
    _Column(
        "size",
        "shift by half or twice the sample, the larger, in steps: 1 is the difference between a"
        " narrow and a broad corpus",
        lambda grades: _larger(grades, ("half", "double")),
    ),
    _Column(
        "length",
        "shift by documents cut to half their words, in steps",
        _of("invariance", "shorter"),
    ),
    _Column("order of texts", "shift by shuffling, in steps", _of("invariance", "shuffled", 3)),
    _Column(
        "copies",
        "shift by copies of half the documents added, in steps; above 0 copies count as diversity",
        _of("invariance", "copies"),
    ),
    _Column(
        "cost",
        "CPU time as a multiple of gzip's, embeddings included where they are read",
        _of("cost", digits=1),
    ),
    _Column(
        "training",
        "Pearson's r with performance over the corpora of a study",
        _of("training"),
    ),
)


def _larger(grades: MetricGrades, keys: Sequence[str]) -> str:
    found: Mapping[str, Any] = grades["invariance"]
    values = [float(found[key]) for key in keys if key in found]
    return number(max(values), 2) if values else _NONE


def grades_table(grades: Grades) -> str:
    """All metrics in a Markdown table, what its columns mean, and the response matrix."""
    heads = ["metric", *(column.head for column in _COLUMNS)]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for found in grades["metrics"]:
        cells = [column.cell(found) for column in _COLUMNS]
        lines.append(_row([f"`{found['metric']}`", *cells]))
    lines += ["", *(f"- *{column.head}*: {column.meaning}." for column in _COLUMNS)]
    header, rows = _responses(grades)
    if rows:
        lines += ["", "Share of a metric's variance between factorial corpora, by factor:", ""]
        lines += [_row(header), _row(["---"] * len(header))]
        lines += [_row([f"`{name}`", *cells]) for name, *cells in rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    shown = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _responses(grades: Grades) -> tuple[list[str], list[list[str]]]:
    """The response matrix: its head, and a row a metric that has one."""
    header, rows = ["metric"], []
    for found in grades["metrics"]:
        shares = found["response"].get("shares")
        if shares is not None:
            header = ["metric", *shares]
            rows.append([found["metric"], *(f"{share:.0%}" for share in shares.values())])
    return header, rows


def render_grades(grades: Grades) -> str:
    """The whole page."""
    settings = grades["settings"]
    header, rows = _responses(grades)
    named = [[markup("<code>{}</code>", name), *cells] for name, *cells in rows]
    parts = [
        Html("<h1>Grades of diversity metrics</h1>"),
        markup(
            "<p>{} metrics; at most {} documents a corpus; embeddings of {}.</p>",
            len(grades["metrics"]),
            settings["documents"],
            grades["embedding_model"] or "no model",
        ),
        table(
            ["metric", *(column.head for column in _COLUMNS)],
            [
                [
                    markup("<code>{}</code>", found["metric"]),
                    *(column.cell(found) for column in _COLUMNS),
                ]
                for found in grades["metrics"]
            ],
        ),
        bullets(markup("<b>{}</b>: {}.", each.head, each.meaning) for each in _COLUMNS),
        Html("<h2>What each metric sees</h2>"),
        markup(
            "<p>Share of the variance of a metric between sixteen corpora of the built-in grammar"
            " whose kinds of diversity vary independently (a half fraction of resolution V).</p>"
        ),
        table(header, named) if rows else as_html("No metric has a value on all of them."),
        Html("<h2>By metric</h2>"),
        *(_of_metric(found) for found in grades["metrics"]),
    ]
    return page("Grades of diversity metrics", parts)


def _of_metric(found: MetricGrades) -> Html:
    kind = "an effective number" if found["effective_number"] else "an index"
    rows: list[list[str | Html]] = []
    for part in ("order", "count", "response", "people", "invariance", "cost", "training"):
        grade: Mapping[str, Any] = found[part]
        rows += [[part, key, _shown(value)] for key, value in grade.items()]
    return details(
        markup("<code>{}</code>", found["metric"]),
        markup(
            "<p>{}; {}; its values go {} with diversity.</p>",
            found["source"] or "no source named",
            kind,
            found["direction"],
        ),
        table(["part", "figure", ""], rows, words=True),
    )


def _shown(value: Any) -> str | Html:
    if isinstance(value, dict):
        return bullets(f"{key}: {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " of ".join(map(_shown, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NONE if value is None else str(value)
    return number(value)
