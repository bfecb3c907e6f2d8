"""Evaluate trained runs: held-out loss and bits per byte by domain, and tasks of lm-evaluation-harness.

  python -m divsyn_jax.evaluate --workdir=runs/350m [--data=wiki=shards/wiki,books=shards/books]
  python -m divsyn_jax.evaluate --workdir=runs/a,runs/b --tasks=paper [--task_data=DIR]

writes eval.json into each run directory (several may be given, comma-separated: they share compiled code, and are compared
item by item), and results by document or item to eval/<domain or task>.jsonl. Domains default to the run's own data.eval; the
definition of bits per byte is in divsyn_jax/heldout.py.

--tasks: `paper` (the eight tasks of Chen et al. 2024: ARC-C, ARC-E, BoolQ, SIQA, WinoGrande, PIQA, COPA, HellaSwag) or names of
the harness. Their data come from the Hugging Face hub, or with --task_data=DIR from DIR/<task>.jsonl (.gz, .zst): items with
the harness's fields, or {"text", "choices", "label"} (see divsyn_jax/task_data.py). Prompts are the harness's own, through
the chat template for runs that have one. An interrupted evaluation goes on where it stopped. Needs the extra `eval`.
"""

import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from absl import flags
from jax.sharding import Mesh

from divsyn_jax import commandline, files, heldout, sharding, step, trained_run
from divsyn_jax.commandline import UserError
from divsyn_jax.recipe import Recipe
from divsyn_jax.trained_run import TrainedRun

_WORKDIR = flags.DEFINE_list("workdir", None, "Run directories (comma-separated).")
_DATA = flags.DEFINE_string("data", None, "Domains as name=folder,...; default: the run's data.eval.")
_TASKS = flags.DEFINE_list("tasks", [], "`paper`, or task names of the harness (comma-separated).")
_TASK_DATA = flags.DEFINE_string("task_data", None, "Folder of local items, <task>.jsonl each; default: the hub.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only the first so many items of each task.", lower_bound=1)
_CHAT = flags.DEFINE_bool("chat", None, "Use the chat template; default: where the run has one.")
_BATCH_TOKENS = flags.DEFINE_integer("batch_tokens", 4096, "Tokens in a batch of task requests.", lower_bound=1)


def evaluate_run(
    workdir: pathlib.Path,
    data: str | None = None,
    tasks: Sequence[Any] = (),
    chat: bool | None = None,
    limit: int | None = None,
    batch_tokens: int = 4096,
) -> dict[str, Any]:
    """Evaluate the newest checkpoint of a run, write `eval.json` and return it. Raises `UserError` for an unusable run.

    Args:
      data: domains, in place of the run's own data.eval.
      tasks: as `harness.open_tasks` gives them. Results of other tasks on the same checkpoint stay in eval.json.
      chat: use the chat template; None: where the run has one.
      limit: of items a task.
      batch_tokens: see `language_model`.
    """
    run = trained_run.open_run(workdir)
    recipe = run.recipe
    spec = recipe.data.eval if data is None else data
    if not spec and not tasks:
        raise UserError(f"{workdir}: the run names no data.eval; give domains with --data=name=folder, or --tasks")
    domains = heldout.open_domains(spec, recipe.data.root if data is None else "", recipe.seq_len, run.tokenizer.sha256)
    if spec and not domains:
        raise UserError(f"--data={spec}: no domain; give domains as name=folder,...")
    mesh = sharding.make_mesh(recipe.mesh)
    with jax.set_mesh(mesh):
        params, progress = run.load_params(mesh)
        identity = trained_run.checkpoint_identity(progress)
        result: dict[str, Any] = {"step": progress["step"], "checkpoint": identity, "domains": {}, "tasks": {}}
        eval_step = _cached_eval_step(recipe)
        for domain in domains:
            documents = domain.evaluate(eval_step, params, recipe.eval.batch, mesh)
            result["domains"][domain.name] = {
                **heldout.summarise(documents),
                "data": domain.windows.fingerprint,
                "window": recipe.seq_len,
            }
            lines = (json.dumps({"document": index, **document}) for index, document in enumerate(documents))
            files.write_text(workdir / "eval" / f"{domain.name}.jsonl", "\n".join(lines) + "\n")
        if tasks:
            result.update(_evaluate_tasks(run, params, mesh, identity, tasks, chat, limit, batch_tokens))
    files.write_json(workdir / "eval.json", result)
    return result


def _evaluate_tasks(
    run: TrainedRun,
    params: Any,
    mesh: Mesh,
    identity: str,
    tasks: Sequence[Any],
    chat: bool | None,
    limit: int | None,
    batch_tokens: int,
) -> dict[str, Any]:
    """`tasks`, `mean` and `mean_without_copa` of eval.json."""
    from divsyn_jax import chat_prompts, harness, language_model

    has_template = chat_prompts.load(run.workdir / "tokenizer", run.tokenizer) is not None
    if chat and not has_template:
        raise UserError(f"{run.workdir}: --chat, but the run has no chat template; fine-tune it on conversations")
    chat = has_template if chat is None else chat
    entries: dict[str, Any] = {}
    if (run.workdir / "eval.json").is_file():
        earlier = files.read_json(run.workdir / "eval.json")
        entries = earlier["tasks"] if earlier.get("checkpoint") == identity else {}
    with language_model.opened(run, params, mesh, batch_tokens, identity) as lm:
        for name, (entry, items) in harness.run(lm, tasks, chat, limit).items():
            harness.write_items(run.workdir, name, items)
            entries[name] = {**entry, "chat_template": chat}
        if lm.truncated:
            print(f"{run.workdir}: {lm.truncated} requests were longer than {lm.max_length} tokens and cut on the left")
    return {"tasks": entries, **harness.means(entries)}


_EVAL_STEPS: dict[tuple, Callable] = {}


def _cached_eval_step(recipe: Recipe) -> Callable:
    """Runs of one shape share one compiled step."""
    key = (recipe.model, recipe.loss.chunk)
    if key not in _EVAL_STEPS:
        _EVAL_STEPS[key] = step.make_eval_step(*key)
    return _EVAL_STEPS[key]


def _open_tasks() -> list[Any]:
    """The tasks of the flags, before anything is loaded."""
    if not _TASKS.value:
        if _TASK_DATA.value:
            raise UserError("--task_data needs --tasks, e.g. --tasks=paper")
        return []
    try:
        from divsyn_jax import harness
    except ImportError as error:
        raise UserError(f"--tasks needs lm-eval ({error.name} is missing): pip install 'divsyn-jax[eval]'") from None
    folder = pathlib.Path(_TASK_DATA.value) if _TASK_DATA.value else None
    return harness.open_tasks(harness.task_names(_TASKS.value), folder)


def _print(workdir: str, result: dict[str, Any]) -> None:
    for name, domain in result["domains"].items():
        print(
            f"{workdir} step {result['step']}: {name}: {domain['bits_per_byte']:.4f} bits/byte, loss {domain['loss']:.4f}, {domain['documents']} documents"
        )
    for name, task in result["tasks"].items():
        error = "" if task["stderr"] is None else f" ± {task['stderr']:.4f}"
        print(
            f"{workdir} step {result['step']}: {name}: {task['metric']} {task['value']:.4f}{error}, {task['items']} items"
        )
    for name in ("mean", "mean_without_copa"):
        if result.get(name):
            mean = result[name]
            error = "" if mean["stderr"] is None else f" ± {mean['stderr']:.4f}"
            print(f"{workdir} step {result['step']}: {name}: {mean['value']:.4f}{error} over {mean['tasks']} tasks")


def _compare(workdirs: Sequence[str], names: Sequence[str]) -> None:
    from divsyn_jax import harness

    for other in workdirs[1:]:
        for name in names:
            gap = harness.compare(pathlib.Path(workdirs[0]), pathlib.Path(other), name)
            interval = f"[{gap['ci_low']:+.4f}, {gap['ci_high']:+.4f}]"
            print(f"{other} - {workdirs[0]}: {name}: {gap['difference']:+.4f} {interval}, p {gap['p']:.3g} (paired)")


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give runs as --workdir=A,B")
    workdirs = commandline.require(_WORKDIR.value, "workdir", "runs/350m")
    tasks = _open_tasks()
    results = {}
    for workdir in workdirs:
        result = evaluate_run(pathlib.Path(workdir), _DATA.value, tasks, _CHAT.value, _LIMIT.value, _BATCH_TOKENS.value)
        _print(workdir, result)
        results[workdir] = result["tasks"]
    if tasks:
        _compare(workdirs, [name for name in results[workdirs[0]] if all(name in found for found in results.values())])


if __name__ == "__main__":
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser("~/.cache/divsyn_jax/xla"))
    commandline.run(main, __doc__)
