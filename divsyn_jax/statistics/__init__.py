"""Statistics of a study, a concern a file. Imports neither jax nor torch. Intervals are at 95%
throughout.

The unit of every correlation is the corpus, never the run: seeds and documents say how well a
corpus's point is known, and no number of them replaces a corpus.
tools/benchmarks/simulate_statistics.md holds coverage, type I error and power of what is claimed
here, from simulated studies with known truth."""

from divsyn_jax.statistics.association import ALPHA, Association, associate
from divsyn_jax.statistics.bootstrap import (
    ItemScores,
    paired_bootstrap,
    paired_difference,
)
from divsyn_jax.statistics.correlation import (
    compare_dependent,
    curvature,
    leave_one_out,
    partial,
    pearson,
    spearman,
)
from divsyn_jax.statistics.families import FamilyEffects, family_effects
from divsyn_jax.statistics.intervals import (
    LEVEL,
    MeanInterval,
    NoiseFloor,
    mean_interval,
    noise_floor,
    standard_error,
)
from divsyn_jax.statistics.multiplicity import holm
from divsyn_jax.statistics.power import critical_r, detectable_r, is_descriptive

__all__ = [
    "ALPHA",
    "LEVEL",
    "Association",
    "FamilyEffects",
    "ItemScores",
    "MeanInterval",
    "NoiseFloor",
    "associate",
    "compare_dependent",
    "critical_r",
    "curvature",
    "detectable_r",
    "family_effects",
    "holm",
    "is_descriptive",
    "leave_one_out",
    "mean_interval",
    "noise_floor",
    "paired_bootstrap",
    "paired_difference",
    "partial",
    "pearson",
    "spearman",
    "standard_error",
]
