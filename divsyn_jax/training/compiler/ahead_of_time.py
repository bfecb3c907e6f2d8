"""A recipe's real train step compiled for a TPU slice that is described, not attached: what it
holds, moves and costs.

libtpu compiles on this machine's CPU; it comes with the extra `tpu` (make env-tpu), as the
installed jax release pins it. The command, which also sets what jax and libtpu read once from the
environment, is divsyn_jax.compile."""

import dataclasses
import importlib
import itertools
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.shards import PACKED_ROWS
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.config import REMATS, MeshConfig
from divsyn_jax.training import metrics, optimizer, step
from divsyn_jax.training.compiler import hlo
from divsyn_jax.training.recipe import Recipe

GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Chip:
    """A TPU generation: HBM bytes, dense bf16 FLOP/s, HBM bytes/s, bytes/s of one mesh axis both
    ways (scaling-book, tpus).

    `configuration`: libtpu's name for the way the chip's cores are driven; a device is one whole
    chip in all of them."""

    hbm: float
    flops: float
    hbm_bandwidth: float
    axis_bandwidth: float
    configuration: str = "default"


CHIPS = {
    # By default libtpu describes a v4 chip as two devices of one core; machines run it as one,
    # "megacore", as v5p always is.
    "v4": Chip(32 * GIB, 275e12, 1.2e12, 9e10, configuration="megacore"),
    "v5e": Chip(16 * GIB, 197e12, 8.1e11, 9e10),
    "v5p": Chip(95 * GIB, 459e12, 2.8e12, 1.8e11),
    "v6e": Chip(32 * GIB, 918e12, 1.6e12, 1.8e11),
}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiler says of one recipe on one slice.

    Attributes: mesh: sizes of the mesh axes, none of them -1. arguments, temporaries: bytes on a
      device: state and batch; the most that a step holds beside them. collectives: by kind, for a
      step. seconds: compile time.
    """

    mesh: dict[str, int]
    arguments: int
    temporaries: int
    collectives: dict[str, hlo.Traffic]
    seconds: float

    def fits(self, chip: Chip) -> bool:
        """Whether the step fits with 3% of HBM to spare, which the runtime keeps for itself."""
        return self.arguments + self.temporaries <= 0.97 * chip.hbm


def topology_devices(name: str) -> tuple[Chip, list[Any]]:
    """The chip and the devices of a slice.

    Raises `UserError` for an unknown slice or a missing libtpu.
    """
    from jax.experimental import topologies

    generation = name.split(":")[0]
    if generation not in CHIPS:
        raise UserError(
            f"--topology={name}: known generations are {', '.join(CHIPS)}, e.g. v5e:4x4"
        )
    try:
        importlib.import_module("libtpu")
    except ImportError:
        raise UserError(
            "no libtpu here; make env-tpu builds an environment with the one this jax release pins"
        ) from None
    chip = CHIPS[generation]
    try:
        described = topologies.get_topology_desc(
            platform="tpu", topology_name=name, chip_config_name=chip.configuration
        )
    except Exception as error:  # libtpu's own messages are the useful part
        raise UserError(f"--topology={name}: {str(error).splitlines()[0]}") from None
    return chip, described.devices


def compile_step(recipe: Recipe, devices: list[Any]) -> Compiled:
    """Compile the recipe's real train step for `devices`.

    Raises `UserError` when recipe and mesh do not go together, `JaxRuntimeError` when the compiler
    itself runs out of HBM."""
    mesh = sharding.make_mesh(recipe.mesh, devices)
    sharding.check_rows(
        mesh, recipe.global_batch // recipe.accumulation_steps, "global_batch / accumulation_steps"
    )
    started = time.monotonic()
    with jax.set_mesh(mesh), decoder.exact_products(recipe.model.dtype):
        adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
        schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
        train_step = step.make_train_step(recipe, adamw, schedule, sources=2)
        state = step.abstract_state(recipe.model, adamw, mesh)
        compiled = train_step.lower(state, abstract_batch(recipe, mesh)).compile()
    memory = compiled.memory_analysis()
    return Compiled(
        dict(mesh.shape),
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        hlo.collective_traffic(compiled.as_text()),
        time.monotonic() - started,
    )


def abstract_batch(recipe: Recipe, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and shardings of the batch a train step takes:

    packed conversations where the recipe counts epochs, else text.
    """
    rows = sharding.batch_sharding(mesh)
    B = recipe.global_batch
    text = {"tokens": (B, recipe.seq_len + 1), "length": (B,)}
    packed = dict.fromkeys(PACKED_ROWS, (B, recipe.seq_len))
    shapes = {**(packed if recipe.epochs else text), "source": (B,), "stop": (B,)}
    return {
        name: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=rows)
        for name, shape in shapes.items()
    }


def full_square_flops_per_token(recipe: Recipe) -> float:
    """Analytic forward and backward FLOPs for a token with the whole attention square, as XLA's
    plain attention computes.
    """
    c = recipe.model
    half_square = 6.0 * c.layers * recipe.seq_len * c.heads * c.head_dim
    return metrics.flops_per_token(c, recipe.seq_len) + half_square


def xla_flops_per_token(recipe: Recipe) -> float:
    """The same by XLA's own count: one unrolled layer (two layers minus one) times N, plus
    embedding and head.

    A scan's body is counted once by XLA, so layers are unrolled; plain attention, no remat, no
    chunks, one row, one device."""

    def count(layers: int) -> float:
        config = dataclasses.replace(
            recipe.model, layers=layers, scan=False, remat="none", attention="reference"
        )
        plain = dataclasses.replace(
            recipe,
            model=config,
            loss=dataclasses.replace(recipe.loss, chunk=0),
            accumulation_steps=1,
        )
        plain = dataclasses.replace(plain, global_batch=1)
        mesh = Mesh(
            np.array(jax.devices("cpu")[:1]).reshape(1, 1, 1),
            sharding.MESH_AXES,
            axis_types=(AxisType.Auto,) * 3,
        )
        with jax.set_mesh(mesh):
            loss = step.make_loss(plain)
            params = jax.eval_shape(lambda: decoder.init_params(config, 0))
            tokens = jax.ShapeDtypeStruct((1, plain.seq_len + 1), jnp.int32)
            length = jax.ShapeDtypeStruct((1,), jnp.int32)
            valid = jax.ShapeDtypeStruct((), jnp.float32)
            gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
            return gradient.lower(
                params, {"tokens": tokens, "length": length}, valid
            ).cost_analysis()["flops"]

    one, two = count(1), count(2)
    return (one + (recipe.model.layers - 1) * (two - one)) / recipe.seq_len


def roofline(recipe: Recipe, compiled: Compiled, chip: Chip, devices: int) -> dict[str, float]:
    """A step's seconds by what could hold it up, analytic: matrix units, HBM (state read and
    written once), interconnect.

    The last over one axis of the slice's torus, though a mesh axis may lie along two; an all-reduce
    moves its bytes twice."""
    tokens = recipe.global_batch * recipe.seq_len
    return {
        "compute": (
            metrics.flops_per_token(recipe.model, recipe.seq_len) * tokens / devices / chip.flops
        ),
        "hbm": 2 * compiled.arguments / chip.hbm_bandwidth,
        "interconnect": (
            sum(
                traffic.bytes * (1 + (kind == "all-reduce"))
                for kind, traffic in compiled.collectives.items()
            )
            / chip.axis_bandwidth
        ),
    }


def compile_report(recipe: Recipe, compiled: Compiled, chip: Chip, devices: list[Any]) -> str:
    """The findings as text."""
    cores = f"{devices[0].num_cores} core" + "s driven as one" * (devices[0].num_cores > 1)
    tokens = recipe.global_batch * recipe.seq_len
    held = compiled.arguments + compiled.temporaries
    analytic, counted = full_square_flops_per_token(recipe), xla_flops_per_token(recipe)
    times = roofline(recipe, compiled, chip, len(devices))
    lines = [
        f"parameters           {decoder.count_params(recipe.model):,}",
        (
            f"devices              {len(devices)} x {devices[0].device_kind}, each a whole chip"
            f" ({cores}), as {compiled.mesh}"
        ),
        (
            f"step                 {recipe.global_batch} sequences of {recipe.seq_len} in"
            f" {recipe.accumulation_steps} micro-batches; remat {recipe.model.remat}, attention"
            f" {recipe.model.attention}"
        ),
        (
            f"bytes per device     arguments {compiled.arguments / GIB:.2f} + temporaries"
            f" {compiled.temporaries / GIB:.2f} GiB of {chip.hbm / GIB:.0f}; headroom"
            f" {(chip.hbm - held) / GIB:.2f} GiB:"
            f" {'fits' if compiled.fits(chip) else 'DOES NOT FIT'}"
        ),
        (
            f"FLOPs per step       analytic, full square {analytic * tokens:.3e}; XLA's count"
            f" {counted * tokens:.3e} ({counted / analytic - 1:+.1%}); causal half, for MFU"
            f" {metrics.flops_per_token(recipe.model, recipe.seq_len) * tokens:.3e}"
        ),
    ]
    for kind, traffic in compiled.collectives.items():
        lines.append(
            f"collectives          {kind}: {traffic.count} a step, {traffic.bytes / GIB:.2f} GiB on"
            " a device"
        )
    bound = max(times, key=lambda name: times[name])
    lines.append(
        "roofline (analytic)  "
        + ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in times.items())
        + f"; bound by {bound}: {tokens / times[bound]:,.0f} tokens/s by this estimate"
    )
    seconds = predicted_seconds(recipe, compiled, chip, len(devices))
    lines.append(
        f"time per step        about {seconds * 1e3:,.0f} ms, {tokens / seconds:,.0f} tokens/s:"
        " compute with what remat computes twice, then the interconnect, nothing hidden; published"
        " steps of 16B and 32B on v5e took 1.10 and 0.89 times as long as this says"
    )
    lines.append(f"compiled in          {compiled.seconds:.0f} s")
    return "\n".join(lines)


def outcome(recipe: Recipe, chip: Chip, devices: list[Any]) -> str:
    """The recipe's report; where the compiler itself runs out of HBM, what it says of that."""
    try:
        return compile_report(recipe, compile_step(recipe, devices), chip, devices)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return f"bytes per device     DOES NOT FIT: {str(error).splitlines()[0]}"


def candidates(recipe: Recipe, devices: int, rows: list[int]) -> list[Recipe]:
    """Variants of the recipe that keep its mathematics:

    rows a chip, remat policy, fsdp x tensor split.
    """
    found = []
    for tensor, per_chip, remat in itertools.product((1, 2, 4), rows, REMATS):
        if devices % tensor or recipe.model.heads % tensor or recipe.model.kv_heads % tensor:
            continue
        if remat == "dots" and recipe.model.attention in (
            "splash",
            "cudnn",
        ):  # keeps what minimal keeps: no other products
            continue
        micro = per_chip * devices // tensor
        if micro > recipe.global_batch or recipe.global_batch % micro:
            continue
        mesh = MeshConfig(replica=1, fsdp=devices // tensor, tensor=tensor)
        config = dataclasses.replace(recipe.model, remat=remat)
        found.append(
            dataclasses.replace(
                recipe, model=config, mesh=mesh, accumulation_steps=recipe.global_batch // micro
            )
        )
    return found


def predicted_seconds(recipe: Recipe, compiled: Compiled, chip: Chip, devices: int) -> float:
    """About how long a step takes: the matrix units at their peak, with the recompute of the remat
    policy (full recomputes the forward pass, x 4/3), or HBM where that takes longer, and then the
    interconnect as if nothing of it were hidden.

    A peak that no step reaches and an overlap that is not counted come out about even: for the two
    MaxText models on v5e whose shape and time are published this is 9% too short and 12% too long
    (tools/benchmarks/tpu_aot.md).
    """
    times = roofline(recipe, compiled, chip, devices)
    recompute = {"none": 1.0, "dots": 1.0, "minimal": 1.05, "full": 4 / 3}[recipe.model.remat]
    return max(times["compute"] * recompute, times["hbm"]) + times["interconnect"]


def search(
    recipe: Recipe, chip: Chip, devices: list[Any], rows: list[int]
) -> tuple[Recipe, Compiled]:
    """Compile every candidate, print a line each and return the fastest that fits.

    Raises `UserError` when none does.
    """
    best, best_seconds = None, math.inf
    for candidate in candidates(recipe, len(devices), rows):
        label = (
            f"fsdp {candidate.mesh.fsdp} x tensor {candidate.mesh.tensor}, "
            f"{candidate.accumulation_steps} micro-batches, remat {candidate.model.remat}"
        )
        try:
            compiled = compile_step(candidate, devices)
        except (
            jax.errors.JaxRuntimeError,
            UserError,
        ) as error:  # the compiler ran out of HBM; no such layout
            print(f"  {label}: not possible: {str(error).splitlines()[0]}", flush=True)
            continue
        seconds = predicted_seconds(candidate, compiled, chip, len(devices))
        fits = compiled.fits(chip)
        held = (compiled.arguments + compiled.temporaries) / GIB
        print(
            f"  {label}: {held:.2f} GiB, {'fits' if fits else 'does not fit'}, about"
            f" {seconds * 1e3:.0f} ms",
            flush=True,
        )
        if fits and seconds < best_seconds:
            best, best_seconds = (candidate, compiled), seconds
    if best is None:
        raise UserError("nothing fits; use more chips, smaller --search_rows or a larger fsdp axis")
    return best
