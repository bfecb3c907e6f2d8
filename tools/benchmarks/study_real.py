"""The study of four real corpora of unlike kinds (../shared/data) whose correlation with diversity
turns with the evaluation text; summed up in study_real.md beside this file.

  python tools/benchmarks/study_real.py --output=DIR [--page]

A thousand documents each of instructions, patient and doctor exchanges, code and textbooks, three
seeds, evaluated on Wikipedia and on held-back exchanges and textbooks. What it must end in: no
verdict on diversity, said before training, and closeness named. The same command continues after an
interruption. About eight minutes on two quiet cores."""

import argparse
import gzip
import json
import pathlib
import random
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
CORPORA = {
    "alpaca": "syn_alpaca_2k.jsonl.gz",
    "chatdoctor": "syn_chatdoctor_5k.jsonl.gz",
    "code": "syn_code_alpaca_2k.jsonl.gz",
    "textbooks": "syn_textbooks_mistral.jsonl.gz",
}
HELDOUT = {
    "wiki": "real_wiki.jsonl.gz",
    "medical": "syn_chatdoctor_5k.jsonl.gz",
    "books": "syn_textbooks_mistral.jsonl.gz",
}
DOCUMENTS, HELD_BACK = 1000, 150


def write_texts(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Write the corpora and the held-out texts; returns them as the study is given them.

    Held-out documents follow those of the corpus of the same file, so that none is in both."""
    folder.mkdir(parents=True, exist_ok=True)
    corpora = [
        f"{name}={cut_texts(folder, name, file, 0, DOCUMENTS)}" for name, file in CORPORA.items()
    ]
    heldout = [
        f"{name}={cut_texts(folder, f'heldout_{name}', file, DOCUMENTS, HELD_BACK)}"
        for name, file in HELDOUT.items()
    ]
    return corpora, heldout


def cut_texts(folder: pathlib.Path, name: str, file: str, start: int, count: int) -> pathlib.Path:
    """So many distinct documents of a file, in a seeded order."""
    with gzip.open(DATA / file, "rt", encoding="utf-8") as lines:
        texts = list(dict.fromkeys(json.loads(line)["text"] for line in lines))
    random.Random(0).shuffle(texts)
    path = folder / f"{name}.jsonl"
    chosen = texts[start : start + count]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in chosen), encoding="utf-8")
    return path


def summary(study: dict) -> str:
    """study_real.md: what was said before training, the figures, and the verdicts."""
    outcomes = [outcome["name"] for outcome in study["outcomes"]]
    lines = [
        "# Four real corpora of unlike kinds",
        "",
        "Command: `python tools/benchmarks/study_real.py --output=DIR --page`.",
        "",
        "Said before training:",
        "",
        *(f"- {line}" for line in study["advice"]),
        "",
        f"| corpus | effective clusters | {' | '.join(outcomes)} | closeness, by text |",
        f"|---|---|{'---|' * len(outcomes)}---|",
    ]
    for level in study["levels"]:
        values = [f"{level['performance'][name]['value']:.3f}" for name in outcomes]
        clusters = level["metrics"]["effective_clusters"]
        near = level["closeness"]["of_evaluation"]
        lines.append(
            f"| {level['name']} | {clusters['value']:.1f} [{clusters['ci_low']:.1f},"
            f" {clusters['ci_high']:.1f}] | {' | '.join(values)} |"
            f" {', '.join(f'{text} {bits:.2f}' for text, bits in near.items())} |"
        )
    lines += ["", "Verdicts:", ""]
    for judged in study["verdicts"]:
        if judged["of"] != "paper":
            also = f" Also differ: {'; '.join(judged['beside'])}." if judged["beside"] else ""
            objections = next(
                row["objections"]
                for row in study["correlations"]
                if f"predicts:{row['performance']}" == judged["id"]
                and row["metric"] == study["primary_metric"]
            )
            also += f" What would overturn it: {'; '.join(objections)}." if objections else ""
            lines.append(
                f"- **{judged['verdict']}**: {judged['hypothesis']} ({judged['because']}).{also}"
            )
    lines += ["", f"Not held equal: {'; '.join(study['not_held_equal'])}."]
    return "\n".join(lines) + "\n"


def run_study(
    workdir: pathlib.Path, corpora: list[str], heldout: list[str], *more: str
) -> dict[str, Any]:
    """The results of a study of these corpora, with a third of the steps of its recipe. `more`:
    flags beside."""
    command = [sys.executable, "-m", "divsyn_jax.study", "--config=configs/studies/corpora.py"]
    command += [f"--corpora={' '.join(corpora)}", f"--eval={' '.join(heldout)}"]
    command += ["--config.train.steps=300", "--config.score.max_documents=1000", *more]
    subprocess.run([*command, f"--workdir={workdir}"], cwd=ROOT, check=True)
    found: dict[str, Any] = json.loads((workdir / "study.json").read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--page", action="store_true", help="write study_real.md")
    arguments = parser.parse_args()
    corpora, heldout = write_texts(arguments.output.absolute() / "texts")
    text = summary(run_study(arguments.output.absolute() / "study", corpora, heldout))
    text = text.replace(str(arguments.output.absolute()), "DIR")
    print(text)
    if arguments.page:
        pathlib.Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
