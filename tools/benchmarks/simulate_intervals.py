"""Writes tools/benchmarks/simulate_intervals.md: how often the intervals of the metric hold the
truth.

  python tools/benchmarks/simulate_intervals.py [replications, 4000 unless given]

Some minutes on one core; the same figures every time.
"""

import math
import pathlib
import sys
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tqdm import tqdm

from divsyn_jax.base import files
from divsyn_jax.diversity.agents.kinds import EMBEDDING, LLM
from divsyn_jax.diversity.estimation import estimators, exact
from divsyn_jax.diversity.estimation.intervals import t_quantile
from divsyn_jax.diversity.estimation.stopping import StoppingRule
from tools.benchmarks import simulation
from tools.benchmarks.simulation import CORPORA, NEAR_ENDS, POOL, Coverage

OUTPUT = pathlib.Path(__file__).with_suffix(".md")
ALL = 1e-9  # a target that no interval reaches: all draws are made
HEAD = """# Coverage of the intervals

Nominal 95%; a faultless agent on corpora whose clusters are known
(`tools/benchmarks/simulation.py`); made by `tools/benchmarks/simulate_intervals.py`,
{replications:,} replications a row (a coverage of 95% is then known to {error:.1%}, one standard
error). Width is that of the interval as a share of the true value.

Two levels hold their level where what a set does is normal. Where sets see other granularities
(uniform over a range), few set means are no t sample: 5 sets cover 90 to 92%, 10 cover 92 to 95%.
"""


def main() -> None:
    """Write the tables."""
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    error = math.sqrt(0.95 * 0.05 / replications)
    parts = [HEAD.format(replications=replications, error=error)]
    parts += [
        part(replications) for part in (_fixed, _near_ends, _stopped, _two_levels, _sample_sizes)
    ]
    files.write_text(OUTPUT, "\n".join(parts))
    print(f"wrote {OUTPUT}")


def _fixed(replications: int) -> str:
    rows = []
    for name, counts in tqdm(CORPORA.items(), desc="fixed draws"):
        for draws in (1000, 5000):
            for quantity, found in simulation.one_level(counts, 10, draws, replications).items():
                rows.append([name, f"{draws:,}", quantity, *_cells(found)])
    return _section("A fixed number of draws, K = 10", ["clusters", "draws", "of", *COLUMNS], rows)


def _near_ends(replications: int) -> str:
    rows = []
    for name, counts in tqdm(NEAR_ENDS.items(), desc="near an end"):
        for draws in (100, 1000):
            for quantity, found in simulation.one_level(counts, 10, draws, replications).items():
                rows.append([name, f"{draws:,}", quantity, *_cells(found)])
    return _section(
        "Near an end, where nearly all draws are alike", ["clusters", "draws", "of", *COLUMNS], rows
    )


def _stopped(replications: int) -> str:
    rows = []
    for name, counts in tqdm(CORPORA.items(), desc="sequential stopping"):
        sd = float(simulation.pool(counts, 10).scores_D.std())
        for first in (EMBEDDING.first_look, LLM.first_look):
            # The expected half-width at the second look: a coin decides whether it stops there or
            # at the third.
            target = t_quantile(math.inf) * sd / math.sqrt(2 * first)
            rule = StoppingRule(target, first, 8 * first)
            for quantity, found in simulation.stopped(counts, 10, rule, replications).items():
                rows.append(
                    [
                        name,
                        f"{first:,}",
                        f"{target:.3f}",
                        quantity,
                        f"{found.draws:,.0f}",
                        *_cells(found),
                    ]
                )
    head = ["clusters", "first look", "target", "of", "mean draws", *COLUMNS]
    return _section("Sequential stopping at a target half-width of the score, K = 10", head, rows)


def _two_levels(replications: int) -> str:
    rows = []
    counts = CORPORA["20 even"]
    sd = float(simulation.pool(counts, 10).scores_D.std())
    for sets in tqdm((3, 5, 10), desc="two levels"):
        stop = StoppingRule(t_quantile(sets - 1) * sd / math.sqrt(2000), 1000, 8000)
        for rule in (StoppingRule(ALL, 1000, 1000), stop):
            for shift in (0.0, 0.1, 0.5):
                found = simulation.shifted_sets(counts, sets, shift, rule, replications)
                rows.append(
                    [
                        f"shift, sd {shift:g}",
                        str(sets),
                        _rule(rule),
                        "score",
                        f"{found.draws:,.0f}",
                        *_cells(found),
                    ]
                )
            for name, granularities in (("35..65", range(35, 66, 3)), ("20..80", range(20, 81, 6))):
                result = simulation.sets_of_granularity(
                    CORPORA["100 even"], granularities, sets, rule, replications
                )
                for quantity, found in result.items():
                    row = [
                        f"sees {name} of 100",
                        str(sets),
                        _rule(rule),
                        quantity,
                        f"{found.draws:,.0f}",
                    ]
                    rows.append([*row, *_cells(found)])
    head = ["a criteria set", "sets", "target", "of", "mean draws", *COLUMNS]
    return _section("Two levels: criteria sets and draws, K = 10", head, rows)


def _sample_sizes(replications: int) -> str:
    rows = []
    for name, counts in tqdm(CORPORA.items(), desc="sample sizes"):
        truth = exact.true_effective_clusters(counts)
        pools = [simulation.pool(counts, size) for size in (5, 10, 20)]
        clusters = [
            f"{estimators.effective_clusters(pool, sum(counts)).value:.2f}" for pool in pools
        ]
        scores = [f"{estimators.cluster_score(pool).value:.2f}" for pool in pools]
        rows.append([name, f"{truth:.2f}", *clusters, *scores])
    head = [
        "clusters",
        "label formula",
        *[f"effective, K = {k}" for k in (5, 10, 20)],
        *[f"C/S, K = {k}" for k in (5, 10, 20)],
    ]
    return _section(f"The same corpus at other sample sizes, {POOL:,} draws", head, rows)


COLUMNS = ("coverage", "width", "made by", "stopped because")


def _cells(found: Coverage) -> list[str]:
    return [
        f"{found.share:.3f}",
        f"{found.width:.1%}",
        _shares(found.methods),
        _shares(found.reasons),
    ]


def _shares(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return ", ".join(
        f"{name} {count / total:.0%}"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    )


def _rule(rule: StoppingRule) -> str:
    return "none" if rule.target_half_width == ALL else f"{rule.target_half_width:.3f}"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
