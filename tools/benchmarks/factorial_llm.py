"""Writes tools/benchmarks/factorial_llm.md: factorial corpora selected from real LLM text, and the
study of them in miniature.

  python tools/benchmarks/factorial_llm.py --workdir=DIR [--data=../shared/data] [--page_only]

The pools are the ladders of the developers' data: answers of language models to instructions, and
passages of LLM-written textbooks. The same command continues after an interruption; --page_only
writes the page of what is there. Figures only: no text of the pools is in the page."""

import argparse
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from divsyn_jax.base import files
from divsyn_jax.statistics.factorial import detectable_effect
from divsyn_jax.study.factorial import pools

OUTPUT = pathlib.Path(__file__).with_suffix(".md")
DATA = ROOT.parent / "shared" / "data"
POOLS = {"answers": "ladder_prompts_k*.jsonl.gz", "textbooks": "ladder_textbook_fields_k*.jsonl.gz"}
MINIATURE = {
    "seeds": "(0,1)",
    "train.steps": 40,
    "train.optimizer.warmup_steps": 20,
    "heldout_documents": 48,
}
MORE_SEEDS = (3, 5, 10)

HEAD = """# Factorial corpora selected from real LLM text

Command: `python tools/benchmarks/factorial_llm.py --workdir=DIR`. Pools: answers of language models
to instructions and LLM-written textbook passages (`ladder_prompts_k*`, `ladder_textbook_fields_k*`
of the developers' data, each document once), a source each. The recipe is
configs/studies/factorial_llm.py.
"""


def run(workdir: pathlib.Path, data: pathlib.Path) -> None:
    """Run the study in miniature."""
    corpora = " ".join(f"{name}={data / pattern}" for name, pattern in POOLS.items())
    command = [
        *(sys.executable, "-m", "divsyn_jax.study", "--parallel=1"),
        f"--config={ROOT / 'configs' / 'studies' / 'factorial_llm.py'}",
        f"--corpora={corpora}",
        f"--workdir={workdir}",
        *(f"--config.{key}={value}" for key, value in MINIATURE.items()),
    ]
    subprocess.run(command, check=True, cwd=ROOT)


def design_lines(design: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What the selection reached."""
    corpora = design["corpora"]
    words = [each["words"] for each in corpora.values()]
    documents = {each["documents"] for each in corpora.values()}
    mixes = {tuple(each["sources"].items()) for each in corpora.values()}
    shared = "; ".join(
        ", ".join(f"{count} of {source}" for source, count in mix) for mix in sorted(mixes)
    )
    there = ", ".join(f"{source} {count:,}" for source, count in design["sources"].items())
    lines = [
        "## The design",
        "",
        f"{len(corpora) - 1} corpora and a twin of {' or '.join(map(str, sorted(documents)))}"
        f" documents, chosen of {design['candidates']:,} candidates (documents of"
        f" {settings['min_words']} to {settings['max_words']} words: {there}). No document is in"
        " two corpora or in held-out text.",
        "",
        "| facet (effective number) | a random deal | low corpora | high corpora | high over low |",
        "|---|---|---|---|---|",
    ]
    for name, found in design["facets"].items():
        (low, lowest_high), (high, highest) = found["low"], found["high"]
        lines.append(
            f"| {name} | {found['at_random']:.2f} | {low:.2f} to {lowest_high:.2f} |"
            f" {high:.2f} to {highest:.2f} | {high / lowest_high:.1f} |"
        )
    lines += [
        "",
        f"- |r| between two facets over the corpora: {design['largest_r']:.4f} at most ("
        + "; ".join(f"{pair}: {r:+.4f}" for pair, r in design["correlations"].items())
        + ").",
        f"- Sources, every corpus alike: {shared}.",
        f"- Words a document, mean of a corpus: {min(words):.1f} to {max(words):.1f}"
        f" ({max(words) / min(words) - 1:.1%} apart); equal documents of each of"
        f" {settings['length_bins']} bins of length of each source.",
        "- Held-out text: "
        + ", ".join(f"{name} {count}" for name, count in design["heldout"].items())
        + " documents.",
        "",
    ]
    return lines


def study_lines(study: Mapping[str, Any]) -> list[str]:
    """What the study found, and what more seeds could."""
    found, recipe = study["factorial"], study["recipe"]
    train = recipe["train"]
    tokens = train["steps"] * train["global_batch"] * train["seq_len"]
    lines = [
        "## The study in miniature",
        "",
        f"{len(found['corpora'])} corpora and a twin x {len(recipe['seeds'])} seeds,"
        f" {train['steps']} steps, {tokens:,} training tokens a run. Effect: bits per byte of a"
        " high corpus less those of a low one (95% interval, p corrected by Holm over the main"
        " effects); negative is better.",
        "",
    ]
    mains = [e for e in found["outcomes"][0]["effects"] if e["order"] == 1]
    lines += [
        f"| held-out text | {' | '.join(e['name'] for e in mains)} | sd of a run |",
        "|---|" + "---|" * (len(mains) + 1),
    ]
    for outcome in found["outcomes"]:
        cells = [
            f"{e['value']:+.4f} [{e['ci_low']:+.4f}, {e['ci_high']:+.4f}] p = {e['p_holm']:.2g}"
            for e in outcome["effects"]
            if e["order"] == 1
        ]
        sd = f"{outcome['error_sd']:.4f} ({outcome['error_of']})"
        lines.append(f"| {outcome['outcome']} | {' | '.join(cells)} | {sd} |")
    lines += ["", "Verdicts:", ""]
    lines += [
        f"- {each['hypothesis']}: **{each['verdict']}** ({each['because']})"
        for each in study["verdicts"]
    ]
    near = next(each for each in found["responses"] if each["metric"] == "duplicates.near")
    lines += [
        "",
        f"Not held equal: {'; '.join(study['not_held_equal'])}; documents with a near duplicate in"
        f" their corpus: {near['low']:.0%} to {near['high']:.0%}. Said before training:"
        f" {' '.join(study['advice'])}.",
        "",
        *response_lines(found),
    ]
    lines += ["## What a run on a GPU would add", ""]
    outcome, corpora = found["outcomes"][0], len(found["corpora"])
    reached = [level["performance"][outcome["outcome"]]["value"] for level in study["levels"]]
    powers = []
    for seeds in MORE_SEEDS:
        freedom = (corpora - 1) * (seeds - 1)
        least = detectable_effect(outcome["seed_sd"], corpora * seeds, freedom, len(mains))
        powers.append(f"{seeds} seeds {least:.4f}")
    lines += [
        f"- Models that have learnt something: these end at {min(reached):.2f} to"
        f" {max(reached):.2f} on {outcome['outcome']}. What facets do in"
        " the first steps, where a narrow corpus may be learnt sooner, need not be what they"
        " do later.",
        f"- Power: an effect of {outcome['detectable']:.4f} on {outcome['outcome']} is found here"
        f" in 80% of studies, the error being that of {outcome['error_of']}. By seeds alone (sd"
        f" {outcome['seed_sd']:.4f}): {', '.join(powers)}. What corpora of one cell differ in"
        " beyond their facets no seed averages out; more corpora a cell, and larger ones, would.",
        "- Held-out text other than the pools' own, and tasks: neither is asked here.",
    ]
    return lines


def response_lines(found: Mapping[str, Any]) -> list[str]:
    """What each metric sees: shares of its variance between the corpora."""
    seen = [each for each in found["responses"] if each["shares"]]
    factors = list(seen[0]["shares"])
    lines = [
        "What each metric sees, % of its variance between the corpora (facets: their own, since"
        " corpora were selected by them):",
        "",
    ]
    lines += [f"| metric | {' | '.join(factors)} |", "|---|" + "---|" * len(factors)]
    for each in seen:
        shares = (f"{100 * each['shares'][factor]:.0f}" for factor in factors)
        lines.append(f"| {each['metric']} | {' | '.join(shares)} |")
    return [*lines, ""]


def page(workdir: pathlib.Path) -> str:
    """The whole page, of what is there."""
    recipe = files.read_json(workdir / "recipe.json")["recipe"]
    design = files.read_json(pools.design_path(workdir))
    lines = [HEAD, *design_lines(design, pools.selection_settings(recipe))]
    results = workdir / "study.json"
    if results.exists():
        lines += study_lines(files.read_json(results))
    else:
        lines += ["## The study in miniature", "", "Not run: the figures above are the selection."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--workdir", type=pathlib.Path, required=True)
    asked.add_argument("--data", type=pathlib.Path, default=DATA)
    asked.add_argument("--page_only", action="store_true")
    given = asked.parse_args()
    if not given.page_only:
        run(given.workdir, given.data)
    files.write_text(OUTPUT, page(given.workdir))


if __name__ == "__main__":
    main()
