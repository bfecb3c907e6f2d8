"""Whether the documents read are enough, in words that the curve over their number says."""

from collections.abc import Sequence

from divsyn_jax.base.html import Html, figure, line_chart, markup, percent
from divsyn_jax.diversity.estimation.document_curve import CurveEstimate, DocumentsPoint
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.score_records import Score

HELPS = 0.1  # more kinds from twice as many documents: from there on, more of them would help


def enough(scores: Sequence[Score]) -> list[Sentence]:
    """For each corpus: what twice as many documents would show, and how much surer it would be.

    Kinds are those of the granularity of topics. At finer ones every document is new, so the mean
    over granularities always grows with their number: it is compared at equal numbers.
    """
    found = []
    for score in scores:
        points = score.get("by_documents") or []
        last = next((point for point in reversed(points) if point["measured"]), None)
        double = next((point for point in points if not point["measured"]), None)
        if last is None or double is None:
            continue
        found.append(_of_corpus(score, last, double))
    return found


def _of_corpus(score: Score, last: DocumentsPoint, double: DocumentsPoint) -> Sentence:
    more = {
        end: double["topics"][end] / last["topics"][end] - 1
        for end in ("value", "ci_low", "ci_high")
    }
    value, low, high = (percent(more[end]) for end in ("value", "ci_low", "ci_high"))
    shown = f"{value} more (95% interval {low} to {high})"
    if more["ci_high"] < HELPS:
        verdict = "these are enough"
    elif more["ci_low"] >= HELPS:
        verdict = "more would help"
    else:
        verdict = "whether more would help cannot be told"
    whole = last["documents"] >= score["corpus"]["documents"]
    remedy = (
        "the sample is the whole corpus"
        if whole
        else f"--max_documents reads more of its {score['corpus']['documents']:,}"
    )
    width = last["effective_clusters"]
    below, above = (abs(width[end] / width["value"] - 1) for end in ("ci_low", "ci_high"))
    return Sentence(
        f"{{}}: {last['documents']:,} documents show {{}} kinds at the granularity of topics, twice"
        f" as many would show {shown}: {verdict} ({remedy}). The interval of effective"
        f" clusters reaches from {percent(below)} below to {percent(above)} above; with twice as"
        " many documents it would be about 0.7 times as wide.",
        (score["corpus"]["name"], last["topics"]["value"]),
    )


def document_charts(scores: Sequence[Score]) -> Html:
    """Effective clusters against the number of documents: the headline, and topics."""
    curves = {score["corpus"]["name"]: score.get("by_documents") or [] for score in scores}
    if not any(curves.values()):
        return Html("")
    headline = _chart(
        {
            name: [(point["documents"], point["measured"], point["effective_clusters"])
                   for point in points]
            for name, points in curves.items()
        },
        "effective clusters, mean over granularities",
    )  # fmt: skip
    topics = _chart(
        {
            name: [(point["documents"], point["measured"], point["topics"]) for point in points]
            for name, points in curves.items()
        },
        "effective clusters at the granularity of topics",
    )
    caption = (
        "{} against the number of documents, with 95% intervals. Dashed: computed for more"
        " documents than were read. {}"
    )
    return markup(
        "{}{}",
        figure(
            headline,
            caption.format(
                "Effective clusters",
                "At fine granularities every document is new, so the mean never levels off:"
                " compare corpora at equal numbers.",
            ),
        ),
        figure(
            topics,
            caption.format(
                "Kinds of topic", "Where a line has levelled off, more documents show no more."
            ),
        ),
    )


def _chart(curves: dict[str, list[tuple[int, bool, CurveEstimate]]], label: str) -> Html:
    measured, beyond, bars = [], {}, {}
    ticks: set[int] = set()
    for name, points in curves.items():
        if not points:
            continue
        line = [(float(size), found["value"]) for size, is_measured, found in points if is_measured]
        measured.append((name, line))
        after = [(float(size), found["value"]) for size, is_measured, found in points
                 if not is_measured]  # fmt: skip
        beyond[name] = [line[-1], *after]
        bars[name] = [(float(size), found["ci_low"], found["ci_high"])
                      for size, is_measured, found in points if is_measured]  # fmt: skip
        ticks |= {size for size, _, _ in points}
    return line_chart(
        measured,
        label,
        "documents",
        ticks=_apart(sorted(ticks)),
        is_across_log=True,
        beyond=beyond,
        bars=bars,
    )


def _apart(ticks: Sequence[int]) -> list[float]:
    """Ticks that do not overprint: at least a factor of 1.7 between them."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick >= 1.7 * kept[-1]:
            kept.append(float(tick))
    return kept
