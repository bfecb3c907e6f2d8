"""What is the same at every level of a study and what is not, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.study.study_file import LevelRecord, RunRecord


def held_equal(
    recipe: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    levels: Sequence[LevelRecord],
    runs: Sequence[RunRecord],
) -> tuple[list[str], list[str]]:
    """What is the same at every level and what is not, in words; `configs`: config.json of a run of
    each size.

    Numbers are equal within 2%. Unique tokens and epochs are those of synthetic corpora: not of
    real text alone."""
    weights = {
        level["name"]: level.get("synthetic_weight", recipe["synthetic_weight"])
        for level in recipe["levels"]
    }
    at = {size: f" ({size})" if size else "" for size in configs}
    tokens = {
        size: run["steps"] * run["global_batch"] * run["seq_len"] for size, run in configs.items()
    }
    equal = [
        (
            "training tokens:"
            f" {', '.join(f'{count:,} a run{at[size]}' for size, count in tokens.items())}"
        ),
        "model, optimizer, schedule, tokenizer, evaluation text and seeds",
    ]
    unequal = []
    real = recipe["real_weight"] if recipe["real"] else 0
    facts = [
        (
            "share of real text",
            [real / (real + weight) for weight in weights.values() if real],
            ".0%",
        )
    ]
    unique = [level["unique_tokens"] for level in levels if weights[level["name"]]]
    facts.append(("unique tokens of the corpora", unique, ","))
    for size in configs:
        of_size = [
            run
            for run in runs
            if (run["stage"], run["size"]) == ("pretrain", size) and weights[run["level"]]
        ]
        facts.append(
            (
                f"epochs over them{at[size]}",
                [run["metrics"]["epochs/synthetic"] for run in of_size],
                ".3g",
            )
        )
    for what, values, form in facts:
        if values:
            ends = dict.fromkeys(format(end, form) for end in (min(values), max(values)))
            (equal if max(values) <= 1.02 * min(values) else unequal).append(
                f"{what}: {' to '.join(ends)}"
            )
    return equal, unequal
