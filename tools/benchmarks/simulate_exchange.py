"""How often the interval of an exchange rate holds the truth, on simulated studies with known
truth; writes simulate_exchange.md beside this file.

  python tools/benchmarks/simulate_exchange.py [--studies=400] [--seed=0] [--page]

The levels are those of configs/studies/repetition.py: four budgets of unique tokens by four
breadths, the mean over seeds of each."""

import argparse
import dataclasses
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from configs.studies.repetition import BUDGETS, TOPICS
from divsyn_jax.statistics.exchange import WANTED_HALF_WIDTH, exchange_rate

UNIQUE_L = np.repeat(BUDGETS, len(TOPICS)).astype(float)
CLUSTERS_L = np.tile(TOPICS, len(BUDGETS)).astype(float)
TEXT, BOTH = -0.05, -0.01  # bits per byte of a doubling of unique text, and of both at once
WANTED = (0.93, 0.97)


@dataclasses.dataclass(frozen=True)
class Case:
    """A truth and its noise.

    Attributes:
      rate: doublings of unique text that one doubling of effective clusters is worth.
      sd: of a level's mean about the law, bits per byte.
      of_breadths: sd of what all levels of one breadth have in common, as where they are cut from
        one corpus.
      of_scores: the same of the log2 of their effective clusters.
      decay: of exponential text, whose doublings do ever less by e to this: 0 for the law's own
        straight line. The true rate is then that of the average slope over the budgets.
      heavy: whether a level's error is Student's t with 3 degrees of freedom.
    """

    rate: float
    sd: float
    of_breadths: float = 0.0
    of_scores: float = 0.0
    decay: float = 0.0
    heavy: bool = False


CASES = {
    "noise of levels": (Case(0.5, 0.01), Case(0.5, 0.03), Case(2.0, 0.01), Case(2.0, 0.03)),
    "the same, heavy tails": (Case(1.0, 0.02, heavy=True),),
    "text that does ever less": (Case(1.0, 0.01, decay=0.3), Case(1.0, 0.01, decay=0.8)),
    "a level's clusters misjudged alike over its budgets": (Case(1.0, 0.01, of_scores=0.1),),
    "levels of a breadth off together": (
        Case(1.0, 0.01, of_breadths=0.01),
        Case(1.0, 0.01, of_breadths=0.03),
    ),
}


def row(name: str, case: Case, studies: int, seed: int) -> str:
    """A row of the table."""
    generator = np.random.default_rng(seed)
    u_L, d_L = (np.log2(of) - np.log2(of).mean() for of in (UNIQUE_L, CLUSTERS_L))
    text_L = u_L
    if case.decay:
        text_L = -np.exp(-case.decay * u_L)
        text_L = text_L / np.polyfit(u_L, text_L, 1)[0]
    law_L = 3 + TEXT * text_L + TEXT * case.rate * d_L + BOTH * u_L * d_L
    held, halves, said = 0, [], []
    for _ in range(studies):
        error_L = generator.standard_normal(len(law_L))
        if case.heavy:
            error_L = generator.standard_t(3, len(law_L)) / np.sqrt(3)
        own_L, misjudged_L = np.tile(generator.standard_normal((2, len(TOPICS))), len(BUDGETS))
        seen_L = law_L + case.sd * error_L + case.of_breadths * own_L
        scores_L = CLUSTERS_L * 2 ** (case.of_scores * misjudged_L)
        found = exchange_rate(UNIQUE_L, scores_L, seen_L)
        if found["rate"] is None or found["half_width"] is None:
            continue
        held += found["rate"]["ci_low"] <= case.rate <= found["rate"]["ci_high"]
        halves.append(found["half_width"])
        if found["half_width"] > WANTED_HALF_WIDTH:
            said.append((found["levels_needed"] or 0) > found["levels"])
    covers, error = held / len(halves), np.sqrt(0.95 * 0.05 / len(halves))
    off = max(WANTED[0] - covers, covers - WANTED[1], 0)
    shown = f"**{covers:.1%}**" if off > 2 * error else f"{covers:.1%}"
    told = f"{sum(said)} of {len(said)}" if said else "none is so wide"
    return (
        f"| {name} | {case.rate:g} | {case.sd:g} | {case.of_breadths:g} | {case.of_scores:g} |"
        f" {case.decay:g} |"
        f" {len(halves)} | {shown} | {np.median(halves):.0%} | {told} |"
    )


def main() -> None:
    """Simulate, and print or write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--studies", type=int, default=400)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--page", action="store_true")
    given = asked.parse_args()
    lines = [
        "# The exchange rate, simulated",
        "",
        "Command: `python tools/benchmarks/simulate_exchange.py"
        f" --studies={given.studies} --seed={given.seed} --page`. {len(UNIQUE_L)} levels,"
        f" {len(BUDGETS)} budgets of unique tokens by {len(TOPICS)} breadths; a doubling of unique"
        f" text is worth {TEXT} bits per byte. `given`: studies in which text does something that"
        " can be told, so that there is a rate; `covers`: their 95% intervals that hold the true"
        f" rate (wanted: {WANTED[0]:.0%} to {WANTED[1]:.0%}; bold: past it by more than two Monte"
        f" Carlo standard errors); `said`: of intervals whose half-width is over"
        f" {WANTED_HALF_WIDTH:.0%} of the rate, those for which more levels are asked for.",
        "",
        "| error | rate | sd of a level | of a breadth | of a score, log2 | decay | given |"
        " covers | half-width, median | said |",
        "|" + "---|" * 10,
    ]
    for name, cases in CASES.items():
        for case in cases:
            lines.append(row(name, case, given.studies, given.seed))
            print(lines[-1], flush=True)
    lines += [
        "",
        "What the levels of one breadth have in common beyond the law (one corpus that all budgets"
        " are cut from, say) is not in the interval: configs/studies/repetition.py writes every"
        " level from a seed of its own.",
    ]
    if given.page:
        page = pathlib.Path(__file__).with_suffix(".md")
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
