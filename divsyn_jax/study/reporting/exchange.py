"""The part of a study's page on what breadth is worth in unique text."""

from divsyn_jax.base.html import Html, Part, interval, join, markup, number, table
from divsyn_jax.statistics.exchange import WANTED_HALF_WIDTH, ExchangeRecord
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.study_file import StudyResults


def exchange_parts(study: StudyResults) -> list[Part]:
    """The law and the exchange rate; nothing where levels do not vary unique text."""
    found = study.get("exchange")
    if found is None:
        return []
    heading = Html("<h2>What breadth is worth in unique text</h2>")
    if found["reason"] is not None:
        return [heading, markup('<p class="soft">Cannot be said: {}.</p>', found["reason"])]
    rows: list[list[Part]] = [
        [
            outcome_label(name),
            interval(rate["rate"], 2) if rate["rate"] is not None else "none",
            interval(rate["unique"], 4),
            interval(rate["breadth"], 4),
            interval(rate["both"], 4),
            interval(rate["curve"], 4) if rate["curve"] is not None else "none",
            number(rate["residual_sd"], 4),
        ]
        for name, rate in found["rates"].items()
    ]
    header = ["performance", "exchange rate", "a doubling of unique text"]
    header += ["a doubling of effective clusters", "both at once", "curvature in text"]
    header.append("sd about the law")
    said = [
        markup("{}: {}.", outcome_label(name), exchange_in_words(rate))
        for name, rate in found["rates"].items()
    ]
    return [
        heading,
        markup('<p class="note">{}</p>', join(said, "<br>")),
        table(header, rows, stacked=True),
        Html(
            '<p class="soft">performance = a + b u + f u&#178; + c d + e u d, by least squares over'
            " the levels, u and d the doublings of unique tokens and of effective clusters from"
            " their means, at a fixed number of training tokens; f, from three budgets on, since"
            " each doubling of text does less than the one before. The exchange rate is c / b, the"
            " slopes at the means, with 95% intervals from a bootstrap of the levels&#8217;"
            " residuals: seeds, and what the law misses, are in them; what the levels of one"
            " breadth have in common beyond the law, one corpus say, is not.</p>"
        ),
    ]


def exchange_in_words(found: ExchangeRecord) -> str:
    """The rate in a sentence without a full stop, and what a narrower interval would take."""
    rate = found["rate"]
    if rate is None:
        return str(found["reason"])
    words = (
        f"one doubling of effective clusters is worth {rate['value']:.2f}"
        f" [{rate['ci_low']:.2f}, {rate['ci_high']:.2f}] doublings of unique text"
    )
    half, needed = found["half_width"], found["levels_needed"]
    if half is None or needed is None or half <= WANTED_HALF_WIDTH:
        return words
    return (
        f"{words}; half of the interval is {half:.0%} of the rate, and {WANTED_HALF_WIDTH:.0%}"
        f" would take about {needed} levels with as many seeds in place of {found['levels']}, if"
        " the error stays what it is"
    )
