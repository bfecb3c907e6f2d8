"""The chance that a pair is of one kind, in each stratum of distance, from few answers.

Far strata hold most pairs and hardly any of one kind: of forty answers there mostly none is yes,
and one yes would double the estimate. So a stratum's chance is a compromise between its own answers
and one curve through all strata, logistic in the logarithm of rank. How much the curve counts is
fitted as well (empirical Bayes with the beta-binomial, Skellam 1948): much where the answers follow
it, little where they do not.

Shapes: H strata.
"""

import dataclasses

import numpy as np
from scipy import special

PRIOR_ANSWERS = tuple(2.0**power for power in range(8))  # 1 to 128: what the curve may count as
_RIDGE = 0.02  # keeps the curve finite where all answers agree
_STEPS = 100
_SMALLEST = 1e-9


@dataclasses.dataclass(frozen=True)
class StratumChances:
    """Chances with what is known of their errors.

    Attributes:
      chance_H: [H] in each stratum.
      covariance_HH: [H, H] of their errors.
      prior_answers: as how many answers in a stratum the curve counts.
    """

    chance_H: np.ndarray
    covariance_HH: np.ndarray
    prior_answers: float


def fit_chances(pairs_H: np.ndarray, asked_H: np.ndarray, same_H: np.ndarray) -> StratumChances:
    """Chances from the answers.

    Args:
      pairs_H: [H] pairs in each stratum, nearest first.
      asked_H, same_H: [H] those answered, and those of one kind among them.
    """
    middle_H = np.log(np.cumsum(pairs_H) - pairs_H / 2)
    spread = float(middle_H.std())
    z_H = (middle_H - middle_H.mean()) / (spread if spread > 0 else 1.0)
    design_H2 = np.stack([np.ones(len(z_H)), -z_H], axis=1)
    best, prior = -np.inf, PRIOR_ANSWERS[0]
    for answers in PRIOR_ANSWERS:
        curve_H, _ = _curve(design_H2, asked_H, same_H, answers)
        likelihood = _log_beta_binomial(asked_H, same_H, curve_H, answers)
        if likelihood > best:
            best, prior = likelihood, answers
    curve_H, covariance_22 = _curve(design_H2, asked_H, same_H, prior)
    chance_H = (same_H + prior * curve_H) / (asked_H + prior)
    own_H = chance_H * (1 - chance_H) / (asked_H + prior + 1)
    # What the curve's own error does to every stratum that leans on it.
    lever_H2 = (prior / (asked_H + prior) * curve_H * (1 - curve_H))[:, None] * design_H2
    covariance_HH = np.diag(own_H) + lever_H2 @ covariance_22 @ lever_H2.T
    full_H = asked_H >= pairs_H
    chance_H = np.where(full_H, same_H / np.maximum(asked_H, 1), chance_H)
    covariance_HH[full_H] = 0.0
    covariance_HH[:, full_H] = 0.0
    if not full_H.all():
        chance_H = np.where(full_H, chance_H, np.clip(chance_H, _SMALLEST, 1.0))
    return StratumChances(chance_H, covariance_HH, prior)


def _curve(
    design_H2: np.ndarray, asked_H: np.ndarray, same_H: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """The logistic curve and the covariance of its two coefficients.

    Answers of one stratum hang together where strata stray from the curve: they count for less.
    """
    count_H = np.asarray(asked_H, np.float64)
    worth_H = count_H * (prior + 1) / np.maximum(count_H + prior, 1e-12)
    share_H = np.where(count_H > 0, same_H / np.maximum(count_H, 1), 0.0)
    found_2 = _newton(design_H2, worth_H, share_H)
    if found_2[1] < 0:  # never rising with distance
        flat_2 = _newton(design_H2[:, :1], worth_H, share_H)
        found_2 = np.array([flat_2[0], 0.0])
    curve_H = special.expit(design_H2 @ found_2)
    information_22 = design_H2.T @ ((worth_H * curve_H * (1 - curve_H))[:, None] * design_H2)
    return curve_H, np.linalg.inv(information_22 + _RIDGE * np.eye(2))


def _newton(design_HC: np.ndarray, worth_H: np.ndarray, share_H: np.ndarray) -> np.ndarray:
    def loss(beta: np.ndarray) -> float:
        logit_H = design_HC @ beta
        gain_H = share_H * special.log_expit(logit_H) + (1 - share_H) * special.log_expit(-logit_H)
        return float(-worth_H @ gain_H + _RIDGE / 2 * beta @ beta)

    beta = np.zeros(design_HC.shape[1])
    before = loss(beta)
    for _ in range(_STEPS):
        chance_H = special.expit(design_HC @ beta)
        slope = design_HC.T @ (worth_H * (chance_H - share_H)) + _RIDGE * beta
        bend = design_HC.T @ ((worth_H * chance_H * (1 - chance_H))[:, None] * design_HC)
        step = np.linalg.solve(bend + _RIDGE * np.eye(len(beta)), slope)
        size = 1.0
        while (after := loss(beta - size * step)) > before and size > 1e-6:
            size /= 2
        if after > before:
            break
        beta = beta - size * step
        if before - after < 1e-10:
            break
        before = after
    return beta


def _log_beta_binomial(
    asked_H: np.ndarray, same_H: np.ndarray, curve_H: np.ndarray, prior: float
) -> float:
    first_H, second_H = prior * curve_H, prior * (1 - curve_H)
    found_H = special.betaln(same_H + first_H, asked_H - same_H + second_H)
    return float((found_H - special.betaln(first_H, second_H)).sum())
