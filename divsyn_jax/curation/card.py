"""The dataset card of a curated corpus: what was dropped, why, and what that did."""

from collections.abc import Mapping
from typing import Any

from divsyn_jax.base import terminal_text

_TITLES = {
    "effective_clusters": "effective clusters",
    "cluster_score": "C/S",
    "near_duplicates": "share of near-duplicates",
    "exact_duplicates": "share of exact duplicates",
}


def write_curation_card(summary: Mapping[str, Any]) -> str:
    """Markdown for people, with the header that dataset hubs read.

    Args: summary: the content of curation.json.
    """
    before, after = summary["before"], summary["after"]
    share = after["documents"] / before["documents"]
    parts = [
        "---\nconfigs:\n- config_name: default\n"
        f"  data_files: {after['file']}\ntags:\n- curated\n- divsyn_jax\n---\n",
        "# Curated corpus\n",
        f"{after['documents']:,} of the {before['documents']:,} documents ({share:.1%}) of"
        f" {_code(summary['corpus'])}, {after['words']:,} of {before['words']:,} words."
        " Records are as they were.\n",
        "## What was dropped\n",
        _dropped(summary),
        "curation.json names every dropped document and what it repeats; clusters.jsonl gathers the"
        " copies of a document.\n",
        "## Diversity\n",
        _scores(summary["scores"]),
        "## Other properties\n",
        _covariates(summary["covariates"]),
        "## Identity\n",
        _table(
            ["corpus", "fingerprint of the texts in order (SHA-256)"],
            [["before", before["fingerprint"]], ["after", after["fingerprint"]]],
        ),
        "## Settings\n",
        _table(
            ["setting", "value"],
            [
                [name, _code(value)]
                for name, value in summary["settings"].items()
                if value not in (None, [], "") and not isinstance(value, Mapping)
            ],
        ),
    ]
    return "\n".join(parts)


def _dropped(summary: Mapping[str, Any]) -> str:
    total = summary["before"]["documents"]
    rows = [
        [reason.replace("_", " "), f"{count:,}", f"{count / total:.2%}", summary["reasons"][reason]]
        for reason, count in summary["dropped_by_reason"].items()
        if count
    ]
    text = _table(["reason", "documents", "share", "meaning"], rows) if rows else "Nothing.\n"
    skipped = summary["before"]["malformed"]
    if skipped:
        text += f"\n{skipped:,} malformed records were skipped.\n"
    items = summary["evaluation_items"]
    if items is not None:
        text += (
            f"\nOf {items['items']:,} evaluation items {items['leaked']:,} were found in documents"
            f" ({items['words_in_a_row']} words in a row; a text of {items['fewest_words']} to"
            f" {items['words_in_a_row'] - 1} words counts whole). {items['unchecked']:,} items are"
            " shorter and were not looked for by their words.\n"
        )
    return text


def _scores(scores: Mapping[str, Any]) -> str:
    if "reason" in scores:
        return f"Not measured: {terminal_text.one_line(scores['reason'])}\n"
    names = [name for name in ("before", "after", "random") if name in scores]
    rows = [
        [_TITLES[metric], *(_value(scores[name][metric]) for name in names)] for metric in _TITLES
    ]
    text = _table(["metric [95% interval]", *names], rows)
    text += f"\n{scores['verdict']}\n\nOf each corpus {scores['documents']:,} documents were"
    text += " sampled and scored as by score_corpus with the embedding agent, a proxy."
    if "random" in scores:
        text += " random: as many documents as after, drawn from what the selection chose among."
    text += " Intervals take the corpora for independent samples, though after is part of before."
    return text + "\n"


def _covariates(covariates: Mapping[str, Any]) -> str:
    names = list(next(iter(covariates.values())))
    rows = [
        [_plain(name), *(_moments(of[corpus]) for corpus in names)]
        for name, of in covariates.items()
    ]
    return _table(["mean (standard error)", *names], rows)


def _moments(found: Mapping[str, Any]) -> str:
    if found["mean"] is None:
        return "-"
    error = "" if found["standard_error"] is None else f" ({found['standard_error']:.3g})"
    missing = f"; {found['missing']:,} without" if found["missing"] else ""
    return f"{found['mean']:.4g}{error}{missing}"


def _value(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "-"
    ends = [f"{found[end]:.3g}" for end in ("low", "high") if found[end] is not None]
    return f"{found['value']:.3g}" + (f" [{', '.join(ends)}]" if ends else "")


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(text: object) -> str:
    """Foreign text in a cell: one line in which Markdown sees no mark."""
    shown = terminal_text.one_line(str(text), 500)
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>|#" else sign for sign in shown)


def _code(value: object) -> str:
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"`{terminal_text.one_line(shown, 500).replace('`', chr(39)).replace('|', '/')}`"
