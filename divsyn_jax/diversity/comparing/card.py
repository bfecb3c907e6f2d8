"""A Markdown card of a score, for the page of a data set."""

import re

from divsyn_jax import __version__
from divsyn_jax.base.html import number
from divsyn_jax.base.terminal_text import one_line
from divsyn_jax.diversity.agents.kinds import AGENTS
from divsyn_jax.diversity.comparing.verdict import Change
from divsyn_jax.diversity.comparison import measurement, profiles_of
from divsyn_jax.diversity.redundancy.records import Redundancy
from divsyn_jax.diversity.reporting import answer, enough, redundancy_part
from divsyn_jax.diversity.reporting.tables import GRANULARITY_MEANINGS
from divsyn_jax.diversity.score_records import Score

_KINDS = 5
_METRICS = {
    "effective_clusters": "effective clusters",
    "near_duplicate_clusters": "effective clusters, rewordings as one",
    "cluster_score": "C/S (Chen et al. 2024)",
    "duplicates.exact": "share of documents that repeat an earlier one exactly",
    "duplicates.near": "share of documents that repeat an earlier one exactly or nearly",
}


def score_card(score: Score, found: Redundancy | None, changed: Change | None) -> str:
    """The card.

    Args:
      score: content of score.json.
      found: clusters.jsonl; None where there is none.
      changed: against an old score; None without one.
    """
    corpus, agent = score["corpus"], score["agent"]
    lines = [f"# Diversity of {escaped(corpus['name'])}", ""]
    if changed is not None:
        lines += [escaped(changed.sentence().text()), ""]
    lines += ["| metric | value | 95% interval |", "|---|---|---|"]
    lines += [_row(score, metric, words) for metric, words in _METRICS.items()]
    profiles = profiles_of([score])
    if profiles is not None:
        (profile,) = profiles.values()
        for granularity, meaning in GRANULARITY_MEANINGS.items():
            estimate = profile["granularities"][granularity]
            ends = f"{number(estimate['ci_low'])} to {number(estimate['ci_high'])}"
            lines.append(
                f"| effective clusters, one kind being {meaning} | {number(estimate['value'])} |"
                f" {ends} |"
            )
    said = [*answer.kinds([score]), *answer.saturation([score]), *enough.enough([score])]
    lines += ["", *[escaped(sentence.text()) + "\n" for sentence in said]]
    if found is not None:
        lines += ["## Where it repeats itself", ""]
        lines += [
            escaped(sentence.text()) + "\n"
            for sentence in redundancy_part.sentences(corpus["name"], found)
        ]
        for kind in found.kinds[:_KINDS]:
            words = escaped(", ".join(kind["key_words"])) or "no word tells it apart"
            lines.append(f"{kind['rank']}. {kind['share']:.1%}: {words}")
        lines += [""] * bool(found.kinds)
    lines += [
        "## How this was measured",
        "",
        f"- Corpus: {corpus['documents']:,} documents,"
        f" {corpus['tokens']:,} {escaped(corpus['token_unit'])}.",
        f"- Fingerprint of its text: `{escaped(corpus['fingerprint'])}`.",
        f"- {AGENTS[agent['kind']].explanation} Model: {escaped(str(agent['model'] or 'none'))}.",
        f"- Scored: {escaped(score['population'])}.",
        f"- divsyn_jax {__version__}, seed {score['settings']['seed']}.",
        "- Numbers of another agent, other settings or another number of documents are not"
        " comparable with these.",
        "",
    ]
    return "\n".join(lines)


def _row(score: Score, metric: str, words: str) -> str:
    measured = measurement(score, metric)
    if measured["value"] is None:
        return f"| {words} | - | {escaped(measured.get('reason') or 'not measured')} |"
    is_share = metric.startswith("duplicates")
    value = f"{measured['value']:.2%}" if is_share else number(measured["value"])
    ends = [measured.get("ci_low"), measured.get("ci_high")]
    shown = [f"{end:.2%}" if is_share else number(end) for end in ends if end is not None]
    interval = " to ".join(shown) or "-"
    return f"| {words} | {value} | {interval} |"


def escaped(text: str) -> str:
    """A stranger's text on one line, where neither Markdown nor HTML in it is obeyed."""
    shown = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", shown)
    # What makes a list or a rule at the beginning of a line.
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", shown)
