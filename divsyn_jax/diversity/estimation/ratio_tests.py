"""Tests of what is estimated from documents alone, without draws: ratios of effective clusters, and
shares of copies.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from scipy import special

from divsyn_jax.diversity.estimation.all_pairs import PairEstimate
from divsyn_jax.diversity.estimation.differences import (
    Difference,
    PairTest,
    pairs_tested,
    with_holm,
)
from divsyn_jax.diversity.estimation.intervals import t_quantile
from divsyn_jax.diversity.estimation.profile import ratio_of

SIZES_APART = 1.1  # of samples: shares of copies grow with the number of documents


@dataclasses.dataclass(frozen=True)
class CopyShare:
    """The share of documents that repeat an earlier one.

    Attributes:
      name: the corpus.
      value: the share.
      documents: among which.
      error: its standard error over documents; None where it is not known.
    """

    name: str
    value: float
    documents: int
    error: float | None = None

    @property
    def error_bound(self) -> float:
        """The standard error, or the largest that the share allows.

        The jackknife variance is p (1-p) / (N-1), p the share of documents without any copy. With a
        share r of repeats p lies between 1 - 2r (pairs) and 1 - r (one document many times). Where
        nothing was seen to repeat, or everything but one document, the rule of three bounds what
        may: its 95% limit 3/N takes the place of 1.96 errors.
        """
        least = 3 / self.documents / t_quantile(math.inf)
        if self.error is not None:
            return max(self.error, least)
        low, high = max(0.0, 1 - 2 * self.value), 1 - self.value
        alone = min(max(0.5, low), high)
        return max(math.sqrt(alone * (1 - alone) / max(1, self.documents - 1)), least)

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95% interval over documents, within what a share can be."""
        half_width = t_quantile(math.inf) * self.error_bound
        return max(0.0, self.value - half_width), min(1.0, self.value + half_width)


def compare_ratios(estimates: Mapping[str, PairEstimate]) -> list[PairTest]:
    """Effective clusters of every pair of corpora (see `differences.pairs_tested`), by a normal
    test on the logarithm with the jackknife's errors over documents. `difference` is log2 of the
    ratio.

    Args:
      estimates: by corpus, all for one number of documents.
    """
    found = []
    for first, second in pairs_tested(list(estimates)):
        ratio = ratio_of(estimates[first], estimates[second])
        ends = math.log2(ratio.value), math.log2(ratio.ci_low), math.log2(ratio.ci_high)
        difference = Difference(*ends, ratio.p_value)
        method = "normal test on the log ratio, over documents"
        found.append(PairTest(first, second, difference, None, method, None, ratio))
    return with_holm(found)


def compare_shares(shares: Sequence[CopyShare]) -> list[PairTest]:
    """Shares of copies of every pair of corpora, by a normal test over documents.

    A pair is refused where the numbers of documents differ by more than `SIZES_APART`.
    """
    return with_holm([_compare_shares(*pair) for pair in pairs_tested(shares)])


def _compare_shares(first: CopyShare, second: CopyShare) -> PairTest:
    sizes = first.documents, second.documents
    if max(sizes) > SIZES_APART * min(sizes):
        reason = (
            f"not compared: a share of {sizes[0]:,} documents and one of {sizes[1]:,}; such shares"
            " grow with the number of documents"
        )
        return PairTest(first.name, second.name, None, None, None, reason)
    value = second.value - first.value
    error = math.hypot(first.error_bound, second.error_bound)
    half_width = t_quantile(math.inf) * error
    p_value = 2 * float(special.ndtr(-abs(value) / error))
    difference = Difference(value, value - half_width, value + half_width, p_value)
    method = "normal test of two shares, over documents"
    return PairTest(first.name, second.name, difference, None, method, None)
