"""report.html of a calibration:

one self-contained, inert page that says whether a judge may be trusted, and on what.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.html import (
    Html,
    Part,
    as_html,
    attribute,
    interval,
    join,
    markup,
    number,
    page,
    table,
)
from divsyn_jax.diversity.calibration.verdicts import NUMBER_WITHIN

_COLOURS = ("#1b6ca8", "#c1502e", "#4b8b3b", "#7a4b9d", "#a88a1b", "#3b7f86")


def render_calibration(result: Mapping[str, Any]) -> str:
    """The page for the content of calibration.json."""
    agent, settings = result["agent"], result["settings"]
    return page(
        "Calibration of a judge",
        [
            Html("<h1>How far can you trust this judge?</h1>"),
            markup(
                "<p>Judge: {} agent, model {}. Draws: {} of {} documents from each corpus, seed {}."
                ' <span class="soft">Settings of the agent: {}.</span></p>',
                agent["kind"],
                agent["model"] or "none",
                settings["draws"],
                settings["sample_size"],
                str(settings["seed"]),
                as_html(agent["settings"]),
            ),
            *[
                markup("<p><strong>Warning.</strong> {}.</p>", each)
                for each in result.get("warnings", [])
            ],
            *[_summary(ladder) for ladder in result["ladders"]],
            Html(
                '<p class="soft">This holds for texts like these, this judge and these settings:'
                " labels set the granularity that is asked for, and a judge that fails on one"
                " granularity may serve at another.</p>"
            ),
            _plot(result["ladders"]),
            *[_ladder(ladder) for ladder in result["ladders"]],
        ],
    )


def _summary(ladder: Mapping[str, Any]) -> Html:
    def claims(trusted: bool | None) -> Html:  # our own words, which need no isolation
        found = "; ".join(
            verdict["claim"] for verdict in ladder["verdicts"] if verdict["trusted"] is trusted
        )
        return attribute(found)

    sentences = []
    if claims(True):
        sentences.append(markup('<span class="yes">It may be trusted to: {}.</span>', claims(True)))
    if claims(False):
        sentences.append(
            markup('<span class="no">It may not be trusted to: {}.</span>', claims(False))
        )
    if claims(None):
        sentences.append(markup("Not tested: {}.", claims(None)))
    return markup(
        '<p class="verdict"><b>On {}</b><br>{}</p>', _named(ladder), join(sentences, "<br>")
    )


def _named(ladder: Mapping[str, Any]) -> Html:
    facts = [f"{len(ladder['rungs'])} of them"] if _unnamed(ladder) else []
    facts = facts or [f"{len(ladder['rungs'])} corpora"]
    if ladder["unit"]:
        facts.append(f"rising in number of: {ladder['unit']}")
    if ladder["label_field"]:
        facts.append(f"true clusters in field {ladder['label_field']}")
    return markup('{} <span class="soft">({})</span>', _name(ladder), join(facts, "; "))


def _unnamed(ladder: Mapping[str, Any]) -> bool:
    """Whether corpora were given without a name for their ladder."""
    return bool(ladder["name"] == "corpora")


def _name(ladder: Mapping[str, Any]) -> str:
    return "the corpora given" if _unnamed(ladder) else str(ladder["name"])


def _ladder(ladder: Mapping[str, Any]) -> Html:
    answer: dict[bool | None, Part] = {
        True: Html('<b class="yes">yes</b>'),
        False: Html('<b class="no">no</b>'),
        None: "not tested",
    }
    verdicts = [
        [verdict["claim"], answer[verdict["trusted"]], verdict["because"]]
        for verdict in ladder["verdicts"]
    ]
    rungs: list[list[Part]] = [
        [
            rung["name"],
            f"{rung['documents']:,}",
            number(rung["known"]["effective_clusters"]) if rung["known"] else "-",
            interval(_over_documents(rung["effective_clusters"])),
            interval(_over_documents(_counted(rung))),
            f"{rung['effective_clusters_error']:+z.0%}" if rung["known"] else "-",
            number(rung["known"]["cluster_score"]) if rung["known"] else "-",
            interval(rung["cluster_score"]),
            interval(rung["ari"]) if rung["known"] else "-",
            _two_digits(rung["position_bias"]["z"]),
        ]
        for rung in ladder["rungs"]
    ]
    head = [
        "corpus",
        "documents",
        "known clusters",
        "effective clusters",
        "kinds counted",
        "error",
        "known C/S",
        "C/S",
        "ARI",
        "bias z",
    ]
    over = f", over {len(ladder['rungs'])} corpora (without an interval)"
    figures: list[list[Part]] = [
        [f"rank correlation of effective clusters{over}", interval(_estimate(ladder["spearman"]))],
        [f"rank correlation of C/S{over}", interval(_estimate(ladder["spearman_cluster_score"]))],
        ["adjusted Rand index against labels", interval(ladder["ari"])],
        ["slope of C on the true C", interval(ladder["slope"])],
        *_repeated("asked again", ladder["test_retest"]),
        *_repeated("order", ladder["order_sensitivity"]),
    ]
    return markup(
        "<h2>On {}</h2>{}<h3>Corpora</h3>{}<h3>Over all corpora</h3>{}",
        _name(ladder),
        table(["can it ...", "", "because"], verdicts, words=True),
        table(head, rungs, stacked=True),
        table(["figure", "value, 95% interval"], figures),
    )


def _repeated(what: str, found: Mapping[str, Any]) -> list[list[Part]]:
    asked = f"{found['draws']} draws in {found['times']} orders"
    correlation = {"value": found["correlation"], "reason": found.get("reason")}
    return [
        [f"{what}: intraclass correlation of C, {asked}", interval(correlation)],
        [f"{what}: adjusted Rand index between answers", interval(found["adjusted_rand"])],
        [f"{what}: share of answers that changed", f"{found['change_of_answer']:.1%}"],
    ]


def _counted(rung: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is set against the known number: the headline, or one granularity of an agent with
    vectors.
    """
    found: Mapping[str, Any] = rung.get("counted", rung["effective_clusters"])
    return found


def _over_documents(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the interval over documents, where the file has one."""
    low, high = found.get("generator_ci_low"), found.get("generator_ci_high")
    return found if low is None or high is None else {**found, "ci_low": low, "ci_high": high}


def _estimate(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": found["estimate"], "reason": found.get("reason")}


def _plot(ladders: Sequence[Mapping[str, Any]]) -> Html:
    """Estimated against known effective clusters, both axes logarithmic, with the band that trust
    allows.
    """
    points = [
        (colour, rung["known"]["effective_clusters"], _over_documents(_counted(rung)))
        for ladder, colour in zip(ladders, _COLOURS * len(ladders), strict=False)
        for rung in ladder["rungs"]
        if rung["known"]
    ]
    if not points:
        return Html("")
    ends = [
        value for _, known, found in points for value in (known, found["ci_low"], found["ci_high"])
    ]
    low, high = math.log10(max(0.5, min(ends) / 1.3)), math.log10(max(ends) * 1.3)
    left, size, bottom = 70, 420, 440

    def x(value: float) -> float:
        return left + size * (math.log10(value) - low) / (high - low)

    def y(value: float) -> float:
        return bottom - size * (math.log10(value) - low) / (high - low)

    lines = [
        f"<rect x='{left}' y='{bottom - size}' width='{size}' height='{size}' fill='none'"
        " stroke='#999'/>"
    ]
    least, most = 10**low, 10**high
    for factor, dash in ((1.0, ""), (1 + NUMBER_WITHIN, "4 4"), (1 - NUMBER_WITHIN, "4 4")):
        start, stop = max(least, least / factor), min(most, most / factor)
        place = (
            f"x1='{x(start):.1f}' y1='{y(start * factor):.1f}' x2='{x(stop):.1f}'"
            f" y2='{y(stop * factor):.1f}'"
        )
        lines.append(f"<line {place} stroke='#aaa' stroke-dasharray='{dash}'/>")
    for tick in (base * 10**power for power in range(5) for base in (1, 2, 5)):
        if least <= tick <= most:
            lines.append(
                f"<text x='{x(tick):.1f}' y='{bottom + 16}' text-anchor='middle'>{tick:,}</text>"
            )
            lines.append(
                f"<text x='{left - 6}' y='{y(tick) + 4:.1f}' text-anchor='end'>{tick:,}</text>"
            )
    for colour, known, found in points:
        place = (
            f"x1='{x(known):.1f}' x2='{x(known):.1f}' y1='{y(found['ci_low']):.1f}'"
            f" y2='{y(found['ci_high']):.1f}'"
        )
        lines.append(f"<line {place} stroke='{colour}' stroke-width='2'/>")
        lines.append(
            f"<circle cx='{x(known):.1f}' cy='{y(found['value']):.1f}' r='4' fill='{colour}'/>"
        )
    shown = [
        (_name(ladder), colour)
        for ladder, colour in zip(ladders, _COLOURS * len(ladders), strict=False)
        if any(rung["known"] for rung in ladder["rungs"])
    ]
    for row, (name, colour) in enumerate(shown):
        height = bottom - size + 18 + 18 * row
        lines.append(f"<circle cx='{left + 14}' cy='{height - 4}' r='4' fill='{colour}'/>")
        lines.append(f"<text x='{left + 24}' y='{height}'>{attribute(name)}</text>")
    lines.append(
        f"<text x='{left + size / 2}' y='{bottom + 38}' text-anchor='middle'>known effective"
        " clusters</text>"
    )
    middle = bottom - size / 2
    lines.append(
        f"<text x='18' y='{middle}' text-anchor='middle' transform='rotate(-90 18 {middle})'>as the"
        " judge sees them</text>"
    )
    box = (
        f"viewBox='0 0 {left + size + 20} {bottom + 50}' width='{left + size + 20}'"
        f" height='{bottom + 50}'"
    )
    picture = Html(
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' {box}>{''.join(lines)}</svg>"
    )
    return markup(
        "<h2>Effective clusters</h2>{}<p class='soft'>Dashed: {} either way. Bars are 95% intervals"
        " over documents and, where there are any, draws.{}</p>",
        picture,
        f"{NUMBER_WITHIN:.0%}",
        _granularities(ladders),
    )


def _granularities(ladders: Sequence[Mapping[str, Any]]) -> Html:
    """At which granularity kinds were counted, where the agent has several."""
    used = {rung.get("counted_at") for ladder in ladders for rung in ladder["rungs"]} - {None}
    if not used:
        return Html("")
    return markup(
        " Kinds are counted at the granularity of {}; effective clusters, by which corpora are put"
        " in order, are the mean over granularities.",
        join(sorted(used), ", "),
    )


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:+z.2f}"
