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

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import p_equals
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.training import compilation_cache


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """What to evaluate, and on what.

    Attributes:
      workdir: run directories, comma-separated.
      data: held-out domains as name=folder,...; by default the run's data.eval.
      tasks: `paper`, or task names of the harness, comma-separated.
      task_data: folder of local items, <task>.jsonl each; by default the hub.
      limit: only the first so many items of each task.
      chat: use the chat template; by default where the run has one.
      num_fewshot: examples before each question, of local tasks from DIR/<task>_fewshot.jsonl; by
        default as many as the task says (the paper's: none).
      batch_tokens: tokens in a batch of task requests.
    """

    workdir: Annotated[tuple[str, ...], Flag(example="runs/350m")]
    data: str | None = None
    tasks: tuple[str, ...] = ()
    task_data: pathlib.Path | None = None
    limit: Annotated[int | None, Flag(at_least=1)] = None
    chat: bool | None = None
    num_fewshot: Annotated[int | None, Flag(at_least=0)] = None
    batch_tokens: Annotated[int, Flag(at_least=1)] = 4096


_EVALUATION = setting_flags.define(
    _Evaluation,
    {
        "run": ["workdir", "data"],
        "tasks": ["tasks", "task_data", "limit", "num_fewshot", "chat", "batch_tokens"],
    },
)


def _open_tasks(
    names: Sequence[str], folder: pathlib.Path | None, num_fewshot: int | None
) -> list[Any]:
    """The tasks asked for, before anything is loaded."""
    if not names:
        if folder:
            raise UserError("--task_data needs --tasks, e.g. --tasks=paper")
        if num_fewshot is not None:
            raise UserError("--num_fewshot needs --tasks, e.g. --tasks=paper")
        return []
    try:
        from divsyn_jax.evaluation import harness
    except ImportError as error:
        raise UserError(
            f"--tasks needs lm-eval ({error.name} is missing): pip install 'divsyn-jax[eval]'"
        ) from None
    return harness.open_tasks(harness.task_names(list(names)), folder, num_fewshot)


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
            interval = f"[{gap['ci_low']:+z.4f}, {gap['ci_high']:+z.4f}]"
            print(
                f"{other} - {workdirs[0]}: {name}: {gap['difference']:+z.4f} {interval},"
                f" {p_equals(gap['p'])} (paired)"
            )


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.evaluation import evaluation  # --help does without JAX

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give runs as --workdir=A,B")
    asked = _EVALUATION.given()
    workdirs = asked.workdir
    tasks = _open_tasks(asked.tasks, asked.task_data, asked.num_fewshot)
    results = {}
    for workdir in workdirs:
        result = evaluation.evaluate_run(
            *(pathlib.Path(workdir), asked.data, tasks, asked.chat, asked.limit),
            *(asked.batch_tokens, asked.num_fewshot),
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


def run() -> None:
    """Console entry."""
    compilation_cache.keep_compiled()
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
