"""Evaluate trained runs: held-out loss and bits per byte by domain, and tasks of
lm-evaluation-harness.

  python -m divsyn_jax.evaluate --workdir=runs/350m [--data=wiki=shards/wiki,books=shards/books]
  python -m divsyn_jax.evaluate --workdir=runs/a,runs/b --tasks=paper [--task_data=DIR]

writes eval.json into each run directory (several may be given, comma-separated: they share compiled
code, and are compared item by item), and results by document or item to eval/<domain or
task>.jsonl. Domains default to the run's own data.eval; the definition of bits per byte is in
divsyn_jax/training/heldout.py.

--tasks: `paper` (the eight tasks of Chen et al. 2024: ARC-C, ARC-E, BoolQ, SIQA, WinoGrande, PIQA,
COPA, HellaSwag) or names of the harness. Their data come from the Hugging Face hub, or with
--task_data=DIR from DIR/<task>.jsonl (.gz, .zst): items with the harness's fields, or {"text",
"choices", "label"} (see divsyn_jax/evaluation/task_data.py). Prompts are the harness's own, through
the chat template for runs that have one. An interrupted evaluation goes on where it stopped. Needs
the extra `eval`."""

import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.training import compilation_cache

_WORKDIR = flags.DEFINE_list("workdir", None, "Run directories (comma-separated).")
_DATA = flags.DEFINE_string(
    "data", None, "Domains as name=folder,...; default: the run's data.eval."
)
_TASKS = flags.DEFINE_list("tasks", [], "`paper`, or task names of the harness (comma-separated).")
_TASK_DATA = flags.DEFINE_string(
    "task_data", None, "Folder of local items, <task>.jsonl each; default: the hub."
)
_LIMIT = flags.DEFINE_integer(
    "limit", None, "Only the first so many items of each task.", lower_bound=1
)
_CHAT = flags.DEFINE_bool("chat", None, "Use the chat template; default: where the run has one.")
_BATCH_TOKENS = flags.DEFINE_integer(
    "batch_tokens", 4096, "Tokens in a batch of task requests.", lower_bound=1
)


def _open_tasks() -> list[Any]:
    """The tasks of the flags, before anything is loaded."""
    if not _TASKS.value:
        if _TASK_DATA.value:
            raise UserError("--task_data needs --tasks, e.g. --tasks=paper")
        return []
    try:
        from divsyn_jax.evaluation import harness
    except ImportError as error:
        raise UserError(
            f"--tasks needs lm-eval ({error.name} is missing): pip install 'divsyn-jax[eval]'"
        ) from None
    folder = pathlib.Path(_TASK_DATA.value) if _TASK_DATA.value else None
    return harness.open_tasks(harness.task_names(_TASKS.value), folder)


def _print(workdir: str, result: dict[str, Any]) -> None:
    for name, domain in result["domains"].items():
        print(
            f"{workdir} step {result['step']}: {name}: {domain['bits_per_byte']:.4f} bits/byte,"
            f" loss {domain['loss']:.4f}, {domain['documents']} documents"
        )
    for name, task in result["tasks"].items():
        error = "" if task["stderr"] is None else f" ± {task['stderr']:.4f}"
        print(
            f"{workdir} step {result['step']}: {name}: {task['metric']} {task['value']:.4f}{error},"
            f" {task['items']} items"
        )
    for name in ("mean", "mean_without_copa"):
        if result.get(name):
            mean = result[name]
            error = "" if mean["stderr"] is None else f" ± {mean['stderr']:.4f}"
            print(
                f"{workdir} step {result['step']}: {name}: {mean['value']:.4f}{error} over"
                f" {mean['tasks']} tasks"
            )


def _compare(workdirs: Sequence[str], names: Sequence[str]) -> None:
    from divsyn_jax.evaluation import harness

    for other in workdirs[1:]:
        for name in names:
            gap = harness.compare_runs(pathlib.Path(workdirs[0]), pathlib.Path(other), name)
            interval = f"[{gap['ci_low']:+.4f}, {gap['ci_high']:+.4f}]"
            print(
                f"{other} - {workdirs[0]}: {name}: {gap['difference']:+.4f} {interval}, p"
                f" {gap['p']:.3g} (paired)"
            )


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.evaluation import evaluation  # --help does without JAX

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give runs as --workdir=A,B")
    workdirs = commandline.require(_WORKDIR.value, "workdir", "runs/350m")
    tasks = _open_tasks()
    results = {}
    for workdir in workdirs:
        result = evaluation.evaluate_run(
            pathlib.Path(workdir),
            _DATA.value,
            tasks,
            _CHAT.value,
            _LIMIT.value,
            _BATCH_TOKENS.value,
        )
        _print(workdir, result)
        results[workdir] = result["tasks"]
    if tasks:
        _compare(
            workdirs,
            [
                name
                for name in results[workdirs[0]]
                if all(name in found for found in results.values())
            ],
        )


if __name__ == "__main__":
    compilation_cache.keep_compiled()
    commandline.run(main, __doc__)
