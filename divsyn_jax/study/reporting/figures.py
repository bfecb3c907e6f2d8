"""The figures of a study's report, from the content of study.json."""

import contextlib
import dataclasses
import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from divsyn_jax.base.html import Html
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES
from divsyn_jax.study.reporting.label_places import interval_boxes, place_names
from divsyn_jax.study.study_file import (
    MeasuredValue,
    OutcomeRecord,
    Performance,
    RunRecord,
    StudyResults,
)

LABELS = {
    "effective_clusters": "effective clusters",
    "cluster_score": "cluster score C/S",
    "baselines.context_length": "context length (words)",
    "baselines.compression_ratio": "compression ratio",
    "baselines.ngram_diversity": "n-gram diversity",
    "baselines.self_repetition": "self-repetition",
}
_INK, _POINT, _NULL, _BAND = "#22313f", "#1f6fb4", "#c0571a", "#ccd3da"
_NAMED_IN_SMALL_PANELS = 8  # corpora; names of more would cover the points
_SOURCES = ("#8a97a3", _POINT, _NULL, "#5a9e4b", "#9a6bc0", "#b5902a", "#4b9aa3", "#c85a8e")


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Inside it, names in figures are text: `$` starts no formula, as it would in matplotlib."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):
        yield


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the prefix they share, cut at an underscore, for labels in figures; whole where
    only digits would stay.
    """
    if len(names) < 2:
        return list(names)
    first, last = min(names), max(names)
    common = next(
        (i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]),
        min(len(first), len(last)),
    )
    cut = first[:common].rfind("_") + 1
    short = [name[cut:] for name in names]
    return short if all(any(letter.isalpha() for letter in name) for name in short) else list(names)


def outcomes_figure(study: StudyResults):
    """The primary metric against every outcome, a panel each."""
    import matplotlib.pyplot as plt

    measured = study["outcomes"]
    # A row a stage and size, where the tests of one fit.
    columns = min(3, len({outcome["test"] for outcome in measured}))
    rows = -(-len(measured) // columns)
    width = {1: 7, 2: 5.4, 3: 4.3}[columns]
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, 4 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(measured) :]:
        axis.set_visible(False)
    named = []
    for axis, outcome in zip(axes.flat, measured, strict=False):
        named.append(_scatter(axis, study, study["primary_metric"], outcome))
        axis.set_title(outcome_label(outcome["name"]), fontsize=10)
    if columns == 1 or len(study["levels"]) <= _NAMED_IN_SMALL_PANELS:
        _place_names(figure, named)
    else:
        _hide_names(named)
    return figure


def metrics_figure(study: StudyResults):
    """The primary outcome against every metric."""
    import matplotlib.pyplot as plt

    metrics = list(study["levels"][0]["metrics"])
    columns = 3
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 3.3 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    named = [
        _scatter(axis, study, metric, study["outcomes"][0])
        for axis, metric in zip(axes.flat, metrics, strict=False)
    ]
    if len(study["levels"]) <= _NAMED_IN_SMALL_PANELS:
        _place_names(figure, named)
    else:
        _hide_names(named)
    return figure


def _first_stage(study: StudyResults) -> list[RunRecord]:
    return [run for run in study["runs"] if run["stage"] == study["runs"][0]["stage"]]


def sources_read(study: StudyResults) -> list[str]:
    """The sources of which a run of the first stage read tokens."""
    found = {
        key.removeprefix("share/")
        for run in _first_stage(study)
        for key in run["metrics"]
        if key.startswith("share/")
    }
    return sorted(found)


def mixtures_figure(study: StudyResults):
    """Realised shares of the sources in what each level's runs read, mean over seeds."""
    import matplotlib.pyplot as plt

    names = [level["name"] for level in study["levels"]]
    runs = _first_stage(study)
    sources = sources_read(study)
    figure, axis = plt.subplots(figsize=(9, 0.7 + 0.34 * len(names)), layout="constrained")
    left = [0.0] * len(names)
    for source, color in zip(sources, itertools.cycle(_SOURCES), strict=False):
        shares = []
        for name in names:
            of_level = [
                run["metrics"].get(f"share/{source}", 0.0) for run in runs if run["level"] == name
            ]
            shares.append(sum(of_level) / len(of_level))
        axis.barh(names, shares, left=left, color=color, label=source, height=0.6)
        left = [x + share for x, share in zip(left, shares, strict=True)]
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of training tokens")
    axis.xaxis.set_major_formatter("{x:.0%}")
    axis.legend(
        fontsize=8, frameon=False, ncols=len(sources), loc="lower left", bbox_to_anchor=(0, 1)
    )
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def outcome_label(name: str) -> str:
    """An outcome's name as people say it."""
    text = name.replace("tasks/mean", "mean task accuracy")
    head, _, key = text.rpartition("tasks/")
    if key in OUTCOME_MEASURES and "tasks/" in text:
        text = f"{head}{OUTCOME_MEASURES[key].name}"
    if text.endswith("/bits_per_byte"):
        head, _, domain = text.removesuffix("/bits_per_byte").rpartition("/")
        if domain == "seen":  # of a factorial study: see `heldout` in divsyn_jax/study/recipe.py
            domain = "text, nothing new"
        elif domain.startswith("unseen_"):
            domain = f"text, new {domain.removeprefix('unseen_')}"
        elif domain.startswith("unlike_"):
            domain = f"text, unlike in {domain.removeprefix('unlike_')}"
        text = f"{head}/held-out {domain}" if head else f"held-out {domain}"
    return (
        text.replace("sft/", "after fine-tuning: ").replace("/", ": ", 1) if "/" in text else text
    )


@dataclasses.dataclass(frozen=True)
class _Named:
    """The points of a panel: their names, and low end, value and high end on both axes."""

    axis: Any
    names: list[Any]
    x: list[Sequence[float]]
    y: list[Sequence[float]]


def _place_names(figure: Any, panels: Sequence[_Named]) -> None:
    figure.canvas.draw()  # which sets limits and sizes
    for panel in panels:
        ends = zip(panel.x, panel.y, strict=True)
        boxes = [interval_boxes(panel.axis, x, y) for x, y in ends]
        place_names(panel.axis, panel.names, boxes)


def _hide_names(panels: Sequence[_Named]) -> None:
    for panel in panels:
        for name in panel.names:
            name.set_visible(False)


def _ends(estimate: MeasuredValue | Performance) -> list[float]:
    value, bars = estimate["value"], _bars(estimate)
    assert value is not None
    return [value - bars[0][0], value, value + bars[1][0]] if bars else [value] * 3


def _scatter(axis, study: StudyResults, metric: str, outcome: OutcomeRecord) -> _Named:
    named = _Named(axis, [], [], [])
    names = short_names([level["name"] for level in study["levels"]])
    twins = study["recipe"]["null_control"][1:]
    for level, name in zip(study["levels"], names, strict=True):
        x, y = level["metrics"][metric], level["performance"][outcome["name"]]
        if x["value"] is None:
            continue
        color = _NULL if level["name"] in twins else _POINT
        axis.errorbar(
            x["value"],
            y["value"],
            xerr=_bars(x),
            yerr=_bars(y),
            fmt="o" if level["name"] not in twins else "s",
            color=color,
            markerfacecolor="white" if level["name"] in twins else color,
            capsize=3,
            linewidth=1,
            markersize=6,
        )
        text = axis.annotate(
            name,
            (x["value"], y["value"]),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
        )
        text.set_in_layout(False)
        named.names.append(text)
        named.x.append(_ends(x))
        named.y.append(_ends(y))
    floor = outcome["noise_floor"]
    if floor is not None:
        values = [level["performance"][outcome["name"]]["value"] for level in study["levels"]]
        middle, half = sum(values) / len(values), floor["least_difference"] / 2
        axis.axhspan(middle - half, middle + half, color=_BAND, zorder=0, linewidth=0)
    row = next(
        (
            r
            for r in study["correlations"]
            if r["metric"] == metric and r["performance"] == outcome["name"]
        ),
        None,
    )
    if row and row["estimate"] is not None:
        interval = (
            f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" if row.get("ci_low") is not None else ""
        )
        axis.text(
            0.02,
            0.03,
            f"r = {row['estimate']:.2f}{interval}, n = {row['n']}",
            transform=axis.transAxes,
            fontsize=8.5,
            color=_INK,
        )
    if row and row["scale"] == "log2":
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:g}")
        low, high = axis.get_xlim()
        if math.log2(high / low) < 2:  # powers of two would leave one tick or none
            import matplotlib.pyplot as plt

            axis.xaxis.set_major_locator(plt.MaxNLocator(4, steps=[1, 2, 5, 10]))
            axis.xaxis.set_minor_locator(plt.NullLocator())
    axis.set_xlabel(LABELS.get(metric, metric))
    axis.set_ylabel(
        f"{'accuracy' if outcome['test'] == 'tasks/mean' else 'measure'} (higher is better)"
        if outcome["higher_is_better"]
        else "bits per byte (lower is better)"
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(0.12)
    return named


def _bars(estimate: MeasuredValue | Performance):
    value, low, high = estimate["value"], estimate.get("ci_low"), estimate.get("ci_high")
    if value is None or low is None or high is None:
        return None
    return [[value - low], [high - value]]


def curves_figure(study: StudyResults):
    """Training loss by level, mean over seeds; a panel a model size, whose runs take steps of their
    own.
    """
    import matplotlib.pyplot as plt

    runs = _first_stage(study)
    sizes = list(dict.fromkeys(run["size"] for run in runs))
    figure, axes = plt.subplots(
        len(sizes), figsize=(9, 0.4 + 3.2 * len(sizes)), squeeze=False, layout="constrained"
    )
    names = [level["name"] for level in study["levels"]]
    colors = plt.get_cmap("viridis")([i / max(1, len(names) - 1) * 0.9 for i in range(len(names))])
    for axis, size in zip(axes.flat, sizes, strict=True):
        for name, label, color in zip(names, short_names(names), colors, strict=True):
            curves = [run["curve"] for run in runs if (run["level"], run["size"]) == (name, size)]
            length = min(map(len, curves))
            steps = [point[0] for point in curves[0][:length]]
            mean = [sum(curve[i][1] for curve in curves) / len(curves) for i in range(length)]
            axis.plot(steps, mean, label=label, color=color, linewidth=1.4)
        axis.set_title(size, fontsize=10)
        axis.set_ylabel("training loss (nats per token)")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(fontsize=8, frameon=False, ncols=2)
    axes[-1, 0].set_xlabel("optimizer step")
    return figure


def svg(figure) -> Html:
    """The figure as an SVG element; the same study gives the same bytes.

    Letters are drawn as paths, so that no text of a stranger stands in the markup."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "divsyn"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return Html(text[text.index("<svg") :])
