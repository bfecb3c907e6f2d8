"""Studies of the developers' three ladders of real corpora (../shared/data), summed up in
tools/benchmarks/study_ladders.md.

  python tools/benchmarks/study_ladders.py --output=DIR

Every ladder is a study of its own, of all its rungs at three seeds, and this file is its recipe too
(`get_config`). Held-out text is of the ladder's own kind, without anything that a rung holds, and
Wikipedia. The same command continues after an interruption. About an hour on two cores."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
# A ladder and the corpus of the same kind that its held-out text is drawn from.
LADDERS = {
    "textbook_fields": "syn_textbooks_mistral.jsonl.gz",
    "prompts": "syn_alpaca_eval_outputs.jsonl.gz",
    "unique_chatdoctor": "syn_chatdoctor_5k.jsonl.gz",
}


def get_config(ladder: str):
    """The study of `ladder`: that of configs/studies/corpora.py, with fewer steps."""
    sys.path.insert(0, str(ROOT))
    from configs.studies import corpora

    config = corpora.get_config()
    config.name = f"ladder_{ladder}"
    config.corpora = tuple(
        f"{path.name.removesuffix('.jsonl.gz').removeprefix('ladder_')}={path}"
        for path in rungs(ladder)
    )
    config.heldout = (f"same_kind={DATA / LADDERS[ladder]}", f"wiki={DATA / 'real_wiki.jsonl.gz'}")
    config.train.steps = 400
    config.budget.update(train=1200)
    if cache := os.environ.get("DIVSYN_EMBEDDING_CACHE"):
        with config.unlocked():
            config.score.embedding_cache = cache
    return config


def rungs(ladder: str) -> list[pathlib.Path]:
    """The corpora of a ladder, narrow to broad."""
    listed = json.loads((DATA / "ladders.json").read_text())
    return [
        DATA / name
        for entry in listed
        if entry["ladder"] == ladder
        for name in entry["files_in_increasing_diversity"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=pathlib.Path, required=True, help="folder of the three studies"
    )
    output = parser.parse_args().output
    studies = {}
    for ladder in LADDERS:
        workdir = output / ladder
        command = [
            sys.executable,
            "-m",
            "divsyn_jax.study",
            f"--config={__file__}:{ladder}",
            f"--workdir={workdir}",
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        studies[ladder] = json.loads((workdir / "study.json").read_text())
    page = pathlib.Path(__file__).with_suffix(".md")
    page.write_text(_page(studies))
    print(f"wrote {page}")


def _page(studies: dict) -> str:
    environment = next(iter(studies.values()))["environment"]
    lines = [
        "# Studies of the real ladders",
        "",
        (
            "Command: `python tools/benchmarks/study_ladders.py --output=DIR`. A study a ladder,"
            " three seeds a rung; 2,000 documents a corpus; 0.9M parameters, 819,200 training"
            " tokens a run, vocabulary 2,048 trained on equal bytes of the rungs; held-out text of"
            " the ladder's own kind (nothing that a rung holds) and Wikipedia. Commit"
            f" {environment['commit']}, {environment['cores']} CPU cores, Python"
            f" {environment['python']}, jax {environment['jax']}."
        ),
        "",
        (
            "An interval of a score is over draws and documents, one of a performance over seeds."
            " The noise floor is the least difference between two rungs that three seeds each can"
            " tell (5%, one comparison); *r* is Pearson's, Fisher 95% interval, the unit the"
            " corpus. What it shows: NOTES.md, 2026-11-28."
        ),
    ]
    for ladder, study in studies.items():
        outcomes = study["outcomes"]
        lines += [
            "",
            f"## {ladder}",
            "",
            (
                "| rung | effective clusters | duplicates | epochs | same kind, bits/byte | wiki,"
                " bits/byte |"
            ),
            "|---|---|---|---|---|---|",
        ]
        for level in study["levels"]:
            cells = [_estimate(level["performance"][outcome["name"]], 3) for outcome in outcomes]
            lines.append(
                f"| {level['name'].removeprefix(ladder + '_')} |"
                f" {_estimate(level['metrics']['effective_clusters'], 1)} |"
                f" {level['duplicates']:.0%} | {level['epochs']:.1f} | " + " | ".join(cells) + " |"
            )
        floors = [
            f"{outcome['noise_floor']['least_difference']:.3f} (sd"
            f" {outcome['noise_floor']['sd']:.3f})"
            for outcome in outcomes
        ]
        lines += [
            f"| *noise floor* | | | | {' | '.join(floors)} |",
            "",
            "| metric | r with same kind | Spearman | r with wiki | Spearman |",
            "|---|---|---|---|---|",
        ]
        for metric in dict.fromkeys(row["metric"] for row in study["correlations"]):
            rows = [row for row in study["correlations"] if row["metric"] == metric]
            cells = [
                f"{row['estimate']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}] |"
                f" {row['spearman']['estimate']:.2f} (p {row['spearman']['p']:.3f})"
                for row in rows
            ]
            lines.append(f"| {metric.removeprefix('baselines.')} | {' | '.join(cells)} |")
        lines += [
            "",
            *(
                f"- {v['verdict'].upper()}: {v['hypothesis']} ({v['because']})"
                for v in study["verdicts"]
                if v["of"] == "study"
            ),
        ]
    return "\n".join(lines) + "\n"


def _estimate(found: dict, digits: int) -> str:
    return (
        f"{found['value']:.{digits}f} [{found['ci_low']:.{digits}f}, {found['ci_high']:.{digits}f}]"
    )


if __name__ == "__main__":
    main()
