"""What a study has to run: the commands of every run, stage by stage, and which of them are done.

A run is a chain: pretrain, evaluate, perhaps sft and evaluate. Each step is one command that leaves
one file when it is done; only that file is trusted, so any backend may run the steps, any number of
times."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base import recipes
from divsyn_jax.study.finetuning import sets as finetuning_sets
from divsyn_jax.study.recipe import Run, Study


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of a run.

    Attributes:
      stage: e.g. 'pretrain', or 'sft evaluate'.
      command: argument vector, interpreter included.
      result: the file that stands when it is done.
      log: file for its output.
    """

    stage: str
    command: tuple[str, ...]
    result: pathlib.Path
    log: pathlib.Path

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.result.exists()


def steps(study: Study, run: Run) -> list[Step]:
    """The steps of a run, each depending on the one before."""
    found, trained = [], "pretrain"
    for stage in study.recipe["stages"]:
        if stage == "evaluate":
            workdir = study.run_dir(run, trained)
            name = "evaluate" if trained == "pretrain" else f"{trained} evaluate"
            command = evaluate_command(study, [workdir])
            found.append(Step(name, command, workdir / "eval.json", workdir / "evaluate.log"))
            continue
        trained = stage
        workdir = study.run_dir(run, stage)
        command = _pretrain_command(study, run) if stage == "pretrain" else _sft_command(study, run)
        found.append(Step(stage, command, workdir / "DONE", workdir / "train.log"))
    return found


def is_prepared(study: Study) -> bool:
    """Whether scores, tokenizer and shards are there, which every run needs."""
    return (study.workdir / "PREPARED").exists()


def missing(study: Study) -> list[Run]:
    """Runs with a step that is not done."""
    return [run for run in study.runs if not all(step.done for step in steps(study, run))]


def evaluate_command(study: Study, workdirs: list[pathlib.Path]) -> tuple[str, ...]:
    """Evaluate run directories in one process: they share compiled code."""
    shards = study.workdir / "shards" / "heldout"
    return (
        *(sys.executable, "-m", "divsyn_jax.evaluate", f"--workdir={','.join(map(str, workdirs))}"),
        f"--data={','.join(f'{name}={shards / name}' for name in study.recipe['heldout'])}",
        *((f"--tasks={','.join(study.recipe['tasks'])}",) if study.recipe["tasks"] else ()),
        *(
            (f"--num_fewshot={study.recipe['num_fewshot']}",)
            if study.recipe.get("num_fewshot") is not None
            else ()
        ),
        *((f"--task_data={study.task_data}",) if study.recipe["tasks"] and study.task_data else ()),
    )


def _pretrain_command(study: Study, run: Run) -> tuple[str, ...]:
    recipe, shards = study.recipe, study.workdir / "shards"
    level = recipe.get(finetuning_sets.SHARED) or next(
        level for level in recipe["levels"] if level["name"] == run.level
    )
    weights = {"real": recipe["real_weight"] if study.real_corpus else 0}
    weights["synthetic"] = level.get("synthetic_weight", recipe["synthetic_weight"])
    folders = {"real": shards / "real", "synthetic": shards / level["name"]}
    same_text = (
        level.get("fingerprint", "") == recipe.get("real_fingerprint") and not recipe["equal_text"]
    )
    if not weights["synthetic"] and same_text:
        folders["real"] = (
            shards / level["name"]
        )  # the same windows, which know their level and its score
    part = {"synthetic": f"@{level['unique_tokens']}"} if "unique_tokens" in level else {}
    mixture = ",".join(
        f"{name}={folders[name]}{part.get(name, '')}:{weight:g}"
        for name, weight in weights.items()
        if weight
    )
    return _train_command(
        study.train_keys(run), study.run_dir(run), {"data.train": mixture, "seed": run.seed}
    )


def _sft_command(study: Study, run: Run) -> tuple[str, ...]:
    shards = study.workdir / "shards"
    of_level = finetuning_sets.compares_sft_sets(study.recipe)
    bound = {
        "data.train": f"synthetic={shards / run.level}:1" if of_level else shards / "sft",
        "init_from": study.run_dir(run),
        "seed": run.seed,
    }
    return _train_command(study.sft_keys(run), study.run_dir(run, "sft"), bound)


def _train_command(
    keys: Mapping[str, Any], workdir: pathlib.Path, bound: Mapping[str, Any]
) -> tuple[str, ...]:
    overrides = _flat({key: value for key, value in keys.items() if key != "config"})
    return (
        *(
            sys.executable,
            "-m",
            "divsyn_jax.train",
            f"--config={recipes.find_if_any(keys['config'])}",
            f"--workdir={workdir}",
        ),
        *(f"--config.{key}={value}" for key, value in {**bound, **overrides}.items()),
    )


def environment(study: Study) -> dict[str, str]:
    """Variables that every step needs: the package and the study's compilation cache."""
    # An installed package is found without help.
    root = str(recipes.ROOT) if recipes.is_clone() else ""
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # glibc gives a step's large buffers back to the kernel and faults them in again at the next:
    # 15% of a step on a CPU.
    kept = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(1 << 32))
    return {
        "JAX_COMPILATION_CACHE_DIR": str(study.workdir / "xla_cache"),
        "PYTHONPATH": path,
        **kept,
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `a.b`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(
            _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
        )
    return flat
