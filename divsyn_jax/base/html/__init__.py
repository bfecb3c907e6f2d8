"""The one kit for reports: inert, self-contained HTML pages.

`Html` is text that is markup. Every other text is escaped and isolated wherever it is put, so
that what a stranger wrote (a document, a file name, a judge's words) can neither become markup nor
change the order in which its neighbours are read."""

from divsyn_jax.base.html.markup import (
    Html,
    Part,
    as_html,
    attribute,
    bullets,
    details,
    figure,
    interval,
    join,
    markup,
    page,
    table,
)
from divsyn_jax.base.html.numbers import number, p_equals, p_value, percent
from divsyn_jax.base.html.plots import interval_plot, line_chart
from divsyn_jax.base.html.scatter import GROUP_COLOURS, ScatterPoint, scatter_plot

__all__ = [
    "GROUP_COLOURS",
    "Html",
    "Part",
    "ScatterPoint",
    "as_html",
    "attribute",
    "bullets",
    "details",
    "figure",
    "interval",
    "interval_plot",
    "join",
    "line_chart",
    "markup",
    "number",
    "p_equals",
    "p_value",
    "page",
    "percent",
    "scatter_plot",
    "table",
]
