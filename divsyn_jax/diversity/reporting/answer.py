"""What scored corpora say, in sentences for the page and for the terminal.

Every sentence is computed from the scores and their tests, or carries its condition.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from divsyn_jax.base.html import Part, number, p_equals, percent
from divsyn_jax.diversity.comparison import (
    Comparison,
    DifferenceRecord,
    Measurement,
    headlines,
    measurement,
    profiles_of,
    sampled,
)
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.estimation.profile import OrderRecord, ProfileRecord
from divsyn_jax.diversity.reporting.sentences import Sentence, around, one_sentence
from divsyn_jax.diversity.score_records import Score

APART_LEVEL = 0.05  # of Holm-corrected tests, for the words
NEAR_CEILING = 0.9  # of the most that effective clusters can be: from there on, "at least"
SCORE_NEAR_CEILING = 0.95  # of K, for C/S


def answer(scores: Sequence[Score], comparison: Comparison) -> list[Sentence]:
    """Which corpus is more diverse, by how much and how surely; of one corpus, its number."""
    if len(scores) == 1:
        return [_alone(scores[0])]
    values, of_each = comparable(scores)
    tests = [row for row in comparison["differences"] if row["metric"] == "effective_clusters"]
    ranked = sorted(values, key=lambda name: values[name])
    found = [
        around(
            f"From least to most diverse by effective clusters{of_each}: ",
            [
                Sentence(f"{_sign(values, ranked, place)}{{}} ({{}})", (name, values[name]))
                for place, name in enumerate(ranked)
            ],
            "",
        )
    ]
    refused = [row for row in tests if row["difference"] is None]
    apart = [row for row in tests if _told_apart(row)]
    others = [row for row in tests if row not in apart and row not in refused]
    if others:
        pairs = [Sentence("{} and {}", (row["first"], row["second"])) for row in others]
        found.append(around("Not told apart: ", pairs, "; "))
    elif apart and len(tests) > 1:
        found.append(
            Sentence(f"All pairs that were tested are told apart ({_HOLM} < {APART_LEVEL:g}).")
        )
    if refused:
        found.append(
            Sentence(
                "{} pairs were not compared; the table of differences says why.", (len(refused),)
            )
        )
    ends = [row for row in tests if {row["first"], row["second"]} == {ranked[0], ranked[-1]}]
    return [
        *found,
        *[
            _ratio(row, values, comparable_intervals(scores))
            for row in ends
            if row["difference"] is not None
        ],
    ]


def _sign(values: Mapping[str, float], ranked: Sequence[str], place: int) -> str:
    """What stands between a corpus and the one before it, by the numbers that are shown."""
    if place == 0:
        return ""
    shown = {number(values[name]) for name in ranked[place - 1 : place + 1]}
    return " = " if len(shown) == 1 else " < "


_HOLM = "Holm-corrected p"


def _told_apart(row: DifferenceRecord) -> bool:
    return row["p_value_holm"] is not None and row["p_value_holm"] < APART_LEVEL


def comparable(scores: Sequence[Score]) -> tuple[dict[str, float], str]:
    """Effective clusters of one number of documents, and the words for that number where the
    samples differ in it.
    """
    fewest, most = (end(map(sampled, scores)) for end in (min, max))
    values = {name: found["value"] or 0.0 for name, found in comparable_intervals(scores).items()}
    return values, "" if fewest == most else f" of {fewest:,} documents of each"


def comparable_intervals(scores: Sequence[Score]) -> dict[str, Measurement]:
    """Effective clusters by corpus, with their intervals, of one number of documents: that of the
    smallest sample.
    """
    fewest = min(map(sampled, scores))
    profiles = profiles_of(scores)
    if fewest == max(map(sampled, scores)):
        return {
            score["corpus"]["name"]: measurement(score, "effective_clusters") for score in scores
        }
    if profiles is not None:
        return {
            name: {"value": found.value, "ci_low": found.ci_low, "ci_high": found.ci_high}
            for name, found in headlines(profiles).items()
        }
    return {score["corpus"]["name"]: _of_documents(score, fewest) for score in scores}


def _of_documents(score: Score, documents: int) -> Measurement:
    """Effective clusters of draws as they are for so many documents: the share of pairs in one
    cluster stays.
    """
    own = sampled(score)
    found = measurement(score, "effective_clusters").copy()
    for key in ("value", "ci_low", "ci_high"):
        value = found.get(key)
        if isinstance(value, float | int):
            found[key] = hill((own / value - 1) / (own - 1), documents)
    return found


def sizes_note(scores: Sequence[Score]) -> str:
    """What to know of tables of values where samples differ in size; nothing where they do not."""
    fewest, most = (end(map(sampled, scores)) for end in (min, max))
    if fewest == most:
        return ""
    return (
        f"The samples differ in size ({fewest:,} to {most:,} documents), and effective numbers grow"
        f" with it: values in tables are of each corpus's own sample, ratios and tests of"
        f" {fewest:,} documents of each."
    )


def _with_ends(name: str, measured: Measurement) -> Sentence:
    numbers = measured["value"], measured.get("ci_low"), measured.get("ci_high")
    known = tuple(each for each in numbers if each is not None)
    return Sentence("{} {} [{}, {}]" if len(known) == 3 else "{} {}", (name, *known[:3]))


def _ratio(
    row: DifferenceRecord, values: Mapping[str, float], intervals: Mapping[str, Measurement]
) -> Sentence:
    """By how much, and how surely: the larger over the smaller."""
    first, second = row["first"], row["second"]
    ratio = values[second] / values[first]
    ends: list[Part] = []
    low, high = row.get("ratio_ci_low"), row.get("ratio_ci_high")
    if low is not None and high is not None:
        ends = [low, high] if ratio >= 1 else [1 / high, 1 / low]
    if ratio < 1:
        first, second, ratio = second, first, 1 / ratio
    own = {name: _with_ends(name, intervals[name]) for name in (first, second)}
    # Where the ratio has no interval of its own, those of both corpora stand for it.
    beside = one_sentence([] if ends else [own[second], own[first]], "; ")
    bounds = ", 95% interval {} to {}" if ends else f" ({beside.template})"
    ends += beside.parts
    p = f"Holm-corrected {p_equals(row['p_value_holm'])}"
    if not _told_apart(row):
        template = "{} over {}: a ratio of {}" + bounds + f", is within chance ({p})."
        return Sentence(template, (second, first, ratio, *ends))
    template = "{} has {} times the effective clusters of {}" + bounds + f" ({p})."
    return Sentence(template, (second, ratio, first, *ends))


def _alone(score: Score) -> Sentence:
    measured = measurement(score, "effective_clusters")
    ends = (measured.get("ci_low"), measured.get("ci_high"))
    bounds = " [{}, {}]" if None not in ends else ""
    shown = tuple(end for end in ends if end is not None)
    if profiles_of([score]) is not None:
        of = ", the mean over granularities from copies to broad topics: a scale to compare on"
    else:
        of = ": as many equally common kinds, as this judge groups documents"
    headline = Sentence(
        "{}: effective clusters {}" + bounds + of + ".",
        (score["corpus"]["name"], measured["value"], *shown),
    )
    counted = one_count((profiles_of([score]) or {}).get(score["corpus"]["name"]))
    if counted is None:
        return headline
    # Who gave a calibration or pairs asked how many kinds there are: that comes first.
    return Sentence(
        "{}: {} kinds [{}, {}], counted by {}. " + headline.template,
        (
            score["corpus"]["name"],
            *(counted[0][key] for key in ("value", "ci_low", "ci_high")),
            counted[1],
            *headline.parts,
        ),
    )


def one_count(profile: ProfileRecord | None) -> tuple[Mapping[str, Any], str] | None:
    """The one number of kinds, where a calibration or judged pairs give it, and by what."""
    if profile is None:
        return None
    judged, calibrated = profile.get("judged"), profile.get("calibrated")
    if judged is not None and judged["value"] is not None:
        return judged, f"{judged['pairs']:,} judged pairs"
    if calibrated is not None:
        return calibrated, f"the calibration on {calibrated['kind_of_text']}"
    return None


def band(comparison: Comparison) -> list[Sentence]:
    """Whether the order is the same at every granularity of the band.

    Of corpora that are not told apart there is no order to speak of, unless one is told to be the
    more diverse at some granularities and the other at others.
    """
    apart = {
        (row["first"], row["second"]): _told_apart(row)
        for row in comparison.get("differences", [])
        if row["metric"] == "effective_clusters"
    }
    orders = [
        order
        for order in comparison.get("orders") or []
        if order["same"] is False or apart.get((order["first"], order["second"]), True)
    ]
    if not orders:
        return []
    all_pairs = len(orders) == len(comparison.get("orders") or [])
    over = f"from copies (distance {orders[0]['fine']:g}) to broad topics ({orders[0]['coarse']:g})"
    if all(order["same"] for order in orders):
        of = "" if all_pairs else " of those told apart"
        return [Sentence(f"The order{of} is the same at every granularity {over}.")]
    turned = [_turned(order) for order in orders if order["same"] is False]
    found = [around(_DEPENDS, turned, "; ")] if turned else []
    unsure = [order for order in orders if order["same"] is None]
    if unsure:
        pairs = [Sentence("{} and {}", (order["first"], order["second"])) for order in unsure]
        same = f" Of all other pairs it is the same {over}." if not found else ""
        same = same if len(unsure) < len(orders) else ""
        found.append(
            around(
                "The order is not the same over the granularities, within chance, of: ",
                pairs,
                "; ",
                f".{same}",
            )
        )
    return found


_DEPENDS = "The order depends on how fine a kind is: "


def _turned(order: OrderRecord) -> Sentence:
    places = [order["first_larger"], order["second_larger"]]
    return Sentence(
        f"{{}} has more kinds at {_places(places[0])}, {{}} at {_places(places[1])}",
        (order["first"], order["second"]),
    )


def _places(distances: Sequence[float]) -> str:
    low, high = min(distances), max(distances)
    return f"distance {low:g}" if low == high else f"distances {low:g} to {high:g}"


def kinds(scores: Sequence[Score]) -> list[Sentence]:
    """How many kinds there are: the range, where no calibration gives one number."""
    profiles = profiles_of(scores)
    if profiles is None:
        return []
    found = []
    for name, profile in profiles.items():
        if one_count(profile) is not None:
            continue
        low, high = profile["range"]["low"], profile["range"]["high"]
        if high > NEAR_CEILING * profile["documents"]:
            found.append(
                Sentence(
                    "{}: {} kinds or more (at the fine end the sample of {} documents cannot show"
                    " how many)",
                    (name, _outward(low, math.floor), f"{profile['documents']:,}"),
                )
            )
        else:
            ends = _outward(low, math.floor), _outward(high, math.ceil)
            found.append(Sentence("{}: between {} and {} kinds", (name, *ends)))
    if not found:
        return []
    after = ", depending on how fine a kind is; give --calibration or --pair_judge for one number."
    return [around("Not calibrated. ", found, "; ", after)]


def _outward(value: float, rounded: Callable[[float], int]) -> str:
    """An end of a range, rounded away from its middle: one decimal below 10, none above."""
    return f"{rounded(value):,}" if value >= 10 else f"{rounded(value * 10) / 10:g}"


def saturation(scores: Sequence[Score]) -> list[Sentence]:
    """Where a number stands at the most it can be, and says "at least"."""
    found = []
    for score in scores:
        name, documents = score["corpus"]["name"], sampled(score)
        what, value = _counted(score)
        if value > NEAR_CEILING * documents:
            found.append(
                Sentence(
                    f"{{}}: {what} {{}} of at most {{}}, the documents sampled: read it as at least"
                    " that; a larger sample may show more.",
                    (name, value, f"{documents:,}"),
                )
            )
        most, mean = score["cluster_score"]["sample_size"], score["cluster_score"]["value"]
        if mean > SCORE_NEAR_CEILING * most:
            found.append(
                Sentence(
                    "{}: C/S {} of at most {}, the documents of a draw: it can hardly rise with"
                    " more diversity.",
                    (name, mean, f"{most}"),
                )
            )
    return found


def _counted(score: Score) -> tuple[str, float]:
    """The number that says whether documents ran out. The mean over granularities never reaches
    their number, as the coarsest join some of any two texts: topics do.
    """
    profiles = profiles_of([score])
    if profiles is None:
        return "effective clusters", score["effective_clusters"]["value"]
    (profile,) = profiles.values()
    of_topics = profile["granularities"]["topics"]["value"]
    return "effective clusters at the granularity of topics", of_topics


def copies(scores: Sequence[Score], comparison: Comparison) -> list[Sentence]:
    """Shares of exact and near duplicates, and which corpora differ in them."""
    shares = []
    for score in scores:
        exact, near = score["duplicates"]["exact"], score["duplicates"]["near"]
        of_near = "" if near is None else f", {percent(near)} exactly or nearly"
        said = f"{{}} {percent(exact)} exactly{of_near}"
        shares.append(Sentence(said, (score["corpus"]["name"],)))
    found = [around("Documents that repeat an earlier one: ", shares, "; ")]
    for metric, words in _COPIES.items():
        rows = [row for row in comparison["differences"] if row["metric"] == metric]
        pairs: dict[bool, list[Sentence]] = {True: [], False: []}
        for row in rows:
            pair = Sentence("{} and {}", (row["first"], row["second"]))
            pairs[_told_apart(row)].append(pair)
        if len(rows) > 1 and not pairs[False]:
            found.append(Sentence(f"All pairs are told apart by {words}."))
        elif len(pairs[True]) > len(pairs[False]) > 0:  # the few others are quicker to read
            found.append(around(f"All pairs are told apart by {words} but ", pairs[False], "; "))
        elif pairs[True]:
            found.append(around(f"Told apart by {words}: ", pairs[True], "; "))
    tested = [row for row in comparison["differences"] if row["metric"] in _COPIES]
    if any(row["difference"] is not None for row in tested) and len(found) == 1:
        found.append(Sentence("No pair is told apart by its copies."))
    return found


_COPIES = {
    "duplicates.exact": "exact copies",
    "duplicates.near": "near copies",
    "near_duplicate_clusters": "effective clusters with rewordings as one",
}
