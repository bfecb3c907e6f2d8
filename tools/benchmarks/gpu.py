"""Throughput, MFU and memory of the real train step on the GPUs of this machine, variants beside
each other in one run.

  python tools/benchmarks/gpu.py      (350M and 1.4B, sequence 2048, bf16)
  python tools/benchmarks/gpu.py --preset=350m --rows=16,32 \\
      --remat=minimal,none --attention=cudnn,blocked
  XLA_FLAGS='--xla_gpu_enable_triton_gemm=false' python tools/benchmarks/gpu.py --preset=1_4b

Every combination of the lists is compiled once and measured in each of --rounds rounds, so that a
change of clocks or of the machine's load hits all alike. A combination that does not fit is
reported and left out. Tokens/s is the median step's, with the middle half of all steps in brackets;
one step is --accumulation micro-batches of --rows sequences a device."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")

import dataclasses
import importlib
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.attention import resolve_backend
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.training import metrics, optimizer, step
from divsyn_jax.training.recipe import Recipe

_PRESET = flags.DEFINE_list("preset", ["350m", "1_4b"], "Recipes of configs/ to measure.")
_ATTENTION = flags.DEFINE_list("attention", ["auto"], "Attention backends to compare.")
_REMAT = flags.DEFINE_list("remat", ["minimal"], "Remat policies to compare.")
_ROWS = flags.DEFINE_list("rows", ["16"], "Sequences a device in a micro-batch to compare.")
_CHUNK = flags.DEFINE_list("chunk", ["512"], "Chunks of the loss to compare, in positions.")
_ACCUMULATION = flags.DEFINE_integer("accumulation", 2, "Micro-batches a step.", lower_bound=1)
_SEQ_LEN = flags.DEFINE_integer("seq_len", 2048, "Sequence length.", lower_bound=1)
_DTYPE = flags.DEFINE_enum("dtype", "bfloat16", ["bfloat16", "float32"], "Compute dtype.")
_STEPS = flags.DEFINE_integer(
    "steps", 10, "Measured steps a round, after two that are not.", lower_bound=2
)
_ROUNDS = flags.DEFINE_integer("rounds", 2, "Rounds over all variants.", lower_bound=1)

GIB = 1 << 30


@dataclasses.dataclass
class Variant:
    """One combination under measurement:

    its step, compiled once, and the seconds of its steps so far.
    """

    label: str
    recipe: Recipe
    fresh_state: Callable[[], Any]
    train_step: Callable
    bytes: int
    seconds: list[float] = dataclasses.field(default_factory=list)


def conditions() -> str:
    """What a figure depends on: devices, driver, versions, flags, commit."""
    # Fmt: skip
    query = [
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total,power.limit,clocks.max.sm",
        "--format=csv,noheader",
    ]
    return "\n".join(
        [
            f"devices   {jax.device_count()} x {jax.devices()[0].device_kind}",
            f"driver    {_output(query).splitlines()[0]}",
            (
                f"versions  jax {jax.__version__}, {_platform_version()}, Python"
                f" {sys.version.split()[0]}"
            ),
            f"flags     XLA_FLAGS={os.environ.get('XLA_FLAGS', '')!r}",
            f"commit    {_output(['git', 'describe', '--always', '--dirty'])}",
            f"MFU       {metrics.MFU_CONVENTION}",
        ]
    )


def _platform_version() -> str:
    return jax.devices()[0].client.platform_version.splitlines()[0]


def _output(command: list[str]) -> str:
    try:
        root = pathlib.Path(__file__).resolve().parents[2]
        return (
            subprocess.run(
                command, cwd=root, capture_output=True, text=True, check=True
            ).stdout.strip()
            or "none"
        )
    except (OSError, subprocess.CalledProcessError):
        return f"unknown ({command[0]} does not run here)"


def make_recipe(preset: str, attention: str, remat: str, rows: int, chunk: int) -> Recipe:
    """The preset with the batch and settings to measure."""
    config = importlib.import_module(f"configs.{preset}").get_config()
    head_dim = config.model.hidden // config.model.heads
    backend = resolve_backend(
        attention, jax.default_backend(), _DTYPE.value, head_dim, _SEQ_LEN.value
    )
    config.model.update(attention=backend, remat=remat, dtype=_DTYPE.value)
    config.loss.chunk = chunk
    batch = rows * jax.device_count() * _ACCUMULATION.value
    config.update(
        seq_len=_SEQ_LEN.value, global_batch=batch, accumulation_steps=_ACCUMULATION.value
    )
    return Recipe.from_config(config.to_dict())


def prepare(label: str, recipe: Recipe, mesh: jax.sharding.Mesh) -> Variant:
    """Compile the real train step of `recipe`. Raises `JaxRuntimeError` when it cannot fit."""
    adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
    schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
    abstract = step.abstract_state(recipe.model, adamw, mesh)
    train_step = step.make_train_step(recipe, adamw, schedule, sources=1)
    # Compiled ahead, so that what cannot fit is known before anything is allocated.
    with decoder.exact_products(recipe.model.dtype):
        compiled = train_step.lower(abstract, random_batch(recipe, mesh)).compile()
    memory = compiled.memory_analysis()
    return Variant(
        label,
        recipe,
        lambda: step.init_state(recipe.model, adamw, abstract, 0),
        compiled,
        memory.argument_size_in_bytes + memory.temp_size_in_bytes,
    )


def random_batch(recipe: Recipe, mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """Full windows of random tokens, on the devices."""
    generator = np.random.default_rng(0)
    B, L = recipe.global_batch, recipe.seq_len
    zeros = np.zeros(B, np.int32)
    tokens = generator.integers(0, recipe.model.vocab_size, (B, L + 1), np.int32)
    batch = {"tokens": tokens, "length": zeros + L + 1, "source": zeros, "stop": zeros}
    return jax.device_put(batch, sharding.batch_sharding(mesh))


def measure(variant: Variant, mesh: jax.sharding.Mesh) -> None:
    """One round: the seconds of `--steps` steps from a fresh state, each waited for."""
    state, batch = variant.fresh_state(), random_batch(variant.recipe, mesh)
    for number in range(_STEPS.value + 2):
        started = time.perf_counter()
        state, scalars = variant.train_step(state, batch)
        jax.block_until_ready((state, scalars))
        if number >= 2:
            variant.seconds.append(time.perf_counter() - started)


def report(variant: Variant) -> str:
    """Tokens/s and MFU of the median step, with the middle half, and bytes on a device."""
    recipe, devices = variant.recipe, jax.device_count()
    tokens = recipe.global_batch * recipe.seq_len
    fast, middle, slow = (tokens / s / devices for s in statistics.quantiles(variant.seconds, n=4))
    flops = metrics.flops_per_token(recipe.model, recipe.seq_len)
    peak = metrics.PEAK_FLOPS.get(jax.devices()[0].device_kind)
    mfu = f"{middle * flops / peak:.1%} MFU" if peak else f"{middle * flops / 1e12:.2f} TFLOP/s"
    return (
        f"{variant.label}: {middle:,.0f} [{slow:,.0f}, {fast:,.0f}] tokens/s a device, {mfu},"
        f" {tokens / devices / middle * 1e3:.0f} ms a step, {variant.bytes / GIB:.1f} GiB by the"
        " compiler"
    )


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    del arguments
    print(conditions(), flush=True)
    mesh = sharding.make_mesh(MeshConfig(replica=1, fsdp=-1, tensor=1))
    jax.set_mesh(mesh)
    for preset in _PRESET.value:
        variants = []
        for attention, remat, rows, chunk in itertools.product(
            _ATTENTION.value, _REMAT.value, map(int, _ROWS.value), map(int, _CHUNK.value)
        ):
            recipe = make_recipe(preset, attention, remat, rows, chunk)
            label = f"{preset}, {recipe.model.attention}, remat {remat}, {rows} rows, chunk {chunk}"
            try:
                variants.append(prepare(label, recipe, mesh))
            except jax.errors.JaxRuntimeError as error:
                print(f"{label}: {str(error).splitlines()[0][:150]}", flush=True)
        print(
            f"{preset}: {decoder.count_params(recipe.model):,} parameters, sequence"
            f" {recipe.seq_len}, {_DTYPE.value}"
        )
        for _, variant in itertools.product(range(_ROUNDS.value), list(variants)):
            try:
                if variant in variants:
                    measure(variant, mesh)
            except (
                jax.errors.JaxRuntimeError
            ) as error:  # out of memory where the compiler thought it fits
                print(f"{variant.label}: {str(error).splitlines()[0][:150]}", flush=True)
                variants.remove(variant)
        for variant in variants:
            print(report(variant), flush=True)
        peak = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        print(
            f"highest use of a device so far: {peak / GIB:.1f} GiB"
            if peak
            else "no memory statistics here"
        )


if __name__ == "__main__":
    commandline.run(main, __doc__)
