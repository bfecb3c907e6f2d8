"""Would a small model have chosen the same corpora as a larger one?

  python tools/benchmarks/size_decisions.py --work=DIR --corpora=A,B,C --targets=D,E \\
      [--sizes=1m,4m --seeds=0,1]

Trains configs/modern.py on each corpus alone, at each size of the ladder and with each seed, and
evaluates bits per byte on held-out text of the targets. Two corpora are a decision: which of them
leaves fewer bits. The share of decisions in which a size agrees with the largest is what DataDecide
(Magnusson et al. 2025, arXiv 2504.11393) calls decision accuracy; decisions that the largest size's
own seeds leave open (their 95% t interval of the difference holds zero) are counted apart.

The other options are those of modern_recipe.py, whose data and runs these are. Writes OUTPUT.md and
OUTPUT.json; a finished run is kept."""

import argparse
import dataclasses
import itertools
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from configs import ladder
from divsyn_jax.base import files
from divsyn_jax.statistics.intervals import mean_interval
from tools.benchmarks import modern_recipe
from tools.benchmarks.modern_recipe import MODERN, Trial

# Corpus to size to the bits per byte of each seed, the mean over targets.
Found = Mapping[str, Mapping[str, Sequence[float]]]


@dataclasses.dataclass(frozen=True)
class CorpusTrial(Trial):
    """One run on one corpus."""

    corpus: str = ""

    @property
    def folder(self) -> str:
        """Its folder under runs/."""
        return f"{self.corpus}/{self.size}/seed{self.seed}"


def pairs_apart(of_corpus: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], bool]:
    """For each pair of corpora whether the seeds, paired, tell it apart."""
    apart = {}
    for one, other in itertools.combinations(of_corpus, 2):
        interval = mean_interval(
            [a - b for a, b in zip(of_corpus[one], of_corpus[other], strict=True)]
        )
        low, high = interval["ci_low"], interval["ci_high"]
        apart[one, other] = low is not None and high is not None and not low <= 0 <= high
    return apart


def agreement(
    small: Mapping[str, Sequence[float]], large: Mapping[str, Sequence[float]]
) -> dict[str, int]:
    """In how many pairs of corpora the means of `small` and `large` have the same sign, of all and
    of those that the seeds of `large` tell apart.
    """
    counts = {"pairs": 0, "same": 0, "apart": 0, "apart_same": 0}
    for (one, other), is_apart in pairs_apart(large).items():
        signs = [np.sign(np.mean(found[one]) - np.mean(found[other])) for found in (small, large)]
        is_same = bool(signs[0] == signs[1])
        counts["pairs"] += 1
        counts["same"] += is_same
        counts["apart"] += is_apart
        counts["apart_same"] += is_apart and is_same
    return counts


def page(found: Found, conditions: str) -> str:
    """OUTPUT.md."""
    sizes = sorted(next(iter(found.values())), key=list(ladder.SIZES).index)
    rows = [
        [corpus, *(modern_recipe.shown_interval(of_size[size]) for size in sizes)]
        for corpus, of_size in sorted(found.items(), key=lambda item: np.mean(item[1][sizes[-1]]))
    ]
    lines = [HEAD.format(conditions=conditions), modern_recipe.table(["corpus", *sizes], rows)]
    largest = {corpus: of_size[sizes[-1]] for corpus, of_size in found.items()}
    for size in sizes[:-1]:
        counts = agreement({corpus: of_size[size] for corpus, of_size in found.items()}, largest)
        lines.append(
            f"{size} decides as {sizes[-1]} does in {counts['same']} of {counts['pairs']} pairs of"
            f" corpora, and in {counts['apart_same']} of the {counts['apart']} that the seeds of"
            f" {sizes[-1]} tell apart.\n"
        )
    return "\n".join(lines)


HEAD = """# Decisions between corpora, by the size of the model

Made by `tools/benchmarks/size_decisions.py`. {conditions} Bits per byte of the targets' held-out
text, the mean over targets, after the last step; the best corpus of the largest size first.
Intervals are 95% t intervals over seeds; with one seed there is none, and no pair is told apart.
For scale: of pairs of DataDecide's 25 corpora about 80% are ranked at 150M parameters as they are
at 1B (its abstract; corpora of web text, closer to each other than the ones here).
"""


def _read(settings: argparse.Namespace, names: Sequence[str]) -> Found:
    found: dict[str, dict[str, list[float]]] = {}
    for name, size in itertools.product(names, settings.sizes):
        trials = [CorpusTrial(size, seed, MODERN, corpus=name) for seed in settings.seeds]
        runs = [modern_recipe.read(trial, settings.work) for trial in trials]
        if all(run is not None for run in runs):
            found.setdefault(name, {})[size] = [run["bits_per_byte"] for run in runs if run]
    return {name: of_size for name, of_size in found.items() if len(of_size) == len(settings.sizes)}


def _conditions(
    settings: argparse.Namespace, targets: Sequence[str], unfinished: Sequence[str]
) -> str:
    scales = []
    for size in settings.sizes:
        rung = ladder.rung(size, settings.seq_len)
        tokens = settings.tokens or settings.tokens_per_parameter * rung.parameters
        batch = settings.batch_tokens or rung.global_batch * rung.seq_len
        scales.append(
            f"{size} ({rung.parameters:,} parameters in layers) on {tokens:,.0f} tokens in batches"
            f" of {batch:,}"
        )
    said = (
        f"The modern recipe, {' and '.join(scales)}; windows of {settings.seq_len}, seeds"
        f" {', '.join(map(str, settings.seeds))}. Targets: {', '.join(targets)},"
        f" {settings.heldout_documents} documents of each."
    )
    return f"{said} Not finished, and left out: {', '.join(unfinished)}." if unfinished else said


def main() -> None:
    """Train what is missing, then write the page of all that is there."""
    parser = modern_recipe.command_line(__doc__)
    parser.set_defaults(output=str(pathlib.Path(__file__).with_suffix("")))
    parser.add_argument("--targets", required=True, help="corpora whose held-out text is predicted")
    settings = modern_recipe.settings_of(parser, None)
    targets = settings.targets.split(",")
    names = [pathlib.Path(path).name.partition(".")[0] for path in settings.corpora]
    of_targets = [pathlib.Path(path).name.partition(".")[0] for path in targets]
    settings.corpora = [*settings.corpora, *targets]
    if missing := [path for path in settings.corpora if not os.path.exists(path)]:
        sys.exit(f"{missing[0]}: no such corpus; give --corpora=A,B --targets=C,D")
    settings.work = settings.work.absolute()
    if not settings.no_training:
        data = modern_recipe.prepare(settings)
        data["data.eval"] = ",".join(f"{name}=heldout_{name}:1" for name in of_targets)
        for seed, name, size in itertools.product(settings.seeds, names, settings.sizes):
            trial = CorpusTrial(size, seed, MODERN, corpus=name)
            modern_recipe.train(trial, {**data, "data.train": f"{name}={name}:1"}, settings)
    found = _read(settings, names)
    if len(found) < 2:
        sys.exit(f"{settings.work}: fewer than two corpora are finished at all sizes")
    conditions = _conditions(settings, of_targets, [name for name in names if name not in found])
    record: dict[str, Any] = {"targets": of_targets, "bits_per_byte": found}
    files.write_json(f"{settings.output}.json", record)
    files.write_text(f"{settings.output}.md", page(found, conditions))
    print(f"wrote {settings.output}.md and {settings.output}.json")


if __name__ == "__main__":
    main()
