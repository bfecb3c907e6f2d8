"""How often a factorial study finds what is there and what is not, on simulated studies with known
truth; writes simulate_factorial.md beside this file.

  python tools/benchmarks/simulate_factorial.py [--studies=2000] [--seed=0] [--page]

The design is that of configs/studies/factorial.py: four real factors in full, file order as the
sham, one twin. The noise is that study's own, or that of the default study (configs/studies/
tiny.py), whose shorter warm-up leaves more seeds on a plateau: the runs below."""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from divsyn_jax.statistics.factorial import Design, factorial_design, factorial_effects

# Bits per byte on held-out grammar of the default study's runs, levels by seeds 0, 1, 2 (commit
# c8e841e, two cores): what seeds make of one corpus.
DEFAULT_RUNS = (
    (3.1795, 3.1791, 3.1958),
    (2.852, 2.8535, 2.865),
    (2.4998, 2.4967, 2.5178),
    (2.2852, 2.2617, 2.304),
    (2.2111, 2.1931, 2.3127),
    (2.4927, 2.4952, 2.5141),
)
# The same of the factorial study's 17 corpora, on text that is new on no axis (commit 5acc6e1).
OWN_RUNS = (
    (0.8061, 0.8317, 0.8205),
    (0.9805, 0.9943, 0.9908),
    (1.3128, 1.3079, 1.3184),
    (1.4797, 1.4532, 1.4487),
    (1.2905, 1.3016, 1.2943),
    (1.4, 1.4023, 1.3776),
    (1.8245, 1.7718, 1.7671),
    (1.8278, 1.8545, 1.8624),
    (0.9225, 0.9369, 0.9186),
    (1.1097, 1.0955, 1.0954),
    (1.4068, 1.406, 1.4029),
    (1.5225, 1.5336, 1.52),
    (1.383, 1.3833, 1.3905),
    (1.4893, 1.4769, 1.5003),
    (1.8755, 1.828, 1.819),
    (1.9329, 1.9286, 1.9068),
    (1.39, 1.4017, 1.3846),
)
FACTORS = ("topics", "styles", "personas", "wordings")
SHAM = "file_order"
# What the factors do, bits per byte; `wordings` is the effect that must be found. Interactions as
# large as a saturating response makes them.
EFFECTS = {"topics": -0.3, "styles": -0.05, "personas": 0.0, "wordings": -0.02}
INTERACTION, THREE_WAY = 0.03, 0.005


@dataclasses.dataclass(frozen=True)
class Case:
    """A noise: `scale` times the residuals of a study's `runs`, drawn again (`as_seen`) or normal;
    corpora differ by `corpus_sd` bits per byte; `seeds` a corpus."""

    name: str
    scale: float = 1.0
    as_seen: bool = False
    corpus_sd: float = 0.0
    three_way: float = 0.0
    seeds: int = 3
    runs: tuple[tuple[float, ...], ...] = DEFAULT_RUNS


def noise_of(of_levels: Sequence[Sequence[float]]) -> tuple[np.ndarray, float, float]:
    """Residuals of a study's runs when level and seed are taken off (scaled to their
    degrees of freedom), their standard deviation, and that of the seeds' own means."""
    runs = np.array(of_levels)
    within = runs - runs.mean(axis=1, keepdims=True)
    block = within.mean(axis=0)
    left = within - block
    levels, seeds = runs.shape
    freedom = (levels - 1) * (seeds - 1)
    left *= (levels * seeds / freedom) ** 0.5
    return left.ravel(), float(left.std()), float(block.std(ddof=1))


CASES = (
    Case("the study's own noise, normal", runs=OWN_RUNS),
    Case("the study's own noise, its own residuals", as_seen=True, runs=OWN_RUNS),
    Case("the default study's noise, normal"),
    Case("the default study's noise, its own residuals", as_seen=True),
    Case("half that noise", 0.5),
    Case("half that noise, its own residuals", 0.5, as_seen=True),
    Case("half that noise, corpora differ by a third of it", 0.5, corpus_sd=0.004),
    Case("half that noise, corpora differ as much", 0.5, corpus_sd=0.011),
    Case("half that noise, three-factor interactions", 0.5, three_way=THREE_WAY),
    Case("the default study's noise, four seeds", seeds=4),
    Case("the default study's noise, five seeds", seeds=5),
)


def truth(design: Design, three_way: float) -> np.ndarray:
    """[C] the expected outcome of every corpus."""
    found = np.zeros(len(design.rows))
    for name, size in EFFECTS.items():
        found += size / 2 * design.column((name,))
    found += INTERACTION / 2 * design.column(("topics", "styles"))
    return found + three_way / 2 * design.column(("topics", "styles", "wordings"))


def simulate(case: Case, studies: int, seed: int = 0) -> dict[str, float]:
    """Shares of studies: the small effect found; the sham and an absent effect not told; and of
    intervals that cover; with the mean half-width."""
    generator = np.random.default_rng([seed, sum(map(ord, case.name))])
    design = factorial_design(FACTORS, sham=SHAM)
    residuals, sd, block_sd = noise_of(case.runs)
    expected_C = truth(design, case.three_way)
    twin_of = 5
    true = {**EFFECTS, SHAM: 0.0, "topics x styles": INTERACTION}
    found = dict.fromkeys(("found", "sham", "absent", "cover", "sham covers", "half"), 0.0)
    counted = 0
    for _ in range(studies):
        corpora = np.append(expected_C, expected_C[twin_of])
        corpora = corpora + case.corpus_sd * generator.standard_normal(len(corpora))
        shape = (len(corpora), case.seeds)
        noise = (
            generator.choice(residuals, shape)
            if case.as_seen
            else sd * generator.standard_normal(shape)
        )
        block = block_sd * generator.standard_normal(case.seeds)
        seen = corpora[:, None] + case.scale * (noise + block)
        result = factorial_effects(seen[:-1], design, {twin_of: seen[-1]})
        for effect in result["effects"]:
            inside = effect["ci_low"] <= true.get(effect["name"], 0.0) <= effect["ci_high"]
            found["cover"] += inside
            counted += 1
            if effect["name"] == "wordings":
                found["found"] += effect["p_holm"] < 0.05 and effect["value"] < 0
                found["half"] += (effect["ci_high"] - effect["ci_low"]) / 2
            elif effect["name"] == "personas":
                found["absent"] += effect["p_holm"] >= 0.05
            elif effect["sham"]:
                found["sham"] += effect["p_holm"] >= 0.05
                found["sham covers"] += inside
    cover = found.pop("cover") / counted
    return {name: value / studies for name, value in found.items()} | {"cover": cover}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", action="store_true", help="write simulate_factorial.md")
    arguments = parser.parse_args()
    _, own_sd, own_block_sd = noise_of(OWN_RUNS)
    _, sd, block_sd = noise_of(DEFAULT_RUNS)
    lines = [
        "# Factorial studies, simulated",
        "",
        (
            "Command: `python tools/benchmarks/simulate_factorial.py"
            f" --studies={arguments.studies} --seed={arguments.seed} --page`. Sixteen corpora (2^4"
            " in full, file order as the sham on their four-factor interaction) and one twin. True"
            f" effects, bits per byte: {EFFECTS}, topics x styles {INTERACTION}. The study's"
            f" own noise: sd {own_sd:.4f} of a run once corpus and seed are taken off, and"
            f" {own_block_sd:.4f} that all corpora of a seed share; the default study's:"
            f" {sd:.4f} and {block_sd:.4f}. `found`: the effect of 0.02 after"
            " Holm over the five main effects (wanted: 80%); `sham` and `absent`: file order and"
            " the absent effect are 'cannot tell' (wanted: 95%); `covers`: intervals that hold the"
            " truth, over all effects (wanted: 93 to 97%). Bold: past what is wanted by more than"
            " two Monte Carlo standard errors."
        ),
        "",
        "| noise | seeds | found | sham | absent | covers | half-width |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        got = simulate(case, arguments.studies, arguments.seed)
        slack = {p: 2 * (p * (1 - p) / arguments.studies) ** 0.5 for p in (0.8, 0.95, 0.93, 0.97)}
        cells = [
            _cell(got["found"], got["found"] < 0.8 - slack[0.8]),
            _cell(got["sham"], got["sham"] < 0.95 - slack[0.95]),
            _cell(got["absent"], got["absent"] < 0.95 - slack[0.95]),
            _cell(got["cover"], not 0.93 - slack[0.93] <= got["cover"] <= 0.97 + slack[0.97]),
        ]
        lines.append(f"| {case.name} | {case.seeds} | {' | '.join(cells)} | {got['half']:.4f} |")
        print(lines[-1], flush=True)
    if arguments.page:
        pathlib.Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


def _cell(share: float, bad: bool) -> str:
    return f"**{share:.1%}**" if bad else f"{share:.1%}"


if __name__ == "__main__":
    main()
