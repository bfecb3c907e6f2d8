"""`make bench-eval`: evaluation of a run beside lm-eval's `hf` backend on the exported model, same
items, same threads, one run.

  python tools/benchmarks/bench_eval.py --task_data=DIR [--workdir=RUN] \\
      [--tasks=hellaswag,arc_easy,piqa,winogrande] [--items=200]

Without --workdir a 10M-parameter model of random weights is made, with a tokenizer trained on the
items. Rounds of the two alternate, so that a change in the machine's load hits both; the first
round of each (compilation, caches) is reported apart and left out. Prints the ratio ours / theirs
of items per second (above 1: ours is faster) as median with the middle half of the paired ratios,
and the largest relative difference of their log-likelihoods.
"""

import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
THREADS = len(os.sched_getaffinity(0))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jax
import numpy as np
import torch
from absl import app, flags
from lm_eval.models.huggingface import HFLM

from configs import tiny
from divsyn_jax.base import files
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.tokenizer_trainer import train_tokenizer
from divsyn_jax.evaluation import harness, language_model, task_data
from divsyn_jax.evaluation.request_cache import RequestCache
from divsyn_jax.huggingface.exchange import export_run
from divsyn_jax.model import decoder, sharding
from divsyn_jax.training import trained_run
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.recipe import Recipe

_TASK_DATA = flags.DEFINE_string(
    "task_data", None, "Folder of local items, <task>.jsonl each.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Run to evaluate; default: random weights of 10M parameters."
)
_TASKS = flags.DEFINE_list("tasks", ["hellaswag", "arc_easy", "piqa", "winogrande"], "Tasks.")
_ITEMS = flags.DEFINE_integer("items", 200, "Items of each task.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Measured pairs of evaluations.")
_BATCH_TOKENS = flags.DEFINE_integer("batch_tokens", 4096, "Tokens in a batch of ours.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Requests in a batch of theirs.")


def make_run(folder: pathlib.Path) -> pathlib.Path:
    """A run of random weights: 10M parameters, vocabulary 8192, context 512."""
    sources = [
        str(task_data.find_items(pathlib.Path(_TASK_DATA.value), task)) for task in _TASKS.value
    ]
    train_tokenizer(sources, str(folder / "tokenizer"), 8192)
    tokenizer = tokenizers.load_tokenizer(str(folder / "tokenizer"))
    config = tiny.get_config()
    config.model.update(
        vocab_size=8192,
        hidden=256,
        intermediate=688,
        layers=10,
        heads=4,
        kv_heads=4,
        tied=True,
        attention="blocked",
    )
    config.seq_len = 512
    recipe = Recipe.from_config(config.to_dict())
    workdir = folder / "run"
    files.write_json(workdir / "config.json", recipe.to_dict())
    (workdir / "tokenizer").mkdir()
    tokenizer.copy_to(workdir / "tokenizer")
    with contextlib.closing(Checkpoints(workdir, 1, 0)) as checkpoints:
        checkpoints.save_params(decoder.init_params(recipe.model, 0), {"step": 0, "data": {}})
    return workdir


def main(_) -> None:
    torch.set_num_threads(THREADS)
    tasks = harness.open_tasks(_TASKS.value, pathlib.Path(_TASK_DATA.value))
    with tempfile.TemporaryDirectory() as scratch:
        workdir = (
            pathlib.Path(_WORKDIR.value) if _WORKDIR.value else make_run(pathlib.Path(scratch))
        )
        run = trained_run.open_run(workdir)
        exported = pathlib.Path(scratch) / "hf"
        export_run(workdir, exported, 1 << 30)
        theirs = HFLM(
            pretrained=str(exported),
            tokenizer=str(exported),
            device="cpu",
            dtype="float32",
            batch_size=_BATCH_SIZE.value,
        )
        mesh = sharding.make_mesh(run.recipe.mesh, jax.devices()[:1])
        jax.set_mesh(mesh)
        params, _ = run.load_params(mesh)
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        answers: dict[str, np.ndarray] = {}
        for number in range(_ROUNDS.value + 1):
            for name in times:
                # A fresh cache each round: nothing is remembered.
                cache = RequestCache(pathlib.Path(scratch) / f"answers-{number}.jsonl")
                lm = theirs
                if name == "ours":
                    lm = language_model.RunLanguageModel(
                        run, params, mesh, _BATCH_TOKENS.value, cache, chat=False
                    )
                started = time.perf_counter()
                found = harness.run_tasks(lm, tasks, chat=False, limit=_ITEMS.value)
                times[name].append(time.perf_counter() - started)
                cache.close()
                records = [record for _, kept in found.values() for record in kept]
                answers[name] = np.array(
                    [value for record in records for value, _ in record["answers"]]
                )
    gap = np.max(np.abs(answers["ours"] - answers["theirs"]) / np.abs(answers["theirs"]))
    firsts = {name: values.pop(0) for name, values in times.items()}
    ratios = [t / o for o, t in zip(times["ours"], times["theirs"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    rate = {name: len(records) / statistics.median(values) for name, values in times.items()}
    print(
        f"{THREADS} threads, fp32, {decoder.count_params(run.recipe.model):,} parameters,"
        f" {len(records)} items of {', '.join(_TASKS.value)}; batches of {_BATCH_TOKENS.value}"
        f" tokens and of {_BATCH_SIZE.value} requests"
    )
    print(
        f"ours {rate['ours']:,.1f}, theirs {rate['theirs']:,.1f} items/s; ratio {middle:.2f}"
        f" [{low:.2f}, {high:.2f}]"
    )
    print(
        f"first round: ours {firsts['ours']:.1f} s, theirs {firsts['theirs']:.1f} s;"
        f" log-likelihoods differ by {gap:.1e} at most"
    )


if __name__ == "__main__":
    app.run(main)
