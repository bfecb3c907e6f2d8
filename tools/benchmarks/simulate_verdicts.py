"""How often a study says SUPPORTED where it is not so, on simulated studies with known truth;
writes simulate_verdicts.md beside this file.

  python tools/benchmarks/simulate_verdicts.py [--studies=500] [--seed=0] [--page]

Each row is a case at a number of corpora: three seeds of sd 0.03 bits per byte, score s.e. 0.06
doublings (where nothing else is said). `naive` is a significant Pearson's r alone, what 0.1.0
called supported; `verdict` is what `statistics.associate` leaves of it. A second table holds how
often the interval that is printed covers the true r."""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Callable

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from divsyn_jax import statistics

SIZES = (5, 6, 8, 12)
_STDERR, _SEED_SD, _SEEDS = 0.06, 0.03, 3


@dataclasses.dataclass(frozen=True)
class Case:
    """Corpora of a simulated study: true scores, performance in bits per byte, and more."""

    x: np.ndarray
    y: np.ndarray
    families: list[str] | None = None
    rivals: dict[str, np.ndarray] | None = None


Draw = Callable[[np.random.Generator, int], Case]


def _spread(n: int) -> np.ndarray:
    """Scores in doublings, evenly spaced over six: 8 to 512 effective clusters."""
    return 3 + 6 * np.arange(n) / (n - 1)


def null(g: np.random.Generator, n: int) -> Case:
    return Case(g.normal(5, 1.5, n), 2 + g.normal(0, 0.1, n))


def ties(errors: float) -> Draw:
    """True scores `errors` standard errors apart, which performance follows."""

    def draw(g: np.random.Generator, n: int) -> Case:
        x = g.normal(4, errors * _STDERR, n)
        return Case(x, 2 - 0.1 / (errors * _STDERR or 1) * (x - 4) + g.normal(0, 0.01, n))

    return draw


def equal_scores(g: np.random.Generator, n: int) -> Case:
    return Case(np.full(n, 4.0), 2 + g.normal(0, 0.1, n))


def outlier(distance: float) -> Draw:
    """One corpus far off in both; the others have nothing to do with each other."""

    def draw(g: np.random.Generator, n: int) -> Case:
        x, y = g.normal(4, 0.5, n), 2 + g.normal(0, 0.05, n)
        x[-1], y[-1] = 4 + distance * 0.5, 2 - distance * 0.05
        return Case(x, y)

    return draw


def simpson(named: bool) -> Draw:
    """Broader is worse in both families, by 0.08 a doubling; the broader family is better."""

    def draw(g: np.random.Generator, n: int) -> Case:
        first = n // 2
        family = np.arange(n) >= first
        place = np.concatenate([np.linspace(0, 1, first), np.linspace(0, 1, n - first)])
        x = np.where(family, 7.0, 3.0) + place + g.normal(0, 0.05, n)
        y = 2.5 - 0.8 * family + 0.08 * place + g.normal(0, 0.01, n)
        return Case(x, y, [f"family {int(each)}" for each in family] if named else None)

    return draw


def driven(name: str, noise: float = 0.44) -> Draw:
    """`name` drives score and performance (r = .9 with each)."""

    def draw(g: np.random.Generator, n: int) -> Case:
        z = g.standard_normal(n)
        x = 5 + 1.5 * (0.9 * z + noise * g.standard_normal(n))
        y = 2 - 0.1 * (0.9 * z + noise * g.standard_normal(n))
        return Case(x, y, rivals={name: 2.0 ** (z + 4) if name == "length" else 4 - 0.5 * z})

    return draw


def effect(*, rivals: bool = False, families: bool = False) -> Draw:
    """-0.05 bits per byte a doubling, scatter 0.02."""

    def draw(g: np.random.Generator, n: int) -> Case:
        x = _spread(n)
        y = 2 - 0.05 * x + g.normal(0, 0.02, n)
        others = {"length": g.normal(200, 40, n), "closeness": g.normal(3, 0.4, n)}
        named = [f"family {index % 2}" for index in range(n)] if families else None
        if families:
            y = y + 0.3 * (np.arange(n) % 2)
        return Case(x, y, named, others if rivals else None)

    return draw


# Name, what is drawn, and whether SUPPORTED is false there.
CASES: tuple[tuple[str, Draw, bool], ...] = (
    ("null", null, True),
    ("scores tie: 0.5 s.e. apart", ties(0.5), True),
    ("scores tie: 1 s.e. apart", ties(1.0), True),
    ("scores are equal", equal_scores, True),
    ("one outlier, 10 sd off", outlier(10), True),
    ("one outlier, 5 sd off", outlier(5), True),
    ("one outlier, 4 sd off", outlier(4), True),
    ("Simpson, families named", simpson(True), True),
    ("Simpson, families not named", simpson(False), True),
    ("length drives both", driven("length"), True),
    ("closeness drives both", driven("closeness"), True),
    ("effect", effect(), False),
    ("effect, beside unrelated length and closeness", effect(rivals=True), False),
    ("effect in two families", effect(families=True), False),
    ("scores 3 s.e. apart, effect", ties(3.0), False),
)


def simulate(draw: Draw, n: int, studies: int, seed: int = 0) -> tuple[float, float]:
    """Shares of studies in which the naive rule and the verdict say SUPPORTED."""
    generator = np.random.default_rng([seed, n])
    naive = supported = 0
    for _ in range(studies):
        case = draw(generator, n)
        x = case.x + generator.normal(0, _STDERR, n)
        y = case.y + generator.normal(0, _SEED_SD / _SEEDS**0.5, n)
        names = [f"corpus {index}" for index in range(n)]
        plain = statistics.pearson(x, y)
        naive += plain["ci_high"] is not None and plain["ci_high"] < 0
        found = statistics.associate(x, y, [_STDERR] * n, names, case.families, case.rivals)
        supported += (
            found.p is not None
            and found.p < statistics.ALPHA
            and found.estimate is not None
            and found.estimate < 0
            and not found.descriptive
            and not found.objections
        )
    return naive / studies, supported / studies


def coverage(
    r: float, errors: float, n: int, studies: int, seed: int = 0, families: int = 1
) -> tuple[float, float]:
    """Share of printed intervals that hold the true r, and their mean width.

    Scores and performance are bivariate normal with correlation `r` within each of `families`,
    whose means differ; scores are seen with a standard error of `errors` of their spread."""
    generator = np.random.default_rng([seed, n, round(100 * r), round(100 * errors), families])
    names, stderr = [f"corpus {index}" for index in range(n)], [errors] * n
    named = [f"family {index % families}" for index in range(n)]
    covered, width = 0, 0.0
    for _ in range(studies):
        x = generator.standard_normal(n)
        y = r * x + (1 - r * r) ** 0.5 * generator.standard_normal(n)
        shift = 5.0 * (np.arange(n) % families)
        seen = x + shift + errors * generator.standard_normal(n)
        found = statistics.associate(seen, y + shift, stderr, names, named)
        if found.ci_low is None or found.ci_high is None:
            raise ValueError(f"no interval at n = {n}")
        covered += found.ci_low <= r <= found.ci_high
        width += (found.ci_high - found.ci_low) / studies
    return covered / studies, width


def beyond_error(share: float, bound: float, studies: int, above: bool = True) -> bool:
    """Whether a share is past its bound by more than two Monte Carlo standard errors of the
    bound."""
    error = 2 * (bound * (1 - bound) / studies) ** 0.5
    return share > bound + error if above else share < bound - error


# r, standard error of the scores as a share of their spread, families.
INTERVALS = (
    *((r, errors, 1) for r in (0.0, 0.6, 0.9) for errors in (0.0, 0.25, 0.5, 1.0)),
    *((r, 0.0, 2) for r in (0.0, 0.6)),
)


def _limit(studies: int) -> float:
    return 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", action="store_true", help="write simulate_verdicts.md")
    arguments = parser.parse_args()
    lines = [
        "# Verdicts on simulated studies",
        "",
        (
            f"Command: `python tools/benchmarks/simulate_verdicts.py --studies={arguments.studies}"
            f" --seed={arguments.seed} --page`. Share of studies that say"
            " SUPPORTED: first by a significant Pearson's r"
            " alone, as 0.1.0 did, then by the verdict. Where SUPPORTED is false, at most 5% is"
            " wanted; where it is true, at least 90% of the first. Bold: past that by more than two"
            f" Monte Carlo standard errors (at 5%: over {_limit(arguments.studies):.1%})."
        ),
        "",
        f"| case | SUPPORTED is | {' | '.join(f'n = {n}' for n in SIZES)} |",
        f"|---|---|{'---|' * len(SIZES)}",
    ]
    for name, draw, false in CASES:
        cells = []
        for n in SIZES:
            naive, kept = simulate(draw, n, arguments.studies, arguments.seed)
            bad = beyond_error(kept, 0.05 if false else 0.9 * naive, arguments.studies, false)
            cells.append(f"{naive:.1%} -> {'**' * bad}{kept:.1%}{'**' * bad}")
        lines.append(f"| {name} | {'false' if false else 'true'} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        (
            "Coverage of the printed 95% interval of r (errors of the scores carried in), with its"
            " mean width. Scores and performance are bivariate normal. Wanted: 93% at least; bold:"
            " under that by more than two Monte Carlo standard errors. Above 97%: scores that are"
            " mostly not told apart, whose interval is as wide as their reliability leaves open."
        ),
        "",
        (
            "| true r | s.e. of scores, of their spread | families |"
            f" {' | '.join(f'n = {n}' for n in SIZES)} |"
        ),
        f"|---|---|---|{'---|' * len(SIZES)}",
    ]
    for r, errors, families in INTERVALS:
        cells = []
        for n in SIZES:
            share, width = coverage(r, errors, n, 4 * arguments.studies, arguments.seed, families)
            bad = beyond_error(share, 0.93, 4 * arguments.studies, above=False)
            cells.append(f"{'**' * bad}{share:.1%}{'**' * bad} ({width:.2f})")
        lines.append(f"| {r} | {errors} | {families} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    if arguments.page:
        pathlib.Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
