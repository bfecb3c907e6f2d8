"""The parts of a score's report that speak of the judge: may it be believed, what did it cost."""

from collections.abc import Callable, Mapping, Sequence

from divsyn_jax.base.html import Html, Part, interval, join, markup, number, table
from divsyn_jax.diversity.agents import control_draws
from divsyn_jax.diversity.agents.kinds import AGENTS
from divsyn_jax.diversity.estimation.reliability import RetestRecord
from divsyn_jax.diversity.reporting.tables import HEADLINES, names_of, words_of
from divsyn_jax.diversity.score_records import PurposeRecord, Score


def judge_part(scores: Sequence[Score]) -> Html:
    """What speaks for and against the judge, from the run itself."""
    if AGENTS[scores[0]["agent"]["kind"]].free:
        return Html("")

    def row(label: str, cell: Callable[[Score], Part]) -> list[Part]:
        return [label, *[cell(score) for score in scores]]

    rows = [
        row("answers shaped by", lambda score: score["usage"]["mode"]),
        row(
            "draws failed",
            lambda score: f"{len(score['failures'])} of {score['cluster_score']['draws_asked']}",
        ),
        row("draws of known answer", _known_answers),
        row("neighbours put together, z", _position),
        row(
            "asked again: same number of clusters (ICC)",
            lambda score: number(score["test_retest"].get("correlation")),
        ),
        row(
            "asked again: same partition (adjusted Rand)",
            lambda score: _agreement(score["test_retest"]),
        ),
        row("clusters found invalid", _invalid),
        row("sd of the score between criteria sets", _between_sets),
        row("score with control variate", _control),
        row("draws saved by the control variate", _saved),
    ]
    head = ["check", *names_of(scores)]
    return markup("<h2>May this judge be believed here?</h2>{}", table(head, rows))


def _known_answers(score: Score) -> Part:
    found = score.get("control_draws")
    if found is None:
        return "-"
    said = control_draws.line(found)
    return said if found["usable"] else markup("<strong>{}</strong>", said)


def _position(score: Score) -> Part:
    found = score["position_bias"]
    if found["z"] is None:
        return "-"
    warning = Html(" <strong>looks at places, not documents</strong>" if found["warning"] else "")
    return markup("{}{}", f"{found['z']:+z.1f}", warning)


def _agreement(found: RetestRecord) -> Part:
    return interval(found["adjusted_rand"]) if "adjusted_rand" in found else "-"


def _invalid(score: Score) -> Part:
    found = score["verification"]
    return interval(found["clusters_changed"]) if "clusters_changed" in found else "-"


def _between_sets(score: Score) -> str:
    criteria = score["cluster_score"].get("criteria")
    found = criteria["sets_sd"] if criteria else None
    # A difference of squares: sets that agree leave rounding behind.
    return number(None if found is None else round(found, 6))


def _control(score: Score) -> Part:
    found = score["control_variate"] or {}
    return interval(found["cluster_score"]) if "cluster_score" in found else "-"


def _saved(score: Score) -> str:
    found = (score["control_variate"] or {}).get("cluster_score")
    return "-" if found is None else f"{found['variance_saved']:.0%}"


def policy_part(scores: Sequence[Score]) -> Html:
    policies = scores[0]["verification"].get("policies")
    if not policies or len(policies) < 2:
        return Html("")
    rows = [
        [
            f"{policy}: {words_of(metric)}",
            *[_value(score["verification"]["policies"][policy][metric]) for score in scores],
        ]
        for policy in policies
        for metric in HEADLINES
    ]
    return markup(
        "<h2>Invalid clusters</h2><p>Clusters that verification found invalid are split into single"
        " documents (the headline), dropped with their documents, or kept. All three come from the"
        " same calls.</p>{}",
        table(["policy", *names_of(scores)], rows),
    )


def usage_part(scores: Sequence[Score]) -> Html:
    usage = scores[0]["usage"]
    if not usage.get("by_purpose"):
        return Html("")
    keys = tuple(PurposeRecord.__annotations__)
    table_of: dict[str, Mapping[str, object]] = {**usage["by_purpose"], "total": usage}
    rows = [
        [purpose, *[f"{counts[key]:,}" for key in keys]] for purpose, counts in table_of.items()
    ]
    cost = (
        "unknown (no prices given)"
        if usage["cost_with_cached"] is None
        else f"{usage['cost_with_cached']:.2f}"
    )
    others = [score["corpus"]["name"] for score in scores if score["usage"] != usage]
    apart = (
        markup(" Not in it, as they were scored in another run: {}.", join(others, ", "))
        if others
        else ""
    )
    return markup(
        "<h2>Calls and cost</h2><p>For corpora that were scored together; answers used cost {},"
        " those of earlier runs included.{}</p>{}",
        cost,
        apart or Html(""),
        table(["purpose", *[key.replace("_", " ") for key in keys]], rows),
    )


def _value(measured: Mapping[str, object]) -> Part:
    """Without its interval, which is over draws alone."""
    value = measured["value"]
    return number(value) if isinstance(value, int | float) else str(measured.get("reason", "none"))
