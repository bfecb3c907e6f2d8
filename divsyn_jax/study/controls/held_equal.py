"""What is the same at every level of a study and what is not, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.study.study_file import LevelRecord, RunRecord

TOLERANCE = 0.02


def held_equal(
    recipe: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    levels: Sequence[LevelRecord],
    runs: Sequence[RunRecord],
) -> tuple[list[str], list[str]]:
    """What is the same at every level and what is not, in words; `configs`: config.json of a run of
    each size.

    Numbers are equal within `TOLERANCE`, which the words state. Unique tokens and epochs count
    distinct text, of synthetic corpora: not of real text alone."""
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
    unequal: list[str] = []
    # Fine-tuning sets are compared after the stage that they do not share.
    stage = runs[0]["stage"] if runs else "pretrain"
    real = recipe["real_weight"] if recipe["real"] and stage == "pretrain" else 0
    facts = [
        (
            "share of real text",
            [real / (real + weight) for weight in weights.values() if real],
            ".0%",
        )
    ]
    synthetic = [level for level in levels if weights[level["name"]]]
    share = {
        level["name"]: level["unique_tokens"] / level.get("tokens", level["unique_tokens"])
        for level in synthetic
    }
    unique = [level["unique_tokens"] for level in synthetic]
    facts.append(("unique tokens of the corpora (of distinct documents)", unique, ","))
    fit = [
        level["controls"]["bytes_per_token"]
        for level in synthetic
        if "bytes_per_token" in level.get("controls", {})
    ]
    facts.append(("bytes a token (text read at equal tokens)", fit, ".3g"))
    for size in configs:
        of_size = [
            run["metrics"]["epochs/synthetic"] / share[run["level"]]
            for run in runs
            if (run["stage"], run["size"]) == (stage, size) and run["level"] in share
        ]
        facts.append((f"epochs over their distinct text{at[size]}", of_size, ".3g"))
    for what, values, form in facts:
        if values:
            ends = dict.fromkeys(format(end, form) for end in (min(values), max(values)))
            (equal if max(values) <= (1 + TOLERANCE) * min(values) else unequal).append(
                f"{what}: {' to '.join(ends)}"
            )
    equal[2:] = [f"{each} (within {TOLERANCE:.0%})" for each in equal[2:]]
    return equal, unequal
