"""The part of a score's report that shows a corpus and its first draws."""

from collections.abc import Mapping, Sequence

from divsyn_jax.base.html import Html, as_html, bullets, details, join, markup, table
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import DrawRecord, Score

_DRAWS_SHOWN = 5
_CHARACTERS_SHOWN = 400
_FAILURES_SHOWN = 20


def corpus_part(score: Score, sample: Sample, records: Sequence[DrawRecord]) -> Html:
    """Facts of a corpus, its first draws and the draws that failed.

    `records`: those of draws.jsonl."""
    corpus = score["corpus"]
    counts = (
        f"{corpus['documents']:,} documents, {corpus['tokens']:,} {corpus['token_unit']};"
        f" {corpus['malformed']:,} malformed and {corpus['empty']:,} empty ones were left out"
    )
    position = {int(index): place for place, index in enumerate(sample.index_N)}
    drawn = join(_draw(record, sample, position) for record in records[:_DRAWS_SHOWN])
    failed = [
        markup("draw {}: {}", failure["draw"] + 1, "; ".join(failure["problems"]))
        for failure in score["failures"][:_FAILURES_SHOWN]
    ]
    if len(score["failures"]) > len(failed):
        failed.append(markup("and {} more", len(score["failures"]) - len(failed)))
    failures = (
        details(f"{len(score['failures'])} failed draws", bullets(failed)) if failed else Html("")
    )
    return markup(
        '<h3>{}</h3><p class="soft">Read from {}: {}. Scored: {}. Fingerprint of its text:'
        " <code>{}</code>.</p>{}{}",
        corpus["name"],
        corpus["path"],
        counts,
        score["population"]
        if isinstance(score["population"], str)
        else as_html(score["population"]),
        corpus["fingerprint"],
        drawn,
        failures,
    )


def _draw(record: DrawRecord, sample: Sample, position: Mapping[int, int]) -> Html:
    rows = []
    for cluster, document in sorted(zip(record["clusters"], record["documents"], strict=True)):
        place = position[document]
        shown = sample.texts[place][:_CHARACTERS_SHOWN]
        cut = "..." if len(sample.texts[place]) > _CHARACTERS_SHOWN else ""
        rows.append([str(cluster + 1), sample.wheres[place], shown + cut])
    summary = (
        f"Draw {record['draw'] + 1}: {max(record['clusters']) + 1} clusters of {len(rows)}"
        " documents"
    )
    body = table(["cluster", "place", "document"], rows, words=True)
    return details(summary, _named(record), body)


def _named(record: DrawRecord) -> Html:
    """The agent's own words about its clusters, and the verdicts on them."""
    if "named" not in record:
        return Html("")
    members = {
        entry["cluster"]: [
            place + 1
            for place, cluster in enumerate(record["agent_clusters"])
            if cluster == entry["cluster"]
        ]
        for entry in record["named"]
    }
    verdict = {True: "valid", False: "invalid: split", None: "single"}
    rows = [
        [
            f"{entry['cluster'] + 1} ({len(members[entry['cluster']])} documents)",
            entry["name"],
            entry["reason"],
            verdict[entry.get("valid")],
            entry.get("verdict", ""),
        ]
        for entry in record["named"]
    ]
    return markup(
        '<p class="soft">As the agent grouped them, by criteria set {}:</p>{}',
        record["criteria_set"] + 1,
        table(["cluster", "name", "reason", "verification", "why"], rows, words=True),
    )
