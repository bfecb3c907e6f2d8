"""Is a selected quarter of a corpus a better training set than a random quarter? Two studies of
real synthetic text (../shared/data), summed up in study_selection.md beside this file.

  python tools/benchmarks/study_selection.py --output=DIR [--page]

`divsyn curate --keep=0.25` by each of its ways, and twice at random, cut to equal text; models of
equal training, three seeds, evaluated on held-back text of the same kind and on Wikipedia. What two
random quarters differ by is the noise that a selection must beat. The same command continues after
an interruption. About 25 minutes on two quiet cores."""

import argparse
import math
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from scipy import stats
from study_real import ROOT, cut_texts, run_study

CORPORA = {
    "chatdoctor": "syn_chatdoctor_5k.jsonl.gz",
    "alpaca_eval": "syn_alpaca_eval_outputs.jsonl.gz",
}
WAYS = {  # name: the flags of divsyn curate
    "facility_location": ("--by=facility_location",),
    "novelsum": ("--by=novelsum",),
    "kinds": ("--by=kinds",),
    "random_1": ("--by=random", "--seed=1"),
    "random_2": ("--by=random", "--seed=2"),
}
POOL, HELD_BACK, KEEP = 4000, 150, 0.25


def write_quarters(folder: pathlib.Path, file: str) -> tuple[list[str], list[str]]:
    """Curate the corpus in every way; returns corpora and held-out texts as a study takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = cut_texts(folder, "whole", file, 0, POOL)
    heldout = [f"same_kind={cut_texts(folder, 'heldout', file, POOL, HELD_BACK)}"]
    heldout.append(f"wiki={cut_texts(folder, 'wiki', 'real_wiki.jsonl.gz', 0, HELD_BACK)}")
    corpora = []
    for name, flags in WAYS.items():
        output = folder / name
        if not (output / "curation.json").exists():
            command = [sys.executable, "-m", "divsyn_jax", "curate", str(whole), *flags]
            command += ["--dedup=", f"--keep={KEEP}", f"--output={output}"]
            subprocess.run(command, cwd=ROOT, check=True)
        corpora.append(f"{name}={output / 'documents.jsonl.zst'}")
    return corpora, heldout


def differences(study: dict[str, Any], outcome: str) -> list[str]:
    """A table row for each selection: its mean, and that less the mean of both random quarters,
    paired by seed, with a 95% t interval over seeds; last what the random quarters differ by.
    """
    values: dict[str, list[float]] = {}
    for run in sorted(study["runs"], key=lambda run: run["seed"]):
        values.setdefault(run["level"], []).append(run["metrics"][f"eval/{outcome}"])
    by_chance = [(a + b) / 2 for a, b in zip(values["random_1"], values["random_2"], strict=True)]
    clusters = {
        level["name"]: level["metrics"]["effective_clusters"]["value"] for level in study["levels"]
    }
    rows = []
    for name, own in values.items():
        other = values["random_2"] if name == "random_1" else by_chance
        if name == "random_2":
            continue
        label = "random_1, less random_2" if name == "random_1" else name
        gains = [a - b for a, b in zip(own, other, strict=True)]
        rows.append(
            f"| {label} | {clusters[name]:.1f} | {statistics.fmean(own):.4f} |"
            f" {_with_interval(gains)} |"
        )
    return rows


def _with_interval(values: list[float]) -> str:
    mean, count = statistics.fmean(values), len(values)
    half = float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(values) / math.sqrt(count)
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--page", action="store_true", help="write study_selection.md")
    arguments = parser.parse_args()
    lines = [
        "# Is a selected quarter a better training set than a random one?",
        "",
        "Command: `python tools/benchmarks/study_selection.py --output=DIR --page`. A pool of"
        f" {POOL:,} documents each; bits per byte, lower is better; differences are paired by seed,"
        " with 95% t intervals over the seeds: what two random quarters differ by is the noise"
        " floor.",
    ]
    for name, file in CORPORA.items():
        folder = arguments.output.absolute() / name
        corpora, heldout = write_quarters(folder / "texts", file)
        study = run_study(folder / "study", corpora, heldout, "--config.equal_text=True")
        for outcome in (outcome["name"] for outcome in study["outcomes"]):
            lines += [
                "",
                f"## {name}, {outcome}",
                "",
                "| chosen by | effective clusters | bits per byte | less random |",
                "|---|---|---|---|",
                *differences(study, outcome),
            ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.page:
        pathlib.Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
