"""Tasks of lm-evaluation-harness on a run: its prompts and metrics, data of the hub or of local
files. Needs `eval`.

The paper's eight tasks (Chen et al. 2024, section 4) are zero-shot, acc_norm for ARC-Challenge and
HellaSwag and acc elsewhere; their mean is reported with and without COPA, whose hundred items are
most of its error."""

import json
import logging
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import jinja2
import lm_eval.tasks
from lm_eval import evaluator
from lm_eval.api.group import Group
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation import task_data
from divsyn_jax.statistics import paired_bootstrap

# Where the harness keeps each task, and the metric that the paper reports.
PAPER_TASKS = {
    "arc_challenge": ("arc/arc_challenge.yaml", "acc_norm"),
    "arc_easy": ("arc/arc_easy.yaml", "acc"),
    "boolq": ("super_glue/boolq/default.yaml", "acc"),
    "social_iqa": ("siqa/siqa.yaml", "acc"),
    "winogrande": ("winogrande/default.yaml", "acc"),
    "piqa": ("piqa/piqa.yaml", "acc"),
    "copa": ("super_glue/copa/default.yaml", "acc"),
    "hellaswag": ("hellaswag/hellaswag.yaml", "acc_norm"),
}
# Tasks of local files alone: all paradigms of BLiMP with the prompt that they share, and anyone's
# own questions in ARC's form.
_LOCAL_ONLY = {"blimp": ("blimp/_template_yaml", "acc"), "items": ("arc/arc_easy.yaml", "acc_norm")}
_BOOTSTRAP_DRAWS = 1000  # for metrics that are not means
_FEWSHOT_SPLIT = "fewshot"
_FEWSHOT_SEED = 1234  # the harness's own default
# How an item that lacks a field, or holds another kind of value, shows in the harness.
_ITEM_ERRORS = (KeyError, ValueError, TypeError, IndexError, jinja2.TemplateError)


def task_names(spec: Sequence[str]) -> list[str]:
    """Task names with `paper` spelled out, each once."""
    names = [name for entry in spec for name in (PAPER_TASKS if entry == "paper" else [entry])]
    return list(dict.fromkeys(names))


def open_tasks(
    names: Sequence[str], folder: pathlib.Path | None, num_fewshot: int | None = None
) -> list[Task | Group]:
    """The tasks with their data: from local files where `folder` is given, else from the hub.

    With `num_fewshot` above 0, examples of a local task come from its own file,
    <task>_fewshot.jsonl. Raises `UserError` for an unknown name, a missing or wrong file, and data
    that the hub does not give."""
    _quiet()
    if folder is not None and not folder.is_dir():
        raise UserError(f"--task_data={folder}: no such folder")
    index = None
    opened: list[Task | Group] = []
    for name in names:
        path = _packaged(name, folder is not None)
        if path is None:
            index = index or TaskManager()  # reads thousands of files
            entry = index.task_index.get(name)
            if entry is None:
                raise UserError(
                    f"--tasks={name}: the harness has no such task; `lm-eval ls tasks` lists them"
                )
            path = entry.yaml_path
        if folder is not None:
            opened.append(_local_task(name, path, folder, num_fewshot or 0))
        else:
            opened += _hub_task(name, path, index)
    return opened


def _packaged(name: str, local: bool) -> pathlib.Path | None:
    relative, _ = PAPER_TASKS.get(name) or (local and _LOCAL_ONLY.get(name)) or ("", "")
    path = pathlib.Path(lm_eval.tasks.__file__).parent / relative if relative else None
    return path if path and path.is_file() else None


def _local_task(name: str, path: pathlib.Path, folder: pathlib.Path, num_fewshot: int) -> Task:
    config = load_yaml(path, resolve_func=True)
    if not isinstance(config.get("dataset_path"), str) or (
        "task" in config and isinstance(config["task"], list)
    ):
        raise UserError(
            f"--tasks={name}: a group or a task written in Python; name its single tasks for"
            " --task_data"
        )
    items = task_data.read(task_data.find_items(folder, name), name)
    splits = [config[key] for key in ("test_split", "validation_split") if config.get(key)]
    for key in (
        "tag",
        "group",
        "dataset_path",
        "dataset_name",
        "dataset_kwargs",
        "training_split",
        "fewshot_split",
    ):
        config.pop(key, None)
    data = dict.fromkeys(splits, _dataset(items, name))
    if num_fewshot:
        data[_FEWSHOT_SPLIT] = _dataset(_examples(folder, name, num_fewshot), name)
        config["fewshot_split"] = _FEWSHOT_SPLIT
    config.update(task=name, custom_dataset=lambda **_: data)
    try:
        return ConfigurableTask(config=config)
    except _ITEM_ERRORS as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{task_data.find_items(folder, name)}: not items of {name} ({why}); see --help for the"
            " form"
        ) from None


def _examples(folder: pathlib.Path, task: str, num_fewshot: int) -> list[dict[str, Any]]:
    """The examples of a local task. Raises `UserError` where there are too few or none."""
    try:
        path = task_data.find_items(folder, f"{task}_fewshot")
    except UserError:
        raise UserError(
            f"--num_fewshot={num_fewshot}: {folder} has no {task}_fewshot.jsonl (or .gz, .zst) to"
            " take examples from; add it, or leave the flag out"
        ) from None
    examples = task_data.read(path, task)
    if len(examples) < num_fewshot:
        raise UserError(f"--num_fewshot={num_fewshot}: {path} holds {len(examples)} examples")
    return examples


def _dataset(items: Sequence[Mapping[str, Any]], name: str) -> datasets.Dataset:
    try:
        return datasets.Dataset.from_list(list(items))
    except Exception as error:  # Arrow's errors have no common base
        raise UserError(
            f"items of {name}: fields differ in kind from line to line ({error})"
        ) from None


def _hub_task(name: str, path: pathlib.Path, index: TaskManager | None) -> list[Task | Group]:
    manager = index or TaskManager(include_defaults=False)
    try:
        loaded = manager.load([str(path) if index is None else name])
    except Exception as error:  # offline, unknown, gated: as many types as the hub's libraries have
        why = (str(error).strip().splitlines() or [""])[0][:120]
        raise UserError(
            f"{name}: its data cannot be had from the Hugging Face hub ({type(error).__name__}:"
            f" {why}); give local files with --task_data=DIR (DIR/{name}.jsonl)"
        ) from None
    return list(loaded["groups"].values()) or list(loaded["tasks"].values())


def run_tasks(
    lm: LM,
    tasks: Sequence[Task | Group],
    chat: bool,
    limit: int | None,
    num_fewshot: int | None = None,
) -> dict[str, tuple[dict, list[dict]]]:
    """Evaluate: {task: (entry of eval.json, one record an item)}.

    Groups come as the tasks they are made of. `num_fewshot`: examples before each question; None:
    as many as the task says, 0 where it says nothing.
    """
    loaded = TaskManager(include_defaults=False).load(list(tasks))
    for task in loaded["tasks"].values():
        if num_fewshot is not None:
            task.set_config(key="num_fewshot", value=num_fewshot)
        elif task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
    found = evaluator.evaluate(
        lm,
        loaded,
        limit=limit,
        bootstrap_iters=_BOOTSTRAP_DRAWS,
        apply_chat_template=chat,
        log_samples=True,
    )
    return {
        name: _entry_and_items(name, found["results"][name], found["samples"][name], task)
        for name, task in loaded["tasks"].items()
    }


def _entry_and_items(name: str, results: Mapping[str, Any], samples: Sequence[Mapping], task: Task):
    named = {key.partition(",")[0]: key for key in results if "," in key and "_stderr" not in key}
    _, metric = (PAPER_TASKS | _LOCAL_ONLY).get(name) or ("", next(iter(named)))
    key = named[metric]
    stderr = results.get(key.replace(metric, f"{metric}_stderr", 1))
    kept = [sample for sample in samples if sample["filter"] == key.partition(",")[2]]
    entry = {
        "metric": metric,
        "value": float(results[key]),
        "stderr": (
            float(stderr) if isinstance(stderr, int | float) and math.isfinite(stderr) else None
        ),
        "items": len(kept),
        "others": {other: float(results[k]) for other, k in named.items() if other != metric},
        "version": task.VERSION,
        "num_fewshot": task.get_config("num_fewshot"),
    }
    return entry, [_item(sample, metric) for sample in kept]


def _item(sample: Mapping[str, Any], metric: str) -> dict[str, Any]:
    record = {
        "item": sample["doc_id"],
        "hash": sample["doc_hash"],
        "metric": metric,
        "value": _plain(sample[metric]),
    }
    record.update({name: _plain(sample[name]) for name in sample["metrics"] if name != metric})
    asked = sample.get("arguments") or ()
    if all(len(each) == 2 and isinstance(each[1], str) for each in asked):
        # Of what was asked for after the question: what bits a byte of an answer are counted over.
        record["answer_bytes"] = [len(each[1].encode()) for each in asked]
    return {**record, "target": str(sample["target"]), "answers": _plain(sample["filtered_resps"])}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=float))


def means(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """`mean` and `mean_without_copa` over those of the paper's tasks that are there: {value,
    stderr, tasks, items}.

    Items of different tasks are independent, so variances add. None where no task is left.
    """

    def mean(names: Sequence[str]) -> dict[str, Any] | None:
        entries = [tasks[name] for name in names if name in tasks]
        if not entries:
            return None
        errors = [entry["stderr"] for entry in entries]
        return {
            "value": sum(entry["value"] for entry in entries) / len(entries),
            "stderr": (
                None
                if None in errors
                else math.sqrt(sum(error**2 for error in errors)) / len(entries)
            ),
            "tasks": len(entries),
            "items": sum(entry["items"] for entry in entries),
        }

    names = list(PAPER_TASKS)
    return {
        "mean": mean(names),
        "mean_without_copa": mean([name for name in names if name != "copa"]),
    }


def compare_runs(first: pathlib.Path, second: pathlib.Path, task: str) -> dict[str, Any]:
    """The second run against the first on the items of a task: `statistics.paired_bootstrap` of
    their values.

    Raises `UserError` unless both were evaluated on the same items.
    """
    values = []
    for workdir in (first, second):
        path = workdir / "eval" / f"{task}.jsonl"
        if not path.is_file():
            raise UserError(f"{path}: no such file; evaluate {workdir} with --tasks={task}")
        values.append({(r["item"], r["hash"]): r["value"] for r in files.read_jsonl(path)})
    if values[0].keys() != values[1].keys():
        raise UserError(
            f"{first} and {second}: evaluated on different items of {task}; evaluate both alike"
        )
    return paired_bootstrap(list(values[0].values()), [values[1][key] for key in values[0]])


def write_items(workdir: pathlib.Path, task: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Write `eval/<task>.jsonl`."""
    files.write_text(
        workdir / "eval" / f"{task}.jsonl", "".join(json.dumps(item) + "\n" for item in items)
    )


def _quiet() -> None:
    """The harness narrates at INFO and warns of what is done here on purpose."""
    for name in ("lm_eval", "lm-eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    datasets.disable_progress_bars()
