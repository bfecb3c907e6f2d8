"""Writes tools/benchmarks/simulate_generator_intervals.md: how often the interval for the process
that wrote the documents holds its truth, and how often two corpora of one process are told apart.

  python tools/benchmarks/simulate_generator_intervals.py [replications, 1000 unless given]

Some minutes on one core; the same figures every time.

Shapes: T clusters of a process, N documents of a corpus, D draws, K documents a draw, R criteria
sets.
"""

import collections
import dataclasses
import math
import pathlib
import sys
from collections.abc import Mapping

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.diversity.estimation import estimators
from divsyn_jax.diversity.estimation.differences import Measured, compare_corpora
from divsyn_jax.diversity.estimation.estimators import DocumentVariance, DrawStatistics
from divsyn_jax.diversity.sampling import draw_without_replacement

OUTPUT = pathlib.Path(__file__).with_suffix(".md")
SIZE = 10  # K
METRICS = ("effective clusters", "C/S")
HEAD = """# The interval over documents and draws, and the test of no difference

Nominal 95% and 5%; a faultless agent, K = 10, on corpora written by processes of known chances;
made by `tools/benchmarks/simulate_generator_intervals.py`, {replications:,} corpora a row (a
coverage of 95% is then known to {error:.1%}, one standard error) and half as many pairs of corpora.
The criteria sets add a normal shift to the score (sd 0.1) and to the share of pairs (sd 5% of it),
the same for both corpora of a pair.

"""


@dataclasses.dataclass(frozen=True)
class Process:
    """What writes corpora, and how they are looked at.

    Attributes:
      chances_T: of each cluster.
      documents, draws: N and D.
      criteria_sets: R; 0 for an agent without criteria.
    """

    chances_T: tuple[float, ...]
    documents: int
    draws: int
    criteria_sets: int = 0


def zipf(clusters: int, exponent: float = 1.0) -> tuple[float, ...]:
    """Chances that fall with the power of the rank."""
    weights = np.arange(1, clusters + 1) ** -float(exponent)
    return tuple(weights / weights.sum())


ONE_OF_95 = (0.95, *(0.001,) * 50)
PROCESSES: Mapping[str, Process] = {
    "Zipf-300": Process(zipf(300), 5000, 1000),
    "one of 95%": Process(ONE_OF_95, 5000, 1000),
    "Zipf-1000, exponent 1.5": Process(zipf(1000, 1.5), 5000, 1000),
    "Zipf-300, five sets": Process(zipf(300), 5000, 1000, 5),
    "one of 95%, five sets": Process(ONE_OF_95, 5000, 1000, 5),
    "Zipf-20, N = 50": Process(zipf(20), 50, 5000),
    "Zipf-20, N = 30": Process(zipf(20), 30, 5000),
    "Zipf-20, N = 20": Process(zipf(20), 20, 5000),
    "even-5, N = 15": Process((0.2,) * 5, 15, 5000),
}


@dataclasses.dataclass
class Outcome:
    """Shares of the replications: intervals that hold the truth, and pairs told apart for nothing;
    mean half-width as a share of the truth.
    """

    covers: float
    false_rejections: float
    half_width: float


def truth(process: Process) -> dict[str, float]:
    """Exact expectations over corpora of the process: of the share of pairs, as effective clusters
    of N documents, and of the score, E[C^2] / K.
    """
    p_T = np.asarray(process.chances_T)
    absent_T = (1 - p_T) ** SIZE
    # Both of two clusters are absent with (1 - p - r)^K, so E[C^2] is a sum over pairs of them.
    both_TT = 1 - absent_T[:, None] - absent_T + np.clip(1 - p_T[:, None] - p_T, 0, None) ** SIZE
    np.fill_diagonal(both_TT, 0)
    squares = float((1 - absent_T).sum() + both_TT.sum())
    clusters = estimators.hill(float((p_T**2).sum()), process.documents)
    return {"effective clusters": clusters, "C/S": squares / SIZE}


def simulate(process: Process, replications: int, seed: int = 0) -> dict[str, Outcome]:
    """Coverage over `replications` corpora, and false rejections over half as many pairs of
    them.
    """
    rng = np.random.default_rng([seed, process.documents, len(process.chances_T)])
    true = truth(process)
    hits, widths, rejections = (collections.defaultdict(list) for _ in range(3))
    before: dict[str, Measured] = {}
    for replication in range(replications):
        if replication % 2 == 0:  # a pair of corpora is judged by the same sets
            shift_R = rng.normal(0, 1, process.criteria_sets)
        for metric, (measured, ends) in _one(process, shift_R, rng).items():
            low, high = ends
            hits[metric].append(low <= true[metric] <= high)
            widths[metric].append((high - low) / 2 / true[metric])
            if replication % 2 == 1:
                test = compare_corpora([before[metric], measured])[0].difference
                rejections[metric].append(
                    test is not None and test.p_value is not None and test.p_value < 0.05
                )
            before[metric] = measured
    return {
        metric: Outcome(*(float(np.mean(part[metric])) for part in (hits, rejections, widths)))
        for metric in METRICS
    }


def _one(
    process: Process, shift_R: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple[Measured, tuple[float, float]]]:
    draws, draws_DK = draws_of_a_corpus(process, shift_R, rng)
    found = {}
    for metric, values_D in zip(METRICS, (draws.pair_share_D, draws.scores_D), strict=True):
        spread = estimators.document_spread(values_D, draws_DK, process.documents, draws.set_D)
        measured = _measured(values_D, draws, spread)
        if metric == "C/S":
            ends = estimators.generator_interval_of_score(draws, spread.value, spread.error)
        else:
            ends = estimators.generator_interval_of_clusters(
                draws, spread.value, process.documents, spread.error
            ) or (1.0, float(process.documents))
        found[metric] = measured, ends
    return found


def _measured(values_D: np.ndarray, draws: DrawStatistics, spread: DocumentVariance) -> Measured:
    sets = None
    if draws.set_D is not None:
        means_R = np.bincount(draws.set_D, weights=values_D) / np.bincount(draws.set_D)
        sets = tuple(means_R.tolist())
    return Measured(
        name="a corpus",
        mean=float(values_D.mean()),
        sd=float(values_D.std(ddof=1)),
        draws=len(values_D),
        set_means=sets,
        document_variance=spread.value,
        document_variance_error=spread.error,
    )


class _Shifted(DrawStatistics):
    """Draws whose values criteria sets have moved."""

    def __init__(self, draws: DrawStatistics, set_D: np.ndarray, shift_R: np.ndarray) -> None:
        fields = {field.name: getattr(draws, field.name) for field in dataclasses.fields(draws)}
        super().__init__(**{**fields, "set_D": set_D})
        object.__setattr__(self, "_shift_D", shift_R[set_D])

    @property
    def scores_D(self) -> np.ndarray:
        return super().scores_D + 0.1 * self._shift_D

    @property
    def pair_share_D(self) -> np.ndarray:
        return super().pair_share_D * (1 + 0.05 * self._shift_D)


def draws_of_a_corpus(
    process: Process, shift_R: np.ndarray, rng: np.random.Generator
) -> tuple[DrawStatistics, np.ndarray]:
    """Statistics of the draws of one corpus of the process, and the draws themselves ([D, K])."""
    label_N = np.searchsorted(np.cumsum(process.chances_T)[:-1], rng.random(process.documents))
    draws_DK = draw_without_replacement(rng, process.documents, process.draws, SIZE)
    draws = estimators.draw_statistics(label_N[draws_DK])
    if process.criteria_sets:
        draws = _Shifted(draws, np.arange(len(draws)) % process.criteria_sets, shift_R)
    return draws, draws_DK


def main() -> None:
    """Write the table."""
    replications = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    lines = [
        HEAD.format(replications=replications, error=math.sqrt(0.95 * 0.05 / replications)),
        "| process | N | draws | sets | of | covers | false rejections | half-width |\n",
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n",
    ]
    for name, process in PROCESSES.items():
        for metric, found in simulate(process, replications).items():
            cells = (
                name,
                f"{process.documents:,}",
                f"{process.draws:,}",
                str(process.criteria_sets or "none"),
                metric,
                f"{found.covers:.3f}",
                f"{found.false_rejections:.3f}",
                f"{found.half_width:.1%}",
            )
            lines.append(f"| {' | '.join(cells)} |\n")
            print(lines[-1], end="", flush=True)
    files.write_text(OUTPUT, "".join(lines))
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
