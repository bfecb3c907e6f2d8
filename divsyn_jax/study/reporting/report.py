"""The report of a study:

one self-contained HTML page without scripts, and its main figure, from the content of study.json.
"""

import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.study.reporting import figures as study_figures
from divsyn_jax.study.reporting import paper_results
from divsyn_jax.study.reporting.figures import LABELS

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2b36;--soft:#5b6b78;--line:#d5dde3;--paper:#fff;--card:#f5f8fa;--good:#1a7f4b;--bad:#b3361f;--unsure:#8a6d00}
@media(prefers-color-scheme:dark){:root{--ink:#e3eaf0;--soft:#9fb0bd;--line:#34424d;--paper:#12191f;--card:#1b242c;--good:#58c98b;--bad:#f08a72;--unsure:#e0c04d}
 figure svg{filter:invert(1) hue-rotate(180deg)}}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--card:#fff}figure svg{filter:none}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
p,li{max-width:46rem}.soft{color:var(--soft)}.note{background:var(--card);padding:.7rem 1rem;border-left:4px solid var(--unsure)}
ul.verdicts{list-style:none;padding:0}ul.verdicts li{background:var(--card);padding:.6rem 1rem;margin:.5rem 0;border-left:4px solid var(--unsure)}
li.good{border-color:var(--good)!important}li.bad{border-color:var(--bad)!important}ul.verdicts b{text-transform:uppercase;font-size:.8rem;letter-spacing:.04em}
figure{margin:1rem 0}figure svg{width:100%;height:auto}figcaption{color:var(--soft);font-size:.9rem}
.scroll{overflow-x:auto}details{margin:.6rem 0}summary{cursor:pointer}table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th:first-child,td:first-child,.words td,.words th{text-align:left}.words td{white-space:normal;min-width:5rem}
code{background:var(--card);padding:.1rem .3rem;border-radius:3px;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}figure,tr,li{break-inside:avoid}.scroll{overflow:visible}table{font-size:7.5pt}th,td{white-space:normal;padding:.2rem .3rem}}
@media(max-width:40rem){figure{overflow-x:auto}figure svg{min-width:34rem}body{padding:1rem .8rem 3rem}}
"""


def write_report(study: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Write `report.html`, `report.png` and `report.svg` into `folder`."""
    import matplotlib

    matplotlib.use("Agg")
    main = study_figures.outcomes_figure(study)
    main.savefig(
        folder / ".report.png", dpi=150, bbox_inches="tight", facecolor="white", format="png"
    )
    (folder / ".report.png").replace(folder / "report.png")
    figures = {
        "outcomes": study_figures.svg(main),
        "metrics": study_figures.svg(study_figures.metrics_figure(study)),
        "curves": study_figures.svg(study_figures.curves_figure(study)),
        "mixtures": study_figures.svg(study_figures.mixtures_figure(study)),
    }
    files.write_text(folder / "report.svg", figures["outcomes"])
    files.write_text(folder / "report.html", _page(study, figures))
    matplotlib.pyplot.close("all")


def _page(study: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    e = html.escape
    primary = LABELS[study["primary_metric"]]
    seeds = study["recipe"]["seeds"]
    levels, corpora = len(study["levels"]), len({level["fingerprint"] for level in study["levels"]})
    first = study_figures.outcome_label(study["primary_outcome"])
    tested = [v for v in study["verdicts"] if v["of"] == "study"]
    claims = [v for v in study["verdicts"] if v["of"] == "paper"]
    unequal = (
        f" Not held equal: {'; '.join(study['not_held_equal'])}." if study["not_held_equal"] else ""
    )
    testable = [
        v for v in claims if not v["because"].startswith(("the study has", "too few", "one seed"))
    ]
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Diversity study {e(study["name"])}</title><style>{_STYLE}</style></head><body>
<p class="soft">divsyn_jax diversity study</p><h1>{e(study["name"])}: corpus diversity against model performance</h1>
<p>{corpora} corpora{f" in {levels} levels" * (levels > corpora)}, {len(seeds)} training seed{"s" * (len(seeds) > 1)} each. Diversity is scored by the <b>{e(study["agent"]["kind"])}</b> agent
({e(str(study["agent"]["model"]))}); performance is measured on text{" and questions" * bool(study["recipe"]["tasks"])} that no model was trained on.</p>
{_kind_note(study)}
<h2>Verdicts</h2>{_verdict_list(tested)}{_limits(study)}
<h2>Diversity against performance</h2>
<figure>{figures["outcomes"]}<figcaption>A point is a corpus. Horizontal bars: 95% interval of the score, over draws and over the documents that the same process might have written. Vertical bars: 95% t interval over {len(seeds)} training
seeds. Hollow squares: the null twin, left out of the correlation.</figcaption></figure>
<h2>Every metric, on {e(first)}</h2>
<figure>{figures["metrics"]}<figcaption>The same performance against {primary} (log scale; the primary metric) and the others, whose p values are corrected
for their number (Holm) in the table below.</figcaption></figure>
<h2>Corpora</h2><div class="scroll">{_level_table(study)}</div>
<p class="soft">Held equal: {e("; ".join(study["held_equal"]))}.{e(unequal)}</p>
<h2>The noise floor</h2>{_noise_floor(study)}
<h2>Correlations</h2><div class="scroll">{_correlation_table(study)}</div>
<h2>What else could explain it</h2>{_explanations(study)}
<h2>The claims of Chen et al. 2024</h2>{_verdict_list(testable)}
<details><summary>{len(claims) - len(testable)} more claims need levels, sizes, stages or seeds that this study does not have</summary><div class="scroll words">
{_table(["claim", "why it is not tested here"], [[v["hypothesis"], v["because"]] for v in claims if v not in testable])}</div></details>
<details><summary>The published averages, for orientation</summary><p class="soft">Mean accuracy in percent over eight tasks, single runs, no error bars
published; the binomial standard error is about 0.65 points. Other corpora and models than these here.</p><div class="scroll">{_paper_table(study)}</div></details>
<h2>Learning curves</h2><figure>{figures["curves"]}<figcaption>Training loss by corpus, mean over seeds{", a panel a model size" * (len(study["recipe"]["sizes"]) > 1)}. A narrow corpus is easier to
fit; that is not better performance.</figcaption></figure>
<h2>Realised mixtures</h2><figure>{figures["mixtures"]}<figcaption>Shares of training tokens actually read, from metrics.jsonl.</figcaption></figure>
<h2>Held-out text</h2><div class="scroll">{_heldout_table(study)}</div>
<h2>Where the numbers come from</h2>{_provenance(study)}
<h2>How to get each number again</h2>{_reproduce(study)}
</body></html>
"""


def _verdict_list(verdicts: Sequence[Mapping[str, str]]) -> str:
    e = html.escape
    items = "".join(
        f'<li class="{_tone(v["verdict"])}"><b>{e(v["verdict"])}</b><br>{e(v["hypothesis"])}.<br><span'
        f' class="soft">{e(v["because"])}</span></li>'
        for v in verdicts
    )
    return (
        f'<ul class="verdicts">{items}</ul>'
        if items
        else '<p class="soft">None can be tested here.</p>'
    )


def _limits(study: Mapping[str, Any]) -> str:
    """What this number of corpora can show at all."""
    row = next(row for row in study["correlations"] if row["metric"] == study["primary_metric"])
    if row.get("critical") is None or row.get("detectable") is None:
        if "reason" in row:
            return f'<p class="note">No correlation is taken: {row["reason"]}.</p>'
        return (
            f'<p class="note">{row["n"]} corpora: too few for any test of a correlation; everything'
            " below is descriptive only.</p>"
        )
    return (
        f'<p class="note">The unit is the corpus: n = {row["n"]}. A correlation is significant here'
        f" from |r| = {row['critical']:.2f}, and only a true |r| of "
        f"{row['detectable']:.2f} or more would be found in 80% of such studies. &#8220;Cannot"
        " tell&#8221; is not &#8220;no effect&#8221;. "
        f"Rows marked <i>descriptive only</i> have fewer than three residual degrees of"
        f" freedom.</p>"
    )


def _tone(verdict: str) -> str:
    return (
        "good"
        if verdict == "supported"
        else "bad"
        if verdict.startswith("not supported")
        else "unsure"
    )


def _kind_note(study: Mapping[str, Any]) -> str:
    if study["kind"] != "positive_control":
        return ""
    return """<p class="note"><b>This is a positive control.</b> The corpora come from a built-in grammar whose breadth (topics, styles, personas) is a knob, and
part of the held-out text is written by the same grammar at full breadth, so a wider corpus covers more of the test: the outcome
is largely built in. It shows that scorer, trainer and report can see a difference that is there. Two further parts guard it: the null control
(two corpora of equal breadth, other seeds) must show no difference, and the held-out domain <i>pydoc</i> is text nobody generated.
It says nothing about your corpora: study those with <code>make study CORPORA='...' EVAL='name=path'</code>.</p>"""


def _level_table(study: Mapping[str, Any]) -> str:
    metrics, measured = (
        list(study["levels"][0]["metrics"]),
        [outcome["name"] for outcome in study["outcomes"]],
    )
    knobs = [key for key in ("topics", "styles", "personas") if key in study["levels"][0]]
    header = [
        "corpus",
        *knobs,
        *(LABELS.get(m, m) for m in metrics),
        *map(study_figures.outcome_label, measured),
    ]
    header += ["documents", "unique tokens", "epochs", "duplicates"]
    rows = [
        [
            level["name"],
            *(str(level.get(key, "")) for key in knobs),
            *(_estimate(level["metrics"][metric]) for metric in metrics),
            *(_estimate(level["performance"][name], 3) for name in measured),
            f"{level['documents']:,}",
            f"{level['unique_tokens']:,}",
            f"{level['epochs']:.2f}",
            f"{level['duplicates']:.1%}",
        ]
        for level in study["levels"]
    ]
    return _table(header, rows)


def _noise_floor(study: Mapping[str, Any]) -> str:
    """What runs of one corpus differ by, beside what the corpora do."""
    rows = []
    for outcome in study["outcomes"]:
        floor = outcome["noise_floor"]
        if floor is None:
            return (
                '<p class="soft">One seed: what training alone makes of one corpus twice is not'
                " known, and with it the smallest difference that means anything.</p>"
            )
        values = [level["performance"][outcome["name"]]["value"] for level in study["levels"]]
        spread = max(values) - min(values)
        rows.append(
            [
                study_figures.outcome_label(outcome["name"]),
                f"{floor['sd']:.4f} ({floor['degrees_of_freedom']})",
                f"{floor['least_difference']:.4f}",
                f"{spread:.4f}",
                f"{spread / floor['least_difference']:.1f}" if floor["least_difference"] else "",
            ]
        )
    header = [
        "performance",
        "sd of seeds (degrees of freedom)",
        "least difference told at 5%",
        "best minus worst corpus",
    ]
    note = """<p class="soft">Seeds of one corpus scatter by the first figure, pooled over corpora. Two corpora whose means differ by less than the second (Fisher's least
significant difference, for one comparison chosen beforehand) cannot be told apart by this study.</p>"""
    return f'<div class="scroll">{_table([*header, "ratio"], rows)}</div>{note}'


def _metric_label(row: Mapping[str, Any]) -> str:
    return LABELS.get(row["metric"], row["metric"]) + (" (log2)" if row["scale"] == "log2" else "")


def _correlation_table(study: Mapping[str, Any]) -> str:
    rows = []
    for row in study["correlations"]:
        label = [_metric_label(row), study_figures.outcome_label(row["performance"])]
        if row["estimate"] is None:
            rows.append([*label, row["reason"], "", "", "", "", str(row["n"]), ""])
            continue
        rank, primary = row["spearman"], row["metric"] == study["primary_metric"]
        role = "primary" if primary else "Holm-corrected"
        rows.append(
            [
                *label,
                _interval(row),
                _p(row["p"] if primary else row.get("p_holm")),
                f"{row['critical']:.2f}" if row["critical"] else "",
                f"{rank['estimate']:.2f} (p = {rank['p']:.3f}, {rank['method']})",
                _noise_free(row),
                str(row["n"]),
                "descriptive only" if row["descriptive"] else role,
            ]
        )
    header = ["metric", "performance", "Pearson r [95%]", "p", "|r| needed at 5%", "Spearman"]
    return _table([*header, "r without noise in the points [95%]", "corpora", "standing"], rows)


def _noise_free(row: Mapping[str, Any]) -> str:
    found = row.get("noise_free")
    if not found:
        return "no per-item results"
    return _interval(found) if found["estimate"] is not None else found["reason"]


def _explanations(study: Mapping[str, Any]) -> str:
    """The primary metric given one control at a time, without each corpus in turn, and with a bend."""
    rows = []
    for row in study["correlations"]:
        if row["metric"] != study["primary_metric"] or row["estimate"] is None:
            continue
        name = study_figures.outcome_label(row["performance"])
        for control, found in row["partial"].items():
            value = (
                _interval(found) if found["estimate"] is not None else f"refused: {found['reason']}"
            )
            rows.append(
                [
                    name,
                    f"r given {control.replace('_', ' ')}",
                    value,
                    _p(found["p"]),
                    _standing(found),
                ]
            )
        without = row["leave_one_out"]
        if without:
            text = (
                f"{without['low']:.2f} (without {without['low_without']}) to {without['high']:.2f}"
                f" (without {without['high_without']})"
            )
            rows.append([name, "r without each corpus in turn", text, "", "descriptive only"])
        bend = row["curvature"]
        value = (
            f"{bend['estimate']:+.3g} per squared sd"
            if bend["estimate"] is not None
            else f"refused: {bend['reason']}"
        )
        rows.append([name, "curvature (quadratic term)", value, _p(bend["p"]), _standing(bend)])
        free = row.get("noise_free") or {}
        if free.get("reliability_performance") is not None:
            text = (
                f"score {free['reliability_score']:.3f}, performance"
                f" {free['reliability_performance']:.3f}"
            )
            rows.append(
                [
                    name,
                    f"reliability of the points (over {', '.join(free['over'])})",
                    text,
                    "",
                    "descriptive only",
                ]
            )
    note = """<p class="soft">The primary metric. Given a control: the correlation left when it is held fixed, refused where too few corpora or
collinearity leave nothing to estimate. r without noise: what these very corpora would show if scores, seeds and documents held no noise.</p>"""
    return (
        '<div class="scroll'
        f' words">{_table(["performance", "question", "answer", "p", "standing"], rows)}</div>{note}'
    )


def _standing(found: Mapping[str, Any]) -> str:
    return "descriptive only" if found["descriptive"] else "tested"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"


def _interval(found: Mapping[str, Any]) -> str:
    interval = (
        f" [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"
        if found.get("ci_low") is not None
        else ""
    )
    return f"{found['estimate']:.2f}{interval}"


def _paper_table(study: Mapping[str, Any]) -> str:
    ours = {
        level["name"]: _estimate(level["performance"][study["primary_outcome"]], 3)
        for level in study["levels"]
    }
    rows = [
        [name, *("" if value is None else f"{value:.2f}" for value in values), ours.get(name, "")]
        for name, values in paper_results.AVERAGES.items()
    ]
    return _table(
        [
            "level",
            *paper_results.COLUMNS,
            f"here: {study_figures.outcome_label(study['primary_outcome'])}",
        ],
        rows,
    )


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
    return _table(
        ["domain", "documents used", "candidates", "dropped: in a training corpus", "fingerprint"],
        rows,
    )


def _provenance(study: Mapping[str, Any]) -> str:
    e, environment, settings = html.escape, study["environment"], study["score_settings"]
    hours = sum(run["seconds"] for run in study["runs"]) * environment["devices"] / 3600
    items = [
        (
            f"study <code>{study['fingerprint'][:16]}</code>, code"
            f" <code>{e(environment['commit'] or 'not a repository')}</code>; seeds"
            f" {', '.join(map(str, study['recipe']['seeds']))}"
        ),
        "corpora: "
        + ", ".join(
            f"{e(level['name'])} <code>{level['fingerprint'][:12]}</code>"
            for level in study["levels"]
        ),
        (
            f"score: {settings['draws']:,} draws of {settings['sample_size']} documents, at most"
            f" {settings['max_documents']:,} documents a corpus; agent settings"
            f" {e(str(study['agent']['settings']))}"
        ),
        f"training: <code>{e(str(study['recipe']['train']))}</code>",
        (
            f"{environment['devices']} x {e(environment['device_kind'])}, {environment['cores']}"
            f" cores, Python {environment['python']}, jax {environment['jax']}"
        ),
        f"cost: {hours:.2f} device-hours in training steps over {len(study['runs'])} runs",
    ]
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _reproduce(study: Mapping[str, Any]) -> str:
    items = [
        (
            "everything: the same <code>python -m divsyn_jax.study</code> command in an empty"
            " folder; seeds, corpora and settings are in <code>recipe.json</code> beside this file"
        ),
        (
            "a score: <code>scores/&lt;corpus&gt;/score.json</code>, from <code>score_corpus</code>"
            " with the settings above"
        ),
        (
            "a performance: the mean over seeds of <code>runs/&lt;run&gt;/eval.json</code> (per"
            " document: <code>eval/&lt;domain&gt;.jsonl</code>), from <code>python -m"
            " divsyn_jax.evaluate</code>"
        ),
        (
            "a learning curve and a realised mixture: <code>runs/&lt;run&gt;/metrics.jsonl</code>;"
            " the run's whole recipe: <code>config.json</code> beside it"
        ),
        (
            "correlations, intervals and verdicts: <code>study.json</code>, recomputed from the"
            " files above by <code>python -m divsyn_jax.study ... --part=report</code>; every"
            " resampling is seeded"
        ),
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
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
