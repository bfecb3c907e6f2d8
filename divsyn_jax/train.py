"""Train a language model from a recipe.

  python -m divsyn_jax.train --config=configs/350m.py:level=topic_styles_persona --workdir=runs/350m
  python -m divsyn_jax.train --config=configs/sft_350m.py --config.init_from=runs/350m \\
      --config.data.train=instructions --workdir=runs/350m_sft

The second fine-tunes the first on conversations, shards made with build_shards --format=chat. A run
that starts from another (init_from) is of its shape: model.* is taken from there, unless the
command line says --config.model.KEY=VALUE, which must then agree. Any key of the recipe is
overridden by --config.key=value. The same command continues an interrupted run exactly where it
stopped; a finished run holds a file DONE. Writes config.json, level.json (what it
is trained on), metrics.jsonl, TensorBoard events, checkpoints/ and, when data.eval names held-out
domains, eval/<domain> metrics. On several hosts start the same command
on each: TPU slices and Slurm are detected, elsewhere give --coordinator, --processes and --process.
"""

import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Mapping
from typing import Annotated, Any

import jax
import numpy as np
from absl import flags
from ml_collections import config_flags

from divsyn_jax.base import commandline, files, setting_flags
from divsyn_jax.base.errors import Failure, Unfinished, UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.pipeline import Mixture, parse_sources
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.attention import resolve_backend
from divsyn_jax.model.config import NUMERICS
from divsyn_jax.training import (
    compilation_cache,
    distributed,
    heldout,
    metrics,
    optimizer,
    run_directory,
    step,
)
from divsyn_jax.training import level_record as training_data
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a run lies.

    Attributes:
      workdir: run directory; the same command continues the run that it holds.
    """

    workdir: Annotated[str, Flag(example="runs/tiny")]


_CONFIG = setting_flags.define_recipe(
    "config",
    "Recipe, e.g. configs/tiny.py; divsyn_jax/training/recipe.py has every key, --config.KEY=VALUE"
    " overrides one.",
)
_PLACE = setting_flags.define(_Place, "run")
_PROCESSES = setting_flags.define(distributed.Processes, "processes")


def train(recipe: Recipe, workdir: pathlib.Path) -> None:
    """Train `recipe` in `workdir` to its last step, continuing from the newest checkpoint there.

    Raises `UserError` for unusable data or settings, `Unfinished` after a SIGTERM (state saved) and
    `Failure` when loss or gradient stop being finite."""
    run_directory.check_same_recipe(workdir, recipe)
    if (workdir / "DONE").exists():
        distributed.say(
            f"{workdir}: finished before ({files.read_json(workdir / 'DONE')['step']} steps);"
            " nothing to do"
        )
        return
    stop = _StopRequest()
    profiler = metrics.Profiler(
        workdir / "profile", recipe.profile.first_step, recipe.profile.steps
    )

    # ----------------------------------------------------------------------------------------------
    # data
    sources = parse_sources(recipe.data.train, recipe.data.root)
    mixture = Mixture(sources, recipe.seq_len, recipe.seed, recipe.global_batch, recipe.epochs)
    if mixture.rows:
        recipe = recipe.of_length(mixture.rows)
    if mixture.packing == "best_fit" and not recipe.init_from:
        raise UserError(
            "fine-tuning starts from a trained run; name its directory with --config.init_from=RUN"
        )
    trained_on = training_data.describe_level(recipe.level, mixture)
    tokenizer = tokenizers.load_copy(mixture.windows[0].folder)
    if tokenizer.vocab_size > recipe.model.vocab_size:
        ids = (
            f"model.vocab_size={recipe.model.vocab_size} is smaller than the tokenizer's"
            f" {tokenizer.vocab_size} ids"
        )
        raise UserError(f"{ids}; raise it")
    domains = heldout.open_domains(
        recipe.data.eval, recipe.data.root, recipe.seq_len, tokenizer.sha256
    )

    # ------------------------------------------------------------------------------ mesh,
    # optimizer, state
    mesh = sharding.make_mesh(recipe.mesh)
    sharding.check_rows(
        mesh, recipe.global_batch // recipe.accumulation_steps, "global_batch / accumulation_steps"
    )
    sharding.check_rows(mesh, recipe.eval.batch, "eval.batch")
    jax.set_mesh(mesh)
    tx = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
    schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
    abstract = step.abstract_state(recipe.model, tx, mesh)

    # -------------------------------------------------------------------------------------- run
    # directory
    if distributed.is_first():
        lock = run_directory.lock(workdir)
    checkpoints = Checkpoints(
        workdir, recipe.checkpoint.keep, recipe.checkpoint.keep_every_steps, clean_up=True
    )

    # What a run starts from, in this order: its own newest checkpoint; another run's weights
    # (init_from); fresh weights.
    restored = checkpoints.restore_latest(abstract)
    if restored:
        state, progress = restored
        run_directory.check_same_data(progress["data"], mixture.identity)
        distributed.say(f"continuing from step {progress['step']}")
    else:
        state = step.init_state(recipe.model, tx, abstract, recipe.seed)
        if recipe.init_from:
            state["params"] = run_directory.initial_weights(
                pathlib.Path(recipe.init_from), abstract["params"], tokenizer, recipe.model
            )
        progress = {
            "step": 0,
            "rows": [0] * len(sources),
            "data": mixture.identity,
            "in_steps": 0.0,
            "started": time.time(),
        }
    if distributed.is_first():
        run_directory.write_run_directory(workdir, recipe, tokenizer, mixture.chat_template)
        files.write_json(workdir / "level.json", trained_on)
        files.write_json(
            workdir / "sharding.json", {"mesh": dict(mesh.shape), "state": sharding.describe(state)}
        )
        _print_summary(recipe, mixture, mesh)

    # --------------------------------------------------------------------------------------------
    # the loop
    train_step = step.make_train_step(recipe, tx, schedule, len(sources))
    eval_step = step.make_eval_step(recipe.model, recipe.loss.chunk)
    first = progress["step"]
    batches = mixture.batches(first, jax.process_index(), jax.process_count())
    reporter = metrics.Reporter(workdir, recipe, mixture, progress, enabled=distributed.is_first())
    rows = sharding.batch_sharding(mesh)

    # The step just dispatched: its scalars are read after the next dispatch, so the device never
    # waits.
    in_flight = None
    stopping = False  # a process was asked to stop at a step whose scalars were read
    try:
        for number in range(first + 1, recipe.steps + 1):
            # A request to stop travels through the step as a sum over rows, so that all processes
            # see it at the same step.
            host_batch = {
                **next(batches),
                "stop": np.full(
                    recipe.global_batch // jax.process_count(), stop.requested, np.int32
                ),
            }
            batch = {
                # With the shape stated: inferred, it would be smaller where processes shared rows.
                name: jax.make_array_from_process_local_data(
                    rows, value, (recipe.global_batch, *value.shape[1:])
                )
                for name, value in host_batch.items()
            }
            profiler.before_step(number, in_flight)
            if recipe.debug.repeat_every_steps and number % recipe.debug.repeat_every_steps == 0:
                step.check_repeatable(train_step, state, batch, number)
            state, scalars = train_step(state, batch)
            if in_flight:
                stopping = reporter.settle(*in_flight)
            in_flight = (number, scalars)

            last = number == recipe.steps
            evaluates = bool(domains) and (last or _due(number, recipe.eval.every_steps))
            saves = recipe.checkpoint.keep > 0 and (
                last or _due(number, recipe.checkpoint.every_steps)
            )
            extra = {}
            if evaluates:
                jax.block_until_ready(scalars)  # the rest of the step is not part of the pause
                with reporter.pause():
                    extra = heldout.scalars(
                        domains, eval_step, state["params"], recipe.eval.batch, mesh
                    )
            if evaluates or saves or last or stopping:
                # Before saving: a checkpoint exists only where the loss, and what the update made,
                # are finite.
                stopping |= reporter.settle(*in_flight, extra)
                in_flight = None
            saves |= stopping and recipe.checkpoint.keep > 0
            if saves:
                with reporter.pause():
                    step.check_finite(state)
                    checkpoints.save(
                        state, {**reporter.progress(), "step": number, "data": mixture.identity}
                    )
            if stopping and not last:
                what = (
                    f"saved at step {number}"
                    if saves
                    else f"stopped unsaved (checkpoint.keep=0) at step {number}"
                )
                raise Unfinished(
                    f"{workdir}: {what} of {recipe.steps} after SIGTERM; run the same command to"
                    " continue"
                )
    except Failure as error:  # the newest checkpoint may hold the weights that this comes of
        newest = checkpoints.newest_step()
        where = (
            "there is no checkpoint"
            if newest is None
            else f"the newest checkpoint is of step {newest}"
        )
        raise Failure(f"{error}; {where}") from None
    finally:
        profiler.close()
        # A save that was started is finished, also where the loss stopped being finite
        checkpoints.close()

    # --------------------------------------------------------------------------------
    # end
    reporter.close()
    if distributed.is_first():
        files.write_json(workdir / "DONE", {"step": recipe.steps, "data": mixture.identity})
        lock.close()
    distributed.say(f"{workdir}: done, {recipe.steps} steps")


class _StopRequest:
    """Set by SIGTERM, which is how schedulers announce preemption."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.requested = True


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def _print_summary(recipe: Recipe, mixture: Mixture, mesh: jax.sharding.Mesh) -> None:
    tokens = recipe.steps * recipe.global_batch * recipe.seq_len
    weights = sum(source.weight for source in mixture.sources)
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind} as {dict(mesh.shape)}"
    print(
        f"{decoder.count_params(recipe.model):,} parameters on {devices}; attention"
        f" {recipe.model.attention}"
    )
    print(f"MFU counts {metrics.MFU_CONVENTION}")
    for source, windows in zip(mixture.sources, mixture.windows, strict=True):
        share = source.weight / weights
        if mixture.rows:
            share = len(windows) * recipe.epochs / mixture.rows
        epochs = recipe.epochs or share * recipe.steps * recipe.global_batch / len(windows)
        print(
            f"  {source.name}: {share:.1%} of {tokens:,} tokens, {epochs:.2f} epochs of"
            f" {source.folder}",
            flush=True,
        )
        if mixture.packing == "best_fit":
            print(f"    {_describe_conversations(windows.manifest)}", flush=True)


def _describe_conversations(manifest: Mapping[str, Any]) -> str:
    used = manifest["chat"]["packing_efficiency"]
    responses = manifest["targets"] / manifest["chat"]["inputs"]
    counts = f"{manifest['documents']:,} conversations in {manifest['windows']:,} windows"
    return (
        f"{counts}, {1 - used:.1%} padding; loss on the {responses:.1%} of targets that are"
        " responses"
    )


def _says_model(flag: str) -> bool:
    """Whether the command line says what model it is, by --config.model.KEY=VALUE."""
    given = config_flags.get_override_values(flags.FLAGS[flag])
    return any(
        key.startswith("model.") and key.removeprefix("model.") not in NUMERICS for key in given
    )


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; recipes are given as --config=FILE")
    config = commandline.require(_CONFIG.value, "config", "configs/tiny.py")
    place, processes = _PLACE.given(), _PROCESSES.given()
    files.check_local(place.workdir)
    workdir = pathlib.Path(place.workdir).absolute()
    recipe = Recipe.from_config(config.to_dict())
    if recipe.debug.deterministic:  # XLA reads this once, when the backend starts
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
        )
    # A GPU is this run's alone: JAX would leave a quarter of its memory unused.
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")
    jax.config.update("jax_debug_nans", recipe.debug.nans)
    compilation_cache.keep_compiled()
    distributed.initialize(processes)
    if recipe.init_from and not _says_model(_CONFIG.name):
        recipe = run_directory.with_model_of_start(recipe, workdir)
    c = recipe.model
    backend = resolve_backend(
        c.attention, jax.default_backend(), c.dtype, c.head_dim, recipe.seq_len
    )
    with decoder.exact_products(c.dtype):
        train(dataclasses.replace(recipe, model=dataclasses.replace(c, attention=backend)), workdir)


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
