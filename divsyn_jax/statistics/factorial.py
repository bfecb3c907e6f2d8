"""Two-level factorial designs: which kind of diversity does what.

Designs (full, and fractions of resolution IV), what cannot be told apart in them, effects by least
squares over corpora with their intervals, shares of variance, and power.
tools/benchmarks/simulate_factorial.md holds coverage, error rates and power under known truth.

Shapes: C corpora, M seeds, F factors, E effects."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

from divsyn_jax.statistics.intervals import LEVEL
from divsyn_jax.statistics.multiplicity import holm

TIMES = " x "  # between the factors of an interaction, in its name
# Corpora and seeds share one error unless they differ at this level ("sometimes pool"; Bancroft
# 1944, doi 10.1214/aoms/1177731284). A stricter level covers too little where corpora vary.
POOLING_ALPHA = 0.25
RESOLUTIONS = ("full", "IV")


@dataclasses.dataclass(frozen=True)
class Design:
    """A two-level design, a row a corpus.

    Attributes:
      factors: their names, the shams among them.
      rows: -1 or +1 of every factor, by corpus.
      shams: factors known to do nothing. They take part in no interaction.
    """

    factors: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    shams: tuple[str, ...] = ()

    @property
    def signs_CF(self) -> np.ndarray:
        """The rows as an array of floats."""
        return np.array(self.rows, float)

    def column(self, effect: Sequence[str]) -> np.ndarray:
        """[C] signs of a main effect or interaction: the product of its factors' columns."""
        at = [self.factors.index(factor) for factor in effect]
        return self.signs_CF[:, at].prod(axis=1)

    def effects(self, order: int = 2) -> list[tuple[str, ...]]:
        """Main effects in the factors' order, then interactions of factors that are no sham, up to
        so many factors."""
        real = [factor for factor in self.factors if factor not in self.shams]
        found: list[tuple[str, ...]] = [(factor,) for factor in self.factors]
        for size in range(2, order + 1):
            found += itertools.combinations(real, size)
        return found


def factorial_design(
    factors: Sequence[str], resolution: str = "full", sham: str | None = None
) -> Design:
    """The design of these factors, in standard order (the first factor changes fastest).

    `full`: every combination, 2^F corpora. `IV`: the fewest corpora in which no main effect is
    aliased with another or with an interaction of two (Box and Hunter 1961, doi
    10.1080/00401706.1961.10489951): basic factors in full, each other one the product of an odd
    number of them. A `sham` is one more factor that takes no corpora of its own where there are
    three real ones or more: in a full design it is their product. Raises `ValueError` for a
    resolution or for names that cannot be."""
    names = (*factors, *((sham,) if sham else ()))
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution {resolution!r}: one of {', '.join(RESOLUTIONS)}")
    if not factors or len(set(names)) < len(names) or any(TIMES in name for name in names):
        raise ValueError(
            f"factors {list(names)}: give at least one, each once, none with {TIMES!r}"
        )
    if resolution == "full":
        basic = len(factors) + (sham is not None and len(factors) < 3)
    else:
        basic = next(p for p in itertools.count(1) if len(names) <= 2 ** (p - 1))
    base = np.array(list(itertools.product((-1, 1), repeat=basic)))[:, ::-1]
    columns = [base[:, place] for place in range(basic)]
    columns += [base[:, list(word)].prod(axis=1) for word in _generators(basic, len(names) - basic)]
    signs_CF = np.stack(columns[: len(names)], axis=1)
    rows = tuple(tuple(map(int, row)) for row in signs_CF)
    return Design(names, rows, (sham,) if sham else ())


def _generators(basic: int, count: int) -> list[tuple[int, ...]]:
    """So many products of basic factors: one is the product of all, several are of odd numbers of
    three or more, so that every word of the defining relation is even."""
    if count == 1:
        return [tuple(range(basic))]
    words = [
        word
        for size in range(3, basic + 1, 2)
        for word in itertools.combinations(range(basic), size)
    ]
    return words[:count]


def aliases(design: Design, order: int = 2) -> list[tuple[str, ...]]:
    """Names of effects up to an order, in groups that the design cannot tell apart.

    An effect that is none (its column is constant) stands in no group."""
    groups: list[tuple[np.ndarray, list[str]]] = []
    for effect in design.effects(order):
        column_C = design.column(effect)
        if abs(column_C.sum()) == len(column_C):
            continue
        for other_C, names in groups:
            if abs(column_C @ other_C) == len(column_C):
                names.append(TIMES.join(effect))
                break
        else:
            groups.append((column_C, [TIMES.join(effect)]))
    return [tuple(names) for _, names in groups]


class EffectRecord(TypedDict):
    """What a factor does: the mean at its high level less that at its low one. Of an interaction:
    half the difference of one factor's effect between the other's levels.

    `aliases`: effects that this one cannot be told from. `p_holm`: corrected over the main effects
    (`order` 1), or over the interactions (2)."""

    name: str
    order: int
    sham: bool
    aliases: list[str]
    value: float
    ci_low: float | None
    ci_high: float | None
    p: float | None
    p_holm: float | None


class FactorialRecord(TypedDict):
    """The effects on one outcome and the error they are judged by.

    `error_sd`: of one run, between seeds where corpora are pooled with them. `lack_of_fit_p`: of
    the test that corpora differ by no more than seeds make them, beyond the effects; null where no
    degrees of freedom are left for it.
    """

    effects: list[EffectRecord]
    error_sd: float | None
    error_of: str
    degrees_of_freedom: int
    lack_of_fit_p: float | None
    seed_sd: float | None
    corpora: int
    seeds: int


def factorial_effects(
    values_CM: Sequence[Sequence[float]],
    design: Design,
    twins: Mapping[int, Sequence[float]] | None = None,
) -> FactorialRecord:
    """Main effects and two-factor interactions on an outcome, with 95% t intervals.

    Least squares on corpus means. Seeds are blocks (a seed is the same start and order for every
    corpus), and what they leave is the error; corpora have one of their own, seen in the effects
    that the model leaves out and in twins. Both are pooled unless they differ at `POOLING_ALPHA`;
    then the error is that of corpora. p values are corrected by Holm over the main effects, and
    apart from them over the interactions.

    Args:
      values_CM: the outcome by corpus, in the design's order, and seed.
      design: which corpus has which levels.
      twins: outcomes by seed of another corpus with the levels of corpus `index`.

    Raises `ValueError` for a design whose effects cannot be estimated."""
    seen_CM = np.asarray(values_CM, float)
    corpora, seeds = seen_CM.shape
    groups = aliases(design)
    by_name = {TIMES.join(effect): effect for effect in design.effects()}
    columns_EC = [design.column(by_name[names[0]]) for names in groups]
    if len(design.rows) != corpora:
        raise ValueError(f"{corpora} corpora are not the {len(design.rows)} of the design")
    x_CE = np.stack([np.ones(corpora), *columns_EC], axis=1)
    if np.linalg.matrix_rank(x_CE) < x_CE.shape[1]:
        raise ValueError(f"{corpora} corpora cannot tell {x_CE.shape[1] - 1} effects apart")
    mean_C = seen_CM.mean(axis=1)
    inverse_EE = np.linalg.inv(x_CE.T @ x_CE)
    beta_E = inverse_EE @ x_CE.T @ mean_C
    twins_TM = np.array(list((twins or {}).values()), float).reshape(-1, seeds)
    gap_T = twins_TM.mean(axis=1) - mean_C[list(twins or ())]
    seed_squares, seed_freedom = _of_seeds(np.concatenate([seen_CM, twins_TM]))
    corpus_squares = float(
        seeds * (np.square(mean_C - x_CE @ beta_E).sum() + np.square(gap_T).sum() / 2)
    )
    corpus_freedom = corpora - x_CE.shape[1] + len(gap_T)
    error = _error(seed_squares, seed_freedom, corpus_squares, corpus_freedom)
    effects = [
        _effect(names, design, 2 * float(beta), 2 * math.sqrt(variance / seeds), error)
        for names, beta, variance in zip(groups, beta_E[1:], np.diag(inverse_EE)[1:], strict=True)
    ]
    mains = [effect for effect in effects if effect["order"] == 1]
    for family in (mains, [effect for effect in effects if effect["order"] > 1]):
        p_values = [effect["p"] for effect in family if effect["p"] is not None]
        for effect, p in zip(family, holm(p_values), strict=False):
            effect["p_holm"] = p
    return {
        "effects": effects,
        "error_sd": error.sd,
        "error_of": error.of,
        "degrees_of_freedom": error.freedom,
        "lack_of_fit_p": error.lack_of_fit_p,
        "seed_sd": math.sqrt(seed_squares / seed_freedom) if seed_freedom else None,
        "corpora": corpora,
        "seeds": seeds,
    }


@dataclasses.dataclass(frozen=True)
class _Error:
    """The error of one run: its standard deviation, None where nothing shows it."""

    sd: float | None
    freedom: int
    of: str
    lack_of_fit_p: float | None = None


def _of_seeds(values_CM: np.ndarray) -> tuple[float, int]:
    """Sum of squares within corpora when each seed's own mean is taken off, and its degrees of
    freedom."""
    within_CM = values_CM - values_CM.mean(axis=1, keepdims=True)
    within_CM = within_CM - within_CM.mean(axis=0)
    corpora, seeds = values_CM.shape
    return float(np.square(within_CM).sum()), (corpora - 1) * (seeds - 1)


def _error(
    seed_squares: float, seed_freedom: int, corpus_squares: float, corpus_freedom: int
) -> _Error:
    if not seed_freedom and not corpus_freedom:
        return _Error(None, 0, "none: one seed, and as many effects as corpora")
    if not corpus_freedom:
        return _Error(math.sqrt(seed_squares / seed_freedom), seed_freedom, "seeds")
    of_corpora = corpus_squares / corpus_freedom
    if not seed_freedom:
        return _Error(math.sqrt(of_corpora), corpus_freedom, "corpora")
    of_seeds = seed_squares / seed_freedom
    p = float(stats.f.sf(of_corpora / of_seeds, corpus_freedom, seed_freedom)) if of_seeds else 0.0
    if p < POOLING_ALPHA and of_corpora > 0:
        return _Error(math.sqrt(of_corpora), corpus_freedom, "corpora", p)
    freedom = seed_freedom + corpus_freedom
    pooled = (seed_squares + corpus_squares) / freedom
    return _Error(math.sqrt(pooled), freedom, "seeds and corpora", p)


def _effect(
    names: Sequence[str], design: Design, value: float, scale: float, error: _Error
) -> EffectRecord:
    """`scale`: the standard error of the effect at an error of 1."""
    found: EffectRecord = {
        "name": names[0],
        "order": names[0].count(TIMES) + 1,
        "sham": names[0] in design.shams,
        "aliases": list(names[1:]),
        "value": value,
        "ci_low": None,
        "ci_high": None,
        "p": None,
        "p_holm": None,
    }
    if error.sd is None:
        return found
    stderr = scale * error.sd
    half = float(stats.t.ppf((1 + LEVEL) / 2, error.freedom)) * stderr
    found["ci_low"], found["ci_high"] = value - half, value + half
    if stderr == 0:
        found["p"] = 1.0 if value == 0 else 0.0
    else:
        found["p"] = float(2 * stats.t.sf(abs(value) / stderr, error.freedom))
    return found


def variance_shares(values_C: Sequence[float], design: Design) -> dict[str, float] | None:
    """The share of the variance between corpora that each main effect carries, all two-factor
    interactions together (`interactions`), and the rest (`rest`); None where nothing varies.

    They add up to 1 in an orthogonal design, as factorial designs are."""
    seen_C = np.asarray(values_C, float)
    centred_C = seen_C - seen_C.mean()
    total = float(centred_C @ centred_C)
    if total <= 1e-24 * max(1.0, float(seen_C @ seen_C)):
        return None
    shares = {}
    interactions = 0.0
    for names in aliases(design):
        column_C = design.column(names[0].split(TIMES))
        column_C = column_C - column_C.mean()
        share = float((column_C @ centred_C) ** 2 / (column_C @ column_C) / total)
        if TIMES in names[0]:
            interactions += share
        else:
            shares[names[0]] = share
    explained = sum(shares.values()) + interactions
    return {**shares, "interactions": interactions, "rest": max(0.0, 1 - explained)}


def effect_power(effect: float, sd: float, runs: int, freedom: int, tests: int = 1) -> float:
    """Chance that an effect is found at 5%, corrected for so many tests as the smallest p of Holm
    is: two-sided t with a noncentrality of effect / (2 sd / sqrt(runs)).

    `sd`: of one run, with so many degrees of freedom."""
    critical = float(stats.t.ppf(1 - (1 - LEVEL) / tests / 2, freedom))
    shift = effect / (2 * sd / math.sqrt(runs)) if sd else math.inf
    if math.isinf(shift):
        return 1.0
    return float(stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift))


def detectable_effect(
    sd: float, runs: int, freedom: int, tests: int = 1, power: float = 0.8
) -> float:
    """The effect that `effect_power` gives this power, by bisection to a thousandth of its size."""
    low, high = 0.0, 2 * sd / math.sqrt(runs)
    if high == 0:
        return 0.0
    while effect_power(high, sd, runs, freedom, tests) < power:
        high *= 2
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        if effect_power(middle, sd, runs, freedom, tests) < power:
            low = middle
        else:
            high = middle
    return high
