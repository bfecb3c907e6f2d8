"""The part of report.html that shows the draws of a corpus, and what the agent said of them."""

from collections.abc import Mapping, Sequence

from divsyn_jax.base.html_page import table, text
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_file import DrawRecord, Score

_DRAWS_SHOWN = 5
_CHARACTERS_SHOWN = 400


def corpus_section(score: Score, sample: Sample, records: Sequence[DrawRecord]) -> str:
    """What a corpus is, its first draws and its failed ones."""
    corpus = score["corpus"]
    facts = {
        key: corpus[key]
        for key in ("path", "documents", "tokens", "malformed", "empty", "fingerprint")
    }
    position = {int(index): place for place, index in enumerate(sample.index_N)}
    drawn = "".join(_draw(record, sample, position) for record in records[:_DRAWS_SHOWN])
    failed = "".join(
        f"<li>draw {failure['draw'] + 1}: {text('; '.join(failure['problems']))}</li>"
        for failure in score["failures"][:20]
    )
    failures = (
        f"<details><summary>{len(score['failures'])} failed"
        f" draws</summary><ul>{failed}</ul></details>"
        if failed
        else ""
    )
    return (
        f'<h3>{text(corpus["name"])}</h3><p class="soft">{text(facts)}; scored:'
        f" {text(score['population'])}.</p>{drawn}{failures}"
    )


def _draw(record: DrawRecord, sample: Sample, position: Mapping[int, int]) -> str:
    rows = []
    for cluster, document in sorted(zip(record["clusters"], record["documents"], strict=True)):
        place = position[document]
        shown = sample.texts[place][:_CHARACTERS_SHOWN]
        cut = "..." if len(sample.texts[place]) > _CHARACTERS_SHOWN else ""
        rows.append([str(cluster + 1), text(sample.wheres[place]), text(shown + cut)])
    summary = (
        f"Draw {record['draw'] + 1}: {max(record['clusters']) + 1} clusters of {len(rows)}"
        " documents"
    )
    body = table(["cluster", "place", "document"], rows, words=True)
    return f"<details><summary>{summary}</summary>{_named(record)}{body}</details>"


def _named(record: DrawRecord) -> str:
    """The agent's own words about its clusters, and the verdicts on them."""
    if "named" not in record:
        return ""
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
            text(entry["name"]),
            text(entry["reason"]),
            verdict[entry.get("valid")],
            text(entry.get("verdict", "")),
        ]
        for entry in record["named"]
    ]
    note = (
        '<p class="soft">As the agent grouped them, by criteria set'
        f" {record['criteria_set'] + 1}:</p>"
    )
    return note + table(["cluster", "name", "reason", "verification", "why"], rows, words=True)
