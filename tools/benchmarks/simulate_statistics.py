"""Validate the study's statistics on simulated studies with known truth; writes
simulate_statistics.md beside this file.

  python tools/benchmarks/simulate_statistics.py [--studies=4000]

Each row is a procedure at a number of corpora: how often its interval covers the truth (claimed:
95%), how often it finds what is not there (at most 5%), or how often it finds what is (against the
power it predicts). Four minutes on two cores."""

import dataclasses
import math
import pathlib
import sys
from collections.abc import Callable

import numpy as np
from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from divsyn_jax import statistics
from divsyn_jax.base import commandline, files
from divsyn_jax.statistics import ItemScores

_STUDIES = flags.DEFINE_integer(
    "studies", 4000, "Simulated studies a row (a tenth of it for the bootstraps).", 100
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table:

    `observed` of `studies` simulated studies, beside what was predicted.
    """

    procedure: str
    setting: str
    quantity: str
    observed: float
    predicted: float
    studies: int

    @property
    def stderr(self) -> float:
        """Monte Carlo standard error of `observed`."""
        return math.sqrt(max(self.observed * (1 - self.observed), 1e-4) / self.studies)


def corpora(generator: np.random.Generator, n: int, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Score and performance of `n` corpora from a population in which they correlate at `r`."""
    x = generator.standard_normal(n)
    return x, r * x + math.sqrt(1 - r * r) * generator.standard_normal(n)


def rate(event: Callable[[np.random.Generator], bool], studies: int, seed: int) -> float:
    """Share of simulated studies in which `event` happens."""
    generator = np.random.default_rng(seed)
    return sum(event(generator) for _ in range(studies)) / studies


def fisher_coverage(n: int, r: float, studies: int) -> Row:
    """Does Pearson's Fisher interval cover the population's r?"""

    def covers(generator: np.random.Generator) -> bool:
        found = statistics.pearson(*corpora(generator, n, r))
        return found["ci_low"] <= r <= found["ci_high"]

    return Row(
        "Pearson, Fisher interval",
        f"n={n}, r={r}",
        "coverage",
        rate(covers, studies, n),
        0.95,
        studies,
    )


def false_alarms(name: str, n: int, studies: int) -> Row:
    """How often does a test reject where there is nothing to find?"""

    def rejects(generator: np.random.Generator) -> bool:
        x, y = corpora(generator, n, 0.0)
        if name == "Pearson":
            p = statistics.pearson(x, y)["p"]
        elif name == "Spearman":
            p = statistics.spearman(x, y)["p"]
        elif name == "curvature":
            p = statistics.curvature(x, 0.8 * x + 0.6 * y)["p"]
        elif name == "Holm over 5 metrics":
            metrics = [0.7 * x + 0.7 * generator.standard_normal(n) for _ in range(5)]
            p = min(statistics.holm([statistics.pearson(metric, y)["p"] for metric in metrics]))
        else:  # two metrics that see the same thing equally well
            one, two = (
                x + 0.5 * generator.standard_normal(n),
                x + 0.5 * generator.standard_normal(n),
            )
            p = statistics.compare_dependent(one, two, 0.8 * x + 0.6 * y)["p"]
        return p < 0.05

    return Row(name, f"n={n}", "type I error", rate(rejects, studies, n), 0.05, studies)


def power(n: int, studies: int) -> Row:
    """At the r that 80% power needs, does the t test find it in 80% of studies?"""
    r = statistics.detectable_r(n)
    found = rate(lambda g: statistics.pearson(*corpora(g, n, r))["p"] < 0.05, studies, n)
    return Row("Pearson", f"n={n}, r={r:.3f}", "power", found, 0.8, studies)


def confounded(n: int, studies: int) -> list[Row]:
    """Performance follows repetition alone, and so does most of the score:

    naive correlation high, partial one null.
    """

    def draw(generator: np.random.Generator):
        repetition = generator.standard_normal(n)
        score = -0.85 * repetition + math.sqrt(1 - 0.85**2) * generator.standard_normal(n)
        performance = -0.95 * repetition + math.sqrt(1 - 0.95**2) * generator.standard_normal(n)
        return score, performance, repetition

    naive = rate(lambda g: statistics.pearson(*draw(g)[:2])["p"] < 0.05, studies, n)

    def verdicts(generator: np.random.Generator):
        return statistics.partial(*draw(generator))

    generator = np.random.default_rng(n)
    found = [verdicts(generator) for _ in range(studies)]
    answered = [row for row in found if row["p"] is not None]
    error = sum(row["p"] < 0.05 for row in answered) / len(answered)
    covered = sum(row["ci_low"] <= 0 <= row["ci_high"] for row in answered) / len(answered)
    setting = f"n={n}, score and performance both follow repetition"
    chance = np.tanh(math.atanh(0.85 * 0.95))
    return [
        Row(
            "Pearson, naive",
            f"{setting} (r={chance:.2f})",
            "finds a correlation",
            naive,
            math.nan,
            studies,
        ),
        Row("partial, given repetition", setting, "type I error", error, 0.05, len(answered)),
        Row("partial, given repetition", setting, "coverage of 0", covered, 0.95, len(answered)),
    ]


def noisy_study(generator: np.random.Generator, n: int, seeds: int, items: int, r: float):
    """A study with noise in everything: (true x, true y, scores, their standard errors, per-item
    results).

    Draw noise of sd 0.25, seed noise of 0.35 and item noise of 3 a document (0.25 over 150),
    against a spread of 1 between corpora; documents differ in difficulty, and by corpus."""
    x, y = corpora(generator, n, r)
    stderr = np.full(n, 0.25)
    size = generator.gamma(4, 1, items)
    size /= size.mean()
    noise = 3 * generator.standard_normal((n, 1, items)) + 2 * generator.standard_normal(
        (1, 1, items)
    )
    seed_noise = 0.35 * generator.standard_normal((n, seeds, 1))
    numerator = (
        y[:, None, None] + seed_noise + noise + 1.0 * generator.standard_normal((n, seeds, items))
    ) * size
    return x, y, x + stderr * generator.standard_normal(n), stderr, ItemScores(numerator, size)


def paired_coverage(seeds: int, studies: int) -> Row:
    """Does the paired interval cover the true difference of two corpora?"""

    def covers(generator: np.random.Generator) -> bool:
        _, y, _, _, both = noisy_study(generator, 2, seeds, 150, 0.0)
        one, two = (ItemScores(both.numerator_CMI[i : i + 1], both.denominator_I) for i in (0, 1))
        found = statistics.paired_difference([one], [two])
        return found["ci_low"] <= y[1] - y[0] <= found["ci_high"]

    return Row(
        "paired difference",
        f"{seeds} seeds, 150 documents",
        "coverage",
        rate(covers, studies, seeds),
        0.95,
        studies,
    )


def table(studies: int) -> list[Row]:
    """Every row of the table."""
    few = max(100, studies // 4)
    rows = [fisher_coverage(n, r, studies) for n in (4, 5, 6, 8, 12) for r in (0.0, 0.6, 0.9)]
    for name in (
        "Pearson",
        "Spearman",
        "curvature",
        "Holm over 5 metrics",
        "Williams, equal metrics",
    ):
        rows += [
            false_alarms(name, n, few if name == "Spearman" else studies) for n in (5, 6, 8, 10)
        ]
    rows += [power(n, studies) for n in (5, 6, 8, 10, 14)]
    rows += [row for n in (6, 8, 10, 12) for row in confounded(n, studies)]
    rows += [paired_coverage(seeds, few) for seeds in (2, 3, 5)]
    return rows


def markdown(rows: list[Row], studies: int) -> str:
    """The table as Markdown."""
    lines = [
        "# The study's statistics on simulated studies with known truth",
        "",
        (
            f"`python tools/benchmarks/simulate_statistics.py --studies={studies}`, seeded: the"
            " same command gives the same numbers."
        ),
        "",
        "| procedure | setting | quantity | observed | predicted | Monte Carlo s.e. | studies |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        predicted = "-" if math.isnan(row.predicted) else f"{row.predicted:.3f}"
        lines.append(
            f"| {row.procedure} | {row.setting} | {row.quantity} | {row.observed:.3f} | {predicted}"
            f" | {row.stderr:.3f} | {row.studies} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    del arguments
    text = markdown(table(_STUDIES.value), _STUDIES.value)
    files.write_text(pathlib.Path(__file__).with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    commandline.run(main, __doc__)
