"""Does performance rise with a score, over corpora, whatever else could make it seem so?

`associate` takes Pearson's r and lists what overturns it: scores that are not told apart, one
corpus that carries the whole relation, an order that does not bear it out, a rival (length,
closeness to the test) that explains performance as well, families in which it does not hold. The
unit is the corpus. tools/benchmarks/simulate_verdicts.md holds how often each rule lets a false
relation through and a true one stand."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from divsyn_jax.statistics.families import FamilyEffects, family_effects, within
from divsyn_jax.statistics.intervals import LEVEL

ALPHA = 1 - LEVEL
LEAST_R = 0.5  # that is left without any one corpus
LEAST_RANK_R = 0.6  # two families that each go the other way reach 0.54
LEAST_RELIABILITY = 0.5
RELIABILITY_ALPHA = 0.05
# A corpus with more than this share of the score's sum of squares carries the relation alone.
CARRYING_SHARE = 0.55
# Two groups with a gap of this share of the whole range between them are two points.
GAP_SHARE = 0.5
CARRYING_ALPHA = ALPHA / 2  # one-sided, for the relation without such a corpus
# A rival that differs by less between corpora explains nothing.
RIVAL_RANGE = 0.1
# A rival this close to the score over the corpora, and to performance, competes with it.
RIVAL_R = 0.7
_LEAST_DEGREES_OF_FREEDOM = 3


@dataclasses.dataclass(frozen=True)
class Association:
    """What a score and a performance have to do with each other.

    Attributes:
      estimate: r, within families where there are several; corrected for the errors of the scores
        (Spearman 1904) where those are shown to be the lesser part. None, with a `reason`, where
        it cannot be taken.
      ci_low, ci_high: Fisher's 95% interval with the same correction; where that is not made, as
        wide as the interval of the reliability lets it be, which covers 95% or more.
      p: two-sided t test of r = 0, which that correction leaves as it is.
      degrees_of_freedom: n - 1 - families.
      reliability: share of the variance of the scores that is not their error; None where the
        scores have no errors.
      objections: what overturns the relation, sentences without a full stop.
      families: effects by family, None for one family.
    """

    n: int
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    degrees_of_freedom: int
    reliability: float | None
    objections: tuple[str, ...]
    families: FamilyEffects | None
    reason: str | None = None

    @property
    def descriptive(self) -> bool:
        """Fewer than three residual degrees of freedom: a test shows only what is plain to see."""
        return self.degrees_of_freedom < _LEAST_DEGREES_OF_FREEDOM


def associate(
    score: Sequence[float],
    performance: Sequence[float],
    score_stderr: Sequence[float] | None,
    names: Sequence[str],
    families: Sequence[str] | None = None,
    rivals: Mapping[str, Sequence[float]] | None = None,
) -> Association:
    """The association of a score with a performance over corpora.

    Args:
      score, performance: a value a corpus.
      score_stderr: standard errors of the scores, None where they have none.
      names: of the corpora, for the objections.
      families: of the corpora; effects are then taken within families. One family is none.
      rivals: other properties of the corpora that might explain performance, on a scale where a
        ratio means something (lengths, bits a byte); None values are refused by the caller."""
    x, y = np.asarray(score, float), np.asarray(performance, float)
    n = len(x)
    groups = list(families) if families is not None and len(set(families)) > 1 else None
    effects = family_effects(x, y, groups) if groups else None
    u, v = (within(x, groups), within(y, groups)) if groups else (x - x.mean(), y - y.mean())
    freedom = n - 1 - (len(set(groups)) if groups else 1)
    refused = Association(n, None, None, None, None, freedom, None, (), effects)
    if n < 3 or freedom < 1:
        return dataclasses.replace(refused, reason=f"{n} corpora are too few for a correlation")
    if _flat(u) or _flat(v):
        return dataclasses.replace(refused, reason="one of the two does not vary")
    r = _r(u, v)
    seen = _reliability(u, score_stderr, n - 1 if not groups else freedom + 1)
    reliability = seen.estimate
    scale = math.sqrt(reliability) if reliability is not None and seen.told_apart else 1.0
    low, high = _fisher(r, freedom - 1)
    if low is not None and high is not None:
        low, high = (
            (low / scale, high / scale)
            if seen.told_apart
            else (
                _without_noise(low, seen.high if low > 0 else seen.low),
                _without_noise(high, seen.low if high > 0 else seen.high),
            )
        )
    objections = []
    if reliability is not None and not seen.told_apart:
        objections.append(
            f"the scores are not told apart (reliability {max(reliability, 0):.2f}; it must be"
            f" shown to exceed {LEAST_RELIABILITY})"
        )
    objections += _single_corpora(u, v, r, freedom, names)
    if groups is None:
        objections += _order(x, y, r) + _two_groups(x, y, r)
    for rival, values in (rivals or {}).items():
        objections += _rival(u, v, r, np.asarray(values, float), rival, groups, freedom)
    if effects is not None:
        objections += effects.objections(r)
    return Association(
        n=n,
        estimate=_clipped(r / scale),
        ci_low=None if low is None else _clipped(low),
        ci_high=None if high is None else _clipped(high),
        p=_p(r, freedom),
        degrees_of_freedom=freedom,
        reliability=reliability,
        objections=tuple(objections),
        families=effects,
    )


@dataclasses.dataclass(frozen=True)
class _Reliability:
    """Of the scores, with its 95% interval; `told_apart`: it is shown to exceed
    LEAST_RELIABILITY. No `estimate` where the scores have no errors."""

    estimate: float | None
    low: float = 1.0
    high: float = 1.0
    told_apart: bool = True


def _reliability(u: np.ndarray, stderr: Sequence[float] | None, freedom: int) -> _Reliability:
    """Reliability of the scores.

    True scores drawn from a normal population give an observed sum of squares that is, over the
    mean squared error, chi-squared times 1 + the odds of the reliability; the least reliability is
    refused at RELIABILITY_ALPHA, one-sided. A point estimate above it is no guard: true scores one
    standard error apart exceed 0.5 every second time."""
    if stderr is None:
        return _Reliability(None)
    noise = float(np.mean(np.square(stderr)))
    if noise == 0:
        return _Reliability(1.0)
    observed = float(u @ u) / noise
    tail = (1 - LEVEL) / 2
    low, high = (
        max(0.0, 1 - float(stats.chi2.ppf(share, freedom)) / observed) for share in (1 - tail, tail)
    )
    return _Reliability(
        1 - freedom / observed, low, high, observed > _reliability_threshold(freedom)
    )


def _without_noise(r: float, reliability: float) -> float:
    """The r of scores without errors, of this r with scores of that reliability."""
    return math.copysign(1.0, r) if reliability <= r * r else r / math.sqrt(reliability)


@functools.cache
def _reliability_threshold(freedom: int) -> float:
    odds = LEAST_RELIABILITY / (1 - LEAST_RELIABILITY)
    return float((1 + odds) * stats.chi2.ppf(1 - RELIABILITY_ALPHA, freedom))


def _single_corpora(
    u: np.ndarray, v: np.ndarray, r: float, freedom: int, names: Sequence[str]
) -> list[str]:
    """What leaving out one corpus does; a corpus that carries the range must not be needed."""
    if freedom < 2:
        return []
    share = np.square(u) / (u @ u)
    worst: tuple[float, int, float] | None = None
    for index in range(len(u)):
        rest_u, rest_v = (np.delete(each, index) for each in (u, v))
        rest_u, rest_v = rest_u - rest_u.mean(), rest_v - rest_v.mean()
        left = 0.0 if _flat(rest_u) or _flat(rest_v) else math.copysign(1, r) * _r(rest_u, rest_v)
        needed = LEAST_R
        if share[index] > CARRYING_SHARE:
            needed = max(needed, needed_r(freedom - 1, CARRYING_ALPHA))
        if left < needed and (worst is None or left - needed < worst[0]):
            worst = (left - needed, index, math.copysign(1, r) * left)
    if worst is None:
        return []
    return [f"it rests on {names[worst[1]]}: without that corpus r = {worst[2]:.2f}"]


def _order(x: np.ndarray, y: np.ndarray, r: float) -> list[str]:
    rank = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
    if math.copysign(1, r) * rank >= LEAST_RANK_R:
        return []
    return [f"the order of the corpora does not bear it out (rank correlation {rank:.2f})"]


def _two_groups(x: np.ndarray, y: np.ndarray, r: float) -> list[str]:
    """Corpora in two groups far apart are two points, unless the relation holds within them."""
    order = np.sort(x)
    gaps = np.diff(order)
    place = int(np.argmax(gaps))
    if gaps[place] < GAP_SHARE * (order[-1] - order[0]) or min(place, len(x) - 2 - place) < 1:
        return []
    groups = ["high" if value > order[place] else "low" for value in x]
    u, v = within(x, groups), within(y, groups)
    left = 0.0 if _flat(u) or _flat(v) else math.copysign(1, r) * _r(u, v)
    if len(x) > 3 and left >= needed_r(len(x) - 3, ALPHA):
        return []
    left = math.copysign(1, r) * left
    return [
        f"the corpora fall into two groups far apart, within which r = {left:.2f}"
        " (name their kinds as `family` of each level)"
    ]


def _rival(
    u: np.ndarray,
    v: np.ndarray,
    r: float,
    values: np.ndarray,
    name: str,
    groups: Sequence[str] | None,
    freedom: int,
) -> list[str]:
    """A rival that goes with score and performance, and leaves the score nothing to add."""
    low, high = float(np.min(np.abs(values))), float(np.max(np.abs(values)))
    if high <= (1 + RIVAL_RANGE) * low:
        return []
    if np.all(values > 0):
        values = np.log(values)  # lengths and amounts act by their ratios
    w = within(values, groups) if groups else values - values.mean()
    if _flat(w):
        return []
    xz, yz = _r(u, w), _r(v, w)
    if min(abs(xz), abs(yz)) < RIVAL_R or xz * yz * r < 0:
        return []
    why = f"not told apart from {name} (r = {yz:.2f} with performance, {xz:.2f} with the score)"
    if freedom < 2 or 1 - xz * xz < 1e-9 or 1 - yz * yz < 1e-9:
        return [why]
    left = (r - xz * yz) / math.sqrt((1 - xz * xz) * (1 - yz * yz))
    if math.copysign(1, r) * left >= needed_r(freedom - 1, ALPHA / 2):
        return []
    return [f"{why}; given it, r = {left:.2f}"]


@functools.cache
def needed_r(freedom: int, tail: float) -> float:
    """The r that a one-sided t test on so many degrees of freedom needs at level `tail`."""
    t = float(stats.t.ppf(1 - tail, freedom))
    return t / math.sqrt(freedom + t * t)


def _flat(centred: np.ndarray) -> bool:
    return bool(centred @ centred <= 1e-24)


def _r(u: np.ndarray, v: np.ndarray) -> float:
    return float(np.clip(u @ v / math.sqrt((u @ u) * (v @ v)), -1, 1))


def _clipped(value: float) -> float:
    return float(min(1.0, max(-1.0, value)))


def _p(r: float, freedom: int) -> float:
    t = abs(r) * math.sqrt(freedom / max(1 - r * r, 1e-300))
    return float(2 * stats.t.sf(t, freedom))


def _fisher(r: float, precision: int) -> tuple[float | None, float | None]:
    if precision < 1:
        return None, None
    z = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) / math.sqrt(precision)
    return math.tanh(z - half), math.tanh(z + half)
