"""The report of a study: one self-contained HTML page, and its main figure as a PNG, from the content of study.json."""

import html
import io
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import files

LABELS = {
    "effective_clusters": "effective clusters",
    "cluster_score": "cluster score C/S",
    "baselines.context_length": "context length (words)",
    "baselines.compression_ratio": "compression ratio",
    "baselines.ngram_diversity": "n-gram diversity",
    "baselines.self_repetition": "self-repetition",
}
_INK, _POINT, _NULL = "#22313f", "#1f6fb4", "#c0571a"

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2b36;--soft:#5b6b78;--line:#d5dde3;--paper:#fff;--card:#f5f8fa;--good:#1a7f4b;--bad:#b3361f;--unsure:#8a6d00}
@media(prefers-color-scheme:dark){:root{--ink:#e3eaf0;--soft:#9fb0bd;--line:#34424d;--paper:#12191f;--card:#1b242c;--good:#58c98b;--bad:#f08a72;--unsure:#e0c04d}
 figure svg{filter:invert(1) hue-rotate(180deg)}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
p,li{max-width:46rem}.soft{color:var(--soft)}.note{background:var(--card);padding:.7rem 1rem;border-left:4px solid var(--unsure)}
ul.verdicts{list-style:none;padding:0}ul.verdicts li{background:var(--card);padding:.6rem 1rem;margin:.5rem 0;border-left:4px solid var(--unsure)}
li.good{border-color:var(--good)!important}li.bad{border-color:var(--bad)!important}ul.verdicts b{text-transform:uppercase;font-size:.8rem;letter-spacing:.04em}
figure{margin:1rem 0}figure svg{width:100%;height:auto}figcaption{color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
code{background:var(--card);padding:.1rem .3rem;border-radius:3px;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}figure,table{break-inside:avoid}}
"""


def write_report(study: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Write `report.html` and `report.png` into `folder`."""
    import matplotlib

    matplotlib.use("Agg")
    figures = {
        "domains": _scatter_by_domain(study),
        "metrics": _scatter_by_metric(study),
        "curves": _learning_curves(study),
    }
    figures["domains"].savefig(folder / ".report.png", dpi=150, bbox_inches="tight", facecolor="white", format="png")
    (folder / ".report.png").replace(folder / "report.png")
    files.write_text(folder / "report.html", _page(study, {name: _svg(figure) for name, figure in figures.items()}))
    matplotlib.pyplot.close("all")


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the prefix they share, cut at an underscore, for labels in figures; whole where only digits would stay."""
    if len(names) < 2:
        return list(names)
    first, last = min(names), max(names)
    common = next(
        (i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), min(len(first), len(last))
    )
    cut = first[:common].rfind("_") + 1
    short = [name[cut:] for name in names]
    return short if all(any(letter.isalpha() for letter in name) for name in short) else list(names)


# -------------------------------------------------------------------------------------------------- figures


def _scatter_by_domain(study: Mapping[str, Any]):
    import matplotlib.pyplot as plt

    domains = list(study["heldout"])
    figure, axes = plt.subplots(1, len(domains), figsize=(5.4 * len(domains), 4.2), squeeze=False, layout="constrained")
    for axis, domain in zip(axes[0], domains, strict=True):
        _scatter(axis, study, study["primary_metric"], domain)
        axis.set_title(f"held-out {domain}")
    return figure


def _scatter_by_metric(study: Mapping[str, Any]):
    import matplotlib.pyplot as plt

    metrics = list(study["levels"][0]["metrics"])
    columns = 3
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 3.3 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    for axis, metric in zip(axes.flat, metrics, strict=False):
        _scatter(axis, study, metric, study["primary_domain"])
    return figure


def _scatter(axis, study: Mapping[str, Any], metric: str, domain: str) -> None:
    names = short_names([level["name"] for level in study["levels"]])
    twins = study["recipe"]["null_control"][1:]
    for level, name in zip(study["levels"], names, strict=True):
        x, y = level["metrics"][metric], level["performance"][domain]
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
        axis.annotate(
            name,
            (x["value"], y["value"]),
            xytext=(7, -13 if level["name"] in twins else 6),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
        )
    row = next(
        (r for r in study["correlations"] if r["metric"] == metric and r["performance"].startswith(f"{domain}/")), None
    )
    if row and row["estimate"] is not None:
        interval = f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" if row.get("ci_low") is not None else ""
        axis.text(
            0.02,
            0.03,
            f"r = {row['estimate']:.2f}{interval}, n = {row['n']}",
            transform=axis.transAxes,
            fontsize=8.5,
            color=_INK,
        )
        if row["scale"] == "log2":
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel(LABELS.get(metric, metric))
    axis.set_ylabel("bits per byte (lower is better)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(0.12)


def _bars(estimate: Mapping[str, Any]):
    if estimate.get("ci_low") is None:
        return None
    return [[estimate["value"] - estimate["ci_low"]], [estimate["ci_high"] - estimate["value"]]]


def _learning_curves(study: Mapping[str, Any]):
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    names = [level["name"] for level in study["levels"]]
    colors = plt.get_cmap("viridis")([i / max(1, len(names) - 1) * 0.9 for i in range(len(names))])
    for name, label, color in zip(names, short_names(names), colors, strict=True):
        curves = [run["curve"] for run in study["runs"] if run["level"] == name]
        length = min(map(len, curves))
        steps = [point[0] for point in curves[0][:length]]
        mean = [sum(curve[i][1] for curve in curves) / len(curves) for i in range(length)]
        axis.plot(steps, mean, label=label, color=color, linewidth=1.4)
    axis.set_xlabel("optimizer step")
    axis.set_ylabel("training loss (nats per token)")
    axis.legend(fontsize=8, frameon=False, ncols=2)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _svg(figure) -> str:
    import matplotlib

    buffer = io.StringIO()
    # Fixed salt and no date: the same study gives the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "divsyn"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :]


# ----------------------------------------------------------------------------------------------------- page


def _page(study: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    e = html.escape
    primary = LABELS[study["primary_metric"]]
    seeds = study["recipe"]["seeds"]
    verdicts = "".join(
        f'<li class="{_tone(v["verdict"])}"><b>{e(v["verdict"])}</b><br>{e(v["hypothesis"])}.<br><span class="soft">{e(v["because"])}</span></li>'
        for v in study["verdicts"]
    )
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Diversity study {e(study["name"])}</title><style>{_STYLE}</style></head><body>
<p class="soft">divsyn_jax diversity study</p><h1>{e(study["name"])}: corpus diversity against model performance</h1>
<p>{len(study["levels"])} corpora, {len(seeds)} training seeds each. Diversity is scored by the <b>{e(study["agent"]["kind"])}</b> agent
({e(str(study["agent"]["model"]))}); performance is bits per byte on text that no model was trained on.</p>
{_kind_note(study)}
<h2>Verdicts</h2><ul class="verdicts">{verdicts}</ul>
<h2>Diversity against performance</h2>
<figure>{figures["domains"]}<figcaption>A point is a corpus. Horizontal bars: 95% interval of the score, over draws and over the documents that the same process might have written. Vertical bars: 95% t interval over {len(seeds)} training
seeds. Hollow squares: the null twin, left out of the correlation.</figcaption></figure>
<h2>Every metric, on held-out {e(study["primary_domain"])}</h2>
<figure>{figures["metrics"]}<figcaption>The same performance against {primary} (log scale) and the other metrics. With {len(study["levels"])} corpora these
correlations are descriptive; they are not corrected for looking at several metrics.</figcaption></figure>
<h2>Corpora</h2><div class="scroll">{_level_table(study)}</div>
<h2>Correlations</h2><div class="scroll">{_correlation_table(study)}</div>
<p class="soft">Held equal: {e("; ".join(study["held_equal"]))}.</p>
<h2>Learning curves</h2><figure>{figures["curves"]}<figcaption>Training loss by corpus, mean over seeds. A narrow corpus is easier to
fit; that is not better performance.</figcaption></figure>
<h2>Held-out text</h2><div class="scroll">{_heldout_table(study)}</div>
<h2>Where the numbers come from</h2>{_provenance(study)}
</body></html>
"""


def _tone(verdict: str) -> str:
    return "good" if verdict == "supported" else "bad" if verdict.startswith("not supported") else "unsure"


def _kind_note(study: Mapping[str, Any]) -> str:
    if study["kind"] != "positive_control":
        return ""
    return """<p class="note"><b>This is a positive control.</b> The corpora come from a built-in grammar whose breadth (topics, styles, personas) is a knob, and
part of the held-out text is written by the same grammar at full breadth, so a wider corpus covers more of the test: the outcome
is largely built in. It shows that scorer, trainer and report can see a difference that is there. Two further parts guard it: the null control
(two corpora of equal breadth, other seeds) must show no difference, and the held-out domain <i>pydoc</i> is text nobody generated.
It says nothing about your corpora: study those with <code>make study CORPORA='...' EVAL='name=path'</code>.</p>"""


def _level_table(study: Mapping[str, Any]) -> str:
    metrics, domains = list(study["levels"][0]["metrics"]), list(study["heldout"])
    knobs = [key for key in ("topics", "styles", "personas") if key in study["levels"][0]]
    header = [
        "corpus",
        *knobs,
        *(LABELS.get(m, m) for m in metrics),
        *(f"bits/byte {d}" for d in domains),
        "documents",
        "unique tokens",
        "epochs",
        "duplicates",
    ]
    rows = [
        [
            level["name"],
            *(str(level.get(key, "")) for key in knobs),
            *(_estimate(level["metrics"][metric]) for metric in metrics),
            *(_estimate(level["performance"][domain], 3) for domain in domains),
            f"{level['documents']:,}",
            f"{level['unique_tokens']:,}",
            f"{level['epochs']:.2f}",
            f"{level['duplicates']:.1%}",
        ]
        for level in study["levels"]
    ]
    return _table(header, rows)


def _correlation_table(study: Mapping[str, Any]) -> str:
    rows = []
    for row in study["correlations"]:
        label = LABELS.get(row["metric"], row["metric"]) + (" (log2)" if row["scale"] == "log2" else "")
        if row["estimate"] is None:
            rows.append([label, row["performance"], row["reason"], "", "", str(row["n"])])
            continue
        interval = f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" if row.get("ci_low") is not None else ""
        rank = row["spearman"]
        rows.append(
            [
                label,
                row["performance"],
                f"{row['estimate']:.2f}{interval}",
                f"{row['critical']:.2f}",
                f"{rank['estimate']:.2f} (p = {rank['p']:.3f}, {rank['method']})",
                str(row["n"]),
            ]
        )
    return _table(["metric", "performance", "Pearson r [95%]", "|r| needed at 5%", "Spearman", "corpora"], rows)


def _heldout_table(study: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{domain['documents']:,}",
            f"{domain['candidates']:,}",
            f"{domain['in_training']:,}",
            domain["fingerprint"][:16],
        ]
        for name, domain in study["heldout"].items()
    ]
    return _table(["domain", "documents used", "candidates", "dropped: in a training corpus", "fingerprint"], rows)


def _provenance(study: Mapping[str, Any]) -> str:
    e, environment, settings = html.escape, study["environment"], study["score_settings"]
    items = [
        f"study <code>{study['fingerprint'][:16]}</code>; seeds {', '.join(map(str, study['recipe']['seeds']))}",
        f"score: {settings['draws']:,} draws of {settings['sample_size']} documents, at most {settings['max_documents']:,} documents a corpus; agent settings {e(str(study['agent']['settings']))}",
        f"training: <code>{e(str(study['recipe']['train']))}</code>",
        f"{environment['devices']} x {e(environment['device_kind'])}, {environment['cores']} cores, Python {environment['python']}, jax {environment['jax']}",
        "each point: <code>scores/&lt;corpus&gt;/score.json</code> and <code>runs/&lt;corpus&gt;/seed&lt;k&gt;/eval.json</code> beside this file; all together in <code>study.json</code>",
    ]
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _estimate(estimate: Mapping[str, Any], digits: int | None = None) -> str:
    def show(value: float) -> str:
        return f"{value:.{digits}f}" if digits is not None else f"{value:.4g}"

    if estimate["value"] is None:
        return estimate.get("reason", "not run")
    if estimate.get("ci_low") is None:
        return show(estimate["value"])
    return f"{show(estimate['value'])} [{show(estimate['ci_low'])}, {show(estimate['ci_high'])}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
