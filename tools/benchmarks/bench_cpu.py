"""`make bench-cpu`: a 10M-parameter training step beside transformers + torch SDPA, same shape,
same threads, one run.

  python tools/benchmarks/bench_cpu.py [--seq_len=512 --seq_len=2048]

Steps of the two alternate, so that a change in the machine's load hits both. Prints the ratio ours
/ theirs of tokens per
second (above 1: ours is faster) as median with the middle half of the paired ratios."""

import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
THREADS = len(os.sched_getaffinity(0))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from absl import app, flags

from configs import tiny
from divsyn_jax.model import sharding
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.recipe import Recipe

_SEQ_LEN = flags.DEFINE_multi_integer("seq_len", [512, 2048], "Sequence lengths to measure.")
_STEPS = flags.DEFINE_integer("steps", 9, "Measured pairs of steps a length.")
_CHUNK = flags.DEFINE_integer("chunk", 128, "Chunk of our loss.")
V, D, F, N, H = 8192, 256, 688, 10, 4


def ours(seq_len: int, batch: int):
    """A function that takes one step of ours and waits for it."""
    config = tiny.get_config()
    config.model.update(
        vocab_size=V,
        hidden=D,
        intermediate=F,
        layers=N,
        heads=H,
        kv_heads=H,
        tied=True,
        attention="blocked",
    )
    config.update(seq_len=seq_len, global_batch=batch)
    config.loss.chunk = min(_CHUNK.value, seq_len)
    recipe = Recipe.from_config(config.to_dict())
    mesh = sharding.make_mesh(recipe.mesh)
    jax.set_mesh(mesh)
    adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
    state = step.init_state(recipe.model, adamw, step.abstract_state(recipe.model, adamw, mesh), 0)
    train_step = step.make_train_step(
        recipe, adamw, optimizer.make_schedule(recipe.optimizer, recipe.steps), 1
    )
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, V, (batch, seq_len + 1)), jnp.int32)
    zeros = jnp.zeros(batch, jnp.int32)
    data = {"tokens": tokens, "length": zeros + seq_len + 1, "source": zeros, "stop": zeros}

    def take() -> None:
        nonlocal state
        state, scalars = train_step(state, data)
        jax.block_until_ready((state, scalars))

    return take


def theirs(seq_len: int, batch: int):
    """The same for LlamaForCausalLM with SDPA and torch's fused AdamW."""
    torch.set_num_threads(THREADS)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=V, hidden_size=D, intermediate_size=F, num_hidden_layers=N,
            num_attention_heads=H, num_key_value_heads=H, tie_word_embeddings=True,
            attn_implementation="sdpa", use_cache=False,
        )
    )  # fmt: skip
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(0, V, (batch, seq_len))

    def take() -> None:
        adamw.zero_grad(set_to_none=True)
        model(input_ids=tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()

    return take


def main(_) -> None:
    print(
        f"{THREADS} threads, fp32, jax {jax.__version__}, torch {torch.__version__}, transformers"
        f" {transformers.__version__}"
    )
    for seq_len in _SEQ_LEN.value:
        batch = max(1, 2048 // seq_len)
        steps = {"ours": ours(seq_len, batch), "theirs": theirs(seq_len, batch)}
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(_STEPS.value + 2):
            for name, take in steps.items():
                started = time.perf_counter()
                take()
                if number >= 2:
                    times[name].append(time.perf_counter() - started)
        ratios = [t / o for o, t in zip(times["ours"], times["theirs"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = {name: batch * seq_len / statistics.median(values) for name, values in times.items()}
        print(
            f"sequence {seq_len} x {batch}: ours {rate['ours']:,.0f}, theirs {rate['theirs']:,.0f}"
            f" tokens/s; ratio {middle:.2f} [{low:.2f}, {high:.2f}]",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
