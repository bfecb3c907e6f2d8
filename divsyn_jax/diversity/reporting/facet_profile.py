"""What corpora are diverse in: their facets side by side, for the page and for the terminal."""

from collections.abc import Sequence

from divsyn_jax.base.html import Html, details, figure, interval, interval_plot, join, markup, table
from divsyn_jax.diversity.comparison import Comparison, DifferenceRecord, measurement, sampled
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.reporting.answer import APART_LEVEL
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.reporting.tables import names_of
from divsyn_jax.diversity.score_records import Score

_MEANING = {
    "topic": "what is written about",
    "style": "in which register: function words, punctuation, sentences",
    "structure": "in which layout: headings, lists, tables, paragraphs",
    "wording": "with which words, where a sentence leaves a choice",
}


def facets_of(scores: Sequence[Score]) -> list[str]:
    """The facets that some score has, with a value or with the reason why not."""
    return [
        name for name in FACET_NAMES if any(name in score.get("facets", {}) for score in scores)
    ]


def facet_part(scores: Sequence[Score], comparison: Comparison) -> Html:
    """The profile, corpus against corpus: a row a facet, with intervals and a picture."""
    shown = facets_of(scores)
    if not shown:
        return Html("")
    rows = [
        [
            markup('{}<br><span class="soft">{}</span>', name, _MEANING[name]),
            *[interval(measurement(score, f"facets.{name}")) for score in scores],
            *([_ends(name, comparison)] if len(scores) > 1 else []),
        ]
        for name in shown
    ]
    head = ["facet", *names_of(scores), *(["largest ratio of two"] if len(scores) > 1 else [])]
    explained = details(
        "What each facet reads, and what it cannot see",
        table(["facet", "reads", "cannot see"], _explained(scores, shown), words=True),
    )
    return markup(
        "<h2>What they are diverse in</h2><p>Effective numbers from all pairs of the sampled"
        " documents, with 95% intervals over documents. Each sees its own kind of difference:"
        " compare corpora within a row, not rows with each other.</p>{}{}{}",
        table(head, rows, stacked=True),
        _pictures(scores, shown),
        explained,
    )


def _pictures(scores: Sequence[Score], shown: Sequence[str]) -> Html:
    """An interval plot a facet, where there are corpora to compare."""
    if len(scores) < 2:
        return Html("")
    ceiling = float(min(sampled(score) for score in scores))
    drawn = []
    for name in shown:
        measured = [
            (score["corpus"]["name"], measurement(score, f"facets.{name}")) for score in scores
        ]
        if all(each["value"] is not None for _, each in measured):
            picture = interval_plot(measured, f"{name}: effective number, 95% interval", ceiling)
            drawn.append(figure(picture, markup("{}: {}.", name.capitalize(), _MEANING[name])))
    return markup('<div class="beside">{}</div>', join(drawn)) if drawn else Html("")


def _ends(name: str, comparison: Comparison) -> Html:
    """The pair of corpora that a facet sets furthest apart, and whether by more than chance."""
    tests = [
        row
        for row in comparison["differences"]
        if row["metric"] == f"facets.{name}" and row["difference"] is not None
    ]
    if not tests:
        return Html("-")
    widest = max(tests, key=lambda row: abs(row["difference"] or 0.0))
    first, second, ratio = _upwards(widest)
    p = widest["p_value_holm"]
    apart = p is not None and p < APART_LEVEL
    said = "" if apart else ' <span class="soft">(within chance)</span>'
    return markup("{} over {}: {}" + said, second, first, ratio)


def _upwards(row: DifferenceRecord) -> tuple[str, str, Html]:
    """The less and the more diverse corpus of a test, and the ratio with its interval."""
    found = [row.get("ratio"), row.get("ratio_ci_low"), row.get("ratio_ci_high")]
    first, second = row["first"], row["second"]
    ratio, low, high = (1.0 if each is None else each for each in found)
    if ratio < 1:
        first, second = second, first
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    return first, second, interval({"value": ratio, "ci_low": low, "ci_high": high})


def _explained(scores: Sequence[Score], shown: Sequence[str]) -> list[list[str]]:
    rows = []
    for name in shown:
        record = next(score["facets"][name] for score in scores if name in score.get("facets", {}))
        rows.append([name, record["reads"], record["cannot_see"]])
    return rows


def facets_in_words(scores: Sequence[Score]) -> list[Sentence]:
    """The profile with its intervals in one sentence, and why a facet is unknown; none where no
    facet was asked for.
    """
    shown = facets_of(scores)
    if not shown:
        return []
    found: list[str] = []
    parts: list[str | float] = []
    unknown: dict[str, dict[str, None]] = {}  # the facets by reason, each once, in order
    for score in scores:
        said = []
        parts.append(score["corpus"]["name"])
        for name in shown:
            measured = measurement(score, f"facets.{name}")
            numbers = measured["value"], measured.get("ci_low"), measured.get("ci_high")
            known = [each for each in numbers if each is not None]
            parts += known
            form = {3: "{} {{}} [{{}}, {{}}]", 1: "{} {{}}"}.get(len(known), "{} unknown")
            said.append(form.format(name))
            if not known:
                unknown.setdefault(measured.get("reason") or "not measured", {})[name] = None
        found.append(f"{{}}: {', '.join(said)}")
    template = f"Effective numbers of each facet: {'; '.join(found)}."
    for reason, names in unknown.items():
        template += f" Unknown {', '.join(names)}: {{}}."
        parts.append(reason)
    return [Sentence(template, tuple(parts))]
