"""Writes tools/benchmarks/ladder_numbers.md: does the uncalibrated number order the ladders of the
developers' corpora, and does its range hold the true number?

  python tools/benchmarks/ladder_numbers.py ../shared/data [--ladders=prompts,intents]
      [--embedding_cache=DIR]

Each ladder is compared as a user would compare its files: one `compare` with the defaults. A rung
of known labels has the true number of kinds, that of its sample; the rank correlation is with the
order of the files. The table is written after every ladder; those of earlier runs stay in it."""

import argparse
import json
import pathlib
import sys
from collections import Counter
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from scipy import stats

from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity import compare
from divsyn_jax.diversity.estimation.exact import true_effective_clusters
from divsyn_jax.diversity.sampling import read_sample

OUTPUT = pathlib.Path(__file__).with_suffix(".md")
LABELS = {"prompts": "prompt", "intents": "category"}
HEAD = """# The uncalibrated number on the ladders

Made by `tools/benchmarks/ladder_numbers.py`, one comparison a ladder with the defaults. `headline`
is effective clusters with its interval, `topics` the number at that granularity, `range` that over
the band of granularities, `truth` the effective number of labels.
"""


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="that holds ladders.json")
    parser.add_argument("--ladders", default="", help="names, by commas; all by default")
    parser.add_argument("--embedding_cache", help="folder that keeps vectors between runs")
    asked = parser.parse_args()
    sections = _sections()
    for ladder in json.loads((asked.folder / "ladders.json").read_text()):
        name = ladder["ladder"]
        if asked.ladders and name not in asked.ladders.split(","):
            continue
        paths = [asked.folder / file for file in ladder["files_in_increasing_diversity"]]
        sections[name] = _section(name, paths, asked.embedding_cache)
        print(sections[name], flush=True)
        body = "".join(f"\n## {each}\n{text}" for each, text in sections.items())
        OUTPUT.write_text(HEAD + body, encoding="utf-8")


def _sections() -> dict[str, str]:
    if not OUTPUT.exists():
        return {}
    parts = OUTPUT.read_text(encoding="utf-8").split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].rstrip("\n") + "\n" for part in parts}


def _section(name: str, paths: list[pathlib.Path], cache: str | None) -> str:
    label_field = LABELS.get(name)
    corpora = {_short(path): str(path) for path in paths}
    found = compare(corpora, **({"embedding_cache": cache} if cache else {}))
    values = [found.scores[_short(path)]["effective_clusters"] for path in paths]
    lines = [
        "",
        "| rung | headline | topics | range | truth | topics off | range holds truth |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    held = []
    for path, value in zip(paths, values, strict=True):
        truth = _truth(path, label_field) if label_field else None
        lines.append(_row(_short(path), value, truth))
        if truth is not None:
            held.append(value["range"]["low"] <= truth <= value["range"]["high"])
    rank = stats.spearmanr(range(len(values)), [value["value"] for value in values]).statistic
    order = [_short(path) for path in paths]
    wrong = [
        f"{row['first']} and {row['second']}"
        for row in found["differences"]
        if row["metric"] == "effective_clusters"
        and row["p_value_holm"] is not None
        and row["p_value_holm"] < 0.05
        and (row["difference"] > 0) != (order.index(row["second"]) > order.index(row["first"]))
    ]
    lines += ["", f"Spearman's correlation with the known order: {rank:.3f}."]
    lines.append(f"Told apart in the wrong order: {', '.join(wrong) or 'none'}.")
    if held:
        lines.append(f"The range holds the truth on {sum(held)} of {len(held)} rungs.")
    return "\n".join(lines) + "\n"


def _row(name: str, value: dict[str, Any], truth: float | None) -> str:
    topics, band = value["granularities"]["topics"]["value"], value["range"]
    cells = [
        name,
        f"{value['value']:.2f} [{value['ci_low']:.2f}, {value['ci_high']:.2f}]",
        f"{topics:.2f}",
        f"{band['low']:.2f} to {band['high']:.2f}",
    ]
    if truth is None:
        cells += ["", "", ""]
    else:
        inside = band["low"] <= truth <= band["high"]
        cells += [f"{truth:.1f}", f"{topics / truth - 1:+.0%}", "yes" if inside else "no"]
    return f"| {' | '.join(cells)} |"


def _truth(path: pathlib.Path, label_field: str) -> float:
    sample = read_sample(str(path), ReadOptions(), documents=5000, label_field=label_field, seed=0)
    return true_effective_clusters(list(Counter(sample.labels).values()))


def _short(path: pathlib.Path) -> str:
    return path.name.split(".")[0].removeprefix("ladder_")


if __name__ == "__main__":
    main()
