"""The part of a score's report that shows where corpora repeat themselves, and their maps."""

import random
from collections.abc import Mapping, Sequence

from divsyn_jax.base.html import (
    GROUP_COLOURS,
    Html,
    Part,
    ScatterPoint,
    bullets,
    details,
    figure,
    join,
    markup,
    percent,
    scatter_plot,
    table,
)
from divsyn_jax.diversity.redundancy.find import start_of
from divsyn_jax.diversity.redundancy.records import (
    KindLine,
    NearDuplicateLine,
    Redundancy,
    TemplateLine,
)
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import Score

# Points of all maps of a page: each carries the start of its document. One map has at most and at
# least so many of them.
_POINTS, _MOST_POINTS, _FEWEST_POINTS = 3_000, 1_000, 200
_HOVER_CHARACTERS = 140
_KINDS_SHOWN = len(GROUP_COLOURS)
_PAIRS_SHOWN = 10
_TEMPLATES_SHOWN = 5
_START_CHARACTERS = 110
_FEW_CORPORA = 3  # of more the tables are folded
_OPENING = 5  # words of the opening that the sentence names


def redundancy_part(
    scores: Sequence[Score],
    samples: Sequence[Sample],
    found: Sequence[Redundancy | None],
) -> Html:
    """A section with a part for each corpus.

    Args:
      scores: contents of score.json.
      samples: the corpora's samples, for the texts on the maps.
      found: clusters.jsonl and map.jsonl of each; None where there is none.
    """
    if not any(found):
        return Html("")
    shown = min(_MOST_POINTS, max(_FEWEST_POINTS, _POINTS // len(scores)))
    maps = [
        _map(score["corpus"]["name"], sample, each, shown)
        for score, sample, each in zip(scores, samples, found, strict=True)
        if each is not None
    ]
    parts = [
        _missing(score) if each is None else _corpus_part(score, each, len(scores))
        for score, each in zip(scores, found, strict=True)
    ]
    return markup(
        "<h2>Where the corpora repeat themselves</h2><p>All of it, with every document of every"
        " kind, is in <code>clusters.jsonl</code> beside each score. The maps show the documents on"
        " the two directions in which their embeddings vary most: near on a map need not be alike,"
        " far apart is. Filled and numbered are the largest kinds, with their share and the words"
        " that tell them from the rest; hollow are all others. The pointer on a dot shows how the"
        ' document begins. Axes have no unit and are each corpus\'s own.</p><div class="beside">{}'
        "</div>{}",
        join(maps),
        join(parts),
    )


def sentences(name: str, found: Redundancy) -> list[Sentence]:
    """The largest kind, near duplicates and shared openings of a corpus, in a line each."""
    summary = found.summary
    of = f"{summary['clustered']:,} documents"
    if summary["clustered"] < summary["sampled"]:
        of += f" (of the {summary['sampled']:,} sampled)"
    said = []
    if found.kinds:
        largest = found.kinds[0]
        words = ", ".join(largest["key_words"])
        said.append(
            Sentence(
                (
                    f"{{}}: the largest of {summary['kinds']:,} kinds of document holds"
                    f" {percent(largest['share'])} of {of}"
                    if summary["kinds"] > 1
                    else f"{{}}: all {of} are of one kind"
                )
                + (" ({})." if words else "."),
                (name, words) if words else (name,),
            )
        )
    else:
        said.append(Sentence(f"{{}}: each of {of} is of a kind of its own.", (name,)))
    equal = sum(line["equal"] for line in found.near_duplicates)
    nearly = len(found.near_duplicates) - equal
    of_opening = next((each for each in summary["openings"] if each["words"] == _OPENING), None)
    opening = (
        ""
        if of_opening is None or summary["distinct_texts"] < 2
        else (
            f"; {percent(of_opening['share'])} of the distinct texts share their first"
            f" {_OPENING} words with another"
        )
    )
    said.append(
        Sentence(
            f"{{}}: {equal:,} sampled documents repeat an earlier one and {nearly:,} nearly repeat"
            f" one{opening}.",
            (name,),
        )
    )
    return said


def _missing(score: Score) -> Html:
    return markup(
        '<h3>{}</h3><p class="soft">Nobody embedded its documents here, so its kinds are not'
        " known.</p>",
        score["corpus"]["name"],
    )


def _corpus_part(score: Score, found: Redundancy, corpora: int) -> Html:
    name = score["corpus"]["name"]
    tables = [
        ("Largest kinds", _kind_table(found)),
        ("Near duplicates", _near_tables(found)),
        ("Openings and templates", _template_part(found)),
    ]
    shown = join(
        details(title, body)
        if corpora > _FEW_CORPORA or place
        else markup("<h4>{}</h4>{}", title, body)
        for place, (title, body) in enumerate(tables)
    )
    said = join((sentence.html() for sentence in sentences(name, found)), " ")
    return markup("<h3>{}</h3><p>{}</p>{}", name, said, shown)


def _map(name: str, sample: Sample, found: Redundancy, shown: int) -> Html:
    """The documents on a plane; `shown` of them, chosen at random, where there are more."""
    place = {int(number): at for at, number in enumerate(sample.index_N)}
    points = found.points
    if len(points) > shown:
        chosen = random.Random(len(points)).sample(range(len(points)), shown)
        points = [points[at] for at in sorted(chosen)]
    kinds = found.kinds[:_KINDS_SHOWN]
    drawn = []
    for point in points:
        rank, document = point["kind"], point["document"]
        kind = "alone in its kind" if rank is None else f"kind {rank}"
        drawn.append(
            ScatterPoint(
                point["x"],
                point["y"],
                None if rank is None or rank > len(kinds) else rank - 1,
                f"document {document}, {kind}: ",
                start_of(sample.texts[place[document]], _HOVER_CHARACTERS)
                if document in place
                else "",
            )
        )
    groups = [f"{kind['rank']}. {percent(kind['share'])}: {_words(kind)}" for kind in kinds]
    some = (
        f"{len(points):,} of the {len(found.points):,} documents, chosen at random"
        if len(points) < len(found.points)
        else f"all {len(points):,} documents"
    )
    caption = markup(
        "{}: {}; the plane shows {} of the variance.",
        name,
        some,
        percent(found.summary["map_variance"]),
    )
    return figure(scatter_plot(drawn, groups, f"map of {name}"), caption)


def _words(kind: KindLine) -> str:
    return ", ".join(kind["key_words"]) or "no word tells it apart"


def _kind_table(found: Redundancy) -> Html:
    summary = found.summary
    if not found.kinds:
        return markup("<p>No two documents are of one kind.</p>")
    rows: list[list[Part]] = [
        [
            markup(
                '{}: {} documents <span class="soft">({})</span>',
                str(kind["rank"]),
                kind["size"],
                percent(kind["share"]),
            ),
            _words(kind),
            _documents(kind["documents"]),
        ]
        for kind in found.kinds[:_KINDS_SHOWN]
    ]
    listed = sum(kind["size"] for kind in found.kinds[:_KINDS_SHOWN])
    rest = summary["clustered"] - listed - summary["single"]
    said = (
        f"Kinds in {summary['clustered']:,} documents: {summary['kinds']:,}, by average linkage of"
        f" their cosine distances cut at {summary['cut']:g}. Those listed hold"
        f" {percent(listed / summary['clustered'])}, smaller ones"
        f" {percent(rest / summary['clustered'])}; documents alone: {summary['single']:,}. The"
        " documents shown are the most central one of a kind, a middling and the outermost one."
        " A list to look through and no measure: effective clusters do not use it."
    )
    head = ["kind", "key words", "three documents"]
    return markup("<p>{}</p>{}", said, table(head, rows, words=True, stacked=True))


def _near_tables(found: Redundancy) -> Html:
    lines = found.near_duplicates
    summary = found.summary
    near = f"cosine distance {summary['near_duplicate_distance']:g}"
    if not lines:
        return markup(f"<p>No two documents lie within {near} of each other.</p>")
    equal = [line for line in lines if line["equal"]]
    nearly = sorted(
        (line for line in lines if not line["equal"]), key=lambda line: line["distance"]
    )
    said = (
        f"{len(lines):,} of {summary['sampled']:,} sampled documents lie within {near} of an"
        f" earlier one; {summary['near_duplicate_pairs']:,} pairs do. {len(equal):,} of them have"
        " the text of that earlier one."
    )
    return markup(
        "<p>{}</p>{}{}",
        said,
        _pair_table(f"Texts that are repeated word for word ({len(equal):,})", equal),
        _pair_table(f"Texts that are nearly repeated ({len(nearly):,}), the nearest first", nearly),
    )


def _pair_table(title: str, lines: Sequence[NearDuplicateLine]) -> Html:
    if not lines:
        return Html("")
    rows: list[list[Part]] = [
        [
            _place(line["document"], line["where"]),
            _place(line["repeats"], line["repeats_where"]),
            f"{line['distance']:.3f}",
            percent(line["shared_phrases"]),
            start_of(line["start"], _START_CHARACTERS),
        ]
        for line in lines[:_PAIRS_SHOWN]
    ]
    more = len(lines) - len(rows)
    head = ["document", "repeats", "distance", "phrases of 3 words in common", "begins"]
    return markup(
        "<h4>{}</h4>{}{}",
        title,
        table(head, rows, words=True, stacked=True),
        markup('<p class="soft">and {} more</p>', more) if more else Html(""),
    )


def _template_part(found: Redundancy) -> Html:
    summary = found.summary
    commonest = {
        line["words"]: line for line in reversed(found.templates) if line["type"] == "opening"
    }
    rows: list[list[Part]] = []
    for each in summary["openings"]:
        line = commonest.get(each["words"])
        rows.append(
            [
                str(each["words"]),
                percent(each["share"]),
                f"{line['text']} ({line['texts']:,} texts)" if line else "none is shared",
            ]
        )
    head = ["words of the opening", "share of texts that share theirs", "the commonest"]
    headings = (
        f"{summary['with_headings']:,} of {summary['distinct_texts']:,} texts have headings or"
        f" labels; {summary['sharing_headings']:,} have all of theirs, in order, in common with"
        " another text."
        if summary["with_headings"]
        else "No text has headings or labels."
    )
    return markup(
        "<p>Of the {} distinct texts of the sample, copies left out.</p>{}{}<p>{}</p>{}{}",
        summary["distinct_texts"],
        table(head, rows, words=True, stacked=True),
        _template_list(
            "The phrases of eight words or more that the most texts share", "phrase", found
        ),
        headings,
        _template_list("The commonest sequences of headings", "skeleton", found),
        _template_list("The commonest headings", "heading", found),
    )


def _template_list(title: str, kind: str, found: Redundancy) -> Html:
    lines: list[TemplateLine] = [line for line in found.templates if line["type"] == kind]
    if not lines:
        return Html("")
    items = [
        markup(
            '{} <span class="soft">({}, {} texts, e.g. {})</span>',
            line["text"],
            percent(line["share"]),
            line["texts"],
            ", ".join(_short(each["where"]) for each in line["documents"]),
        )
        for line in lines[:_TEMPLATES_SHOWN]
    ]
    return markup("<h4>{}</h4>{}", title, bullets(items))


def _documents(shown: Sequence[Mapping[str, object]]) -> Html:
    return join(
        (
            markup(
                '{} <span class="soft">({})</span>',
                start_of(str(each["start"]), _START_CHARACTERS),
                f"document {each['document']}, {_short(str(each['where']))}",
            )
            for each in shown
        ),
        "<br>",
    )


def _place(document: int, where: str) -> Html:
    return markup('{}<br><span class="soft">{}</span>', str(document), _short(where))


def _short(where: str) -> str:
    """A place without its folders; clusters.jsonl has it whole."""
    return where.rpartition("/")[2]
