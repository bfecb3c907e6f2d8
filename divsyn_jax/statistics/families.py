"""Effects within and between families of corpora.

A family is a group of corpora of one kind (a ladder, a generator, a domain). A relation over all
corpora may be one between families alone, and the reverse of that in every family (Simpson 1951):
so effects are taken within families and combined, and the slope between families is named apart."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

_ORDERS = 10_000  # counted one by one up to here, drawn above
_ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class FamilyEffects:
    """Slopes of performance on the score.

    Attributes:
      within: the common slope within families (least squares, a mean for every family).
      by_family: the slope of each family that holds two or more corpora.
      between: the slope over the families' means, weighted by their corpora; None where those do
        not differ.
      permutation_p: two-sided, over the orders of performance within families; None where there
        are too few orders for one under 5%.
      exact: every order was counted.
      interaction_p: F test of equal slopes; None without degrees of freedom for it.
    """

    within: float
    by_family: dict[str, float]
    between: float | None
    permutation_p: float | None
    exact: bool
    interaction_p: float | None

    @property
    def opposite(self) -> bool:
        """Slopes of both signs that are shown to differ: it depends on the family."""
        signs = {math.copysign(1, slope) for slope in self.by_family.values() if slope}
        return len(signs) > 1 and self.interaction_p is not None and self.interaction_p < _ALPHA

    def objections(self, r: float) -> list[str]:
        """What of the families overturns a relation within them."""
        if self.opposite:
            return [f"it depends on the family ({self.words()})"]
        if self.permutation_p is not None and self.permutation_p >= _ALPHA:
            return [f"orders within families give p = {self.permutation_p:.2g}"]
        return []

    def words(self) -> str:
        """The slopes in words."""
        of_each = ", ".join(f"{name} {slope:+z.3g}" for name, slope in self.by_family.items())
        between = "" if self.between is None else f"; between families {self.between:+z.3g}"
        return f"slope within families {self.within:+z.3g}: {of_each}{between}"


def within(values: np.ndarray, families: Sequence[str]) -> np.ndarray:
    """Values less their family's mean."""
    centred = np.array(values, float)
    for name in set(families):
        members = [index for index, family in enumerate(families) if family == name]
        centred[members] -= centred[members].mean()
    return centred


def family_effects(x: np.ndarray, y: np.ndarray, families: Sequence[str]) -> FamilyEffects | None:
    """The effects of a score `x` on a performance `y`; None where no family varies in `x`."""
    u, v = within(x, families), within(y, families)
    if u @ u <= 1e-24:
        return None
    names = list(dict.fromkeys(families))
    members = {name: [i for i, family in enumerate(families) if family == name] for name in names}
    by_family = {
        name: float(u[places] @ v[places] / (u[places] @ u[places]))
        for name, places in members.items()
        if len(places) > 1 and u[places] @ u[places] > 1e-24
    }
    slope = float(u @ v / (u @ u))
    mean_x, mean_y = (np.asarray(z, float) - within(z, families) for z in (x, y))
    mean_x, mean_y = mean_x - mean_x.mean(), mean_y - mean_y.mean()
    between = float(mean_x @ mean_y / (mean_x @ mean_x)) if mean_x @ mean_x > 1e-24 else None
    p, exact = _permutation(u, v, list(members.values()))
    return FamilyEffects(
        slope, by_family, between, p, exact, _interaction(u, v, slope, by_family, members)
    )


def _permutation(
    u: np.ndarray, v: np.ndarray, members: Sequence[Sequence[int]]
) -> tuple[float | None, bool]:
    """Two-sided p over orders of `v` within families; the sum of products is the statistic."""
    count = math.prod(math.factorial(len(places)) for places in members)
    if 2 / count >= _ALPHA:
        return None, True
    observed = abs(u @ v) - 1e-12
    if count <= _ORDERS:
        sums = np.zeros(1)
        for places in members:
            own = np.array([u[places] @ v[list(order)] for order in itertools.permutations(places)])
            sums = (sums[:, None] + own[None]).ravel()
        return float(np.mean(np.abs(sums) >= observed)), True
    generator = np.random.default_rng(0)
    total = np.zeros(_ORDERS)
    for places in members:
        total += generator.permuted(np.tile(v[places], (_ORDERS, 1)), axis=1) @ u[places]
    return float((np.sum(np.abs(total) >= observed) + 1) / (_ORDERS + 1)), False


def _interaction(
    u: np.ndarray,
    v: np.ndarray,
    slope: float,
    by_family: dict[str, float],
    members: dict[str, list[int]],
) -> float | None:
    """F test of one slope for all families against a slope each."""
    extra = len(by_family) - 1
    freedom = len(u) - len(members) - len(by_family)
    if extra < 1 or freedom < 1:
        return None
    common = float(np.sum((v - slope * u) ** 2))
    apart = sum(
        float(np.sum((v[places] - by_family[name] * u[places]) ** 2))
        for name, places in members.items()
        if name in by_family
    )
    if apart <= 1e-24:
        return 0.0 if common > 1e-24 else 1.0
    return float(stats.f.sf((common - apart) / extra / (apart / freedom), extra, freedom))
