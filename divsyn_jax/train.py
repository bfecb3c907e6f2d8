"""Train a language model from a recipe.

  python -m divsyn_jax.train --config=configs/350m.py:level=topic_styles_persona --workdir=runs/350m

Any key of the recipe is overridden by --config.key=value. The same command continues an interrupted run exactly where it
stopped; a finished run holds a file DONE. Writes config.json, metrics.jsonl, TensorBoard events, checkpoints/ and, when
data.eval names held-out domains, eval/<domain> metrics.
"""

import json
import math
import os
import pathlib
import platform
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from divsyn_jax import commandline, files, heldout, metrics, model, optimizer, sharding, step
from divsyn_jax.attention import resolve_backend
from divsyn_jax.checkpointing import Checkpoints
from divsyn_jax.commandline import Unfinished, UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.pipeline import Mixture, parse_sources
from divsyn_jax.recipe import Recipe

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Recipe, e.g. configs/tiny.py; see configs/base.py for every key.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory.")

# Keys that may differ when a run is continued: where things lie and how they are watched, not what is computed.
_FREE_TO_CHANGE = ("data", "mesh", "checkpoint", "eval", "log", "accumulation_steps")


def train(recipe: Recipe, workdir: pathlib.Path) -> None:
    """Train `recipe` in `workdir` to its last step, continuing from the newest checkpoint there.

    Raises `UserError` for unusable data or settings, `Unfinished` after a SIGTERM (state saved), `FloatingPointError` when
    the loss or gradient stops being finite.
    """
    if (workdir / "DONE").exists():
        print(f"{workdir}: finished before ({files.read_json(workdir / 'DONE')['step']} steps); nothing to do")
        return
    stop = _StopRequest()

    # ---------------------------------------------------------------------------------------------- data
    mixture = Mixture(
        parse_sources(recipe.data.train, recipe.data.root), recipe.seq_len, recipe.seed, recipe.global_batch
    )
    tokenizer = tokenizers.load(_tokenizer_spec(mixture.windows[0].folder))
    if tokenizer.vocab_size > recipe.model.vocab_size:
        raise UserError(
            f"model.vocab_size={recipe.model.vocab_size} is smaller than the tokenizer's {tokenizer.vocab_size} ids; raise it"
        )
    domains = heldout.open_domains(
        recipe.data.eval, recipe.data.root, recipe.seq_len, mixture.windows[0].manifest["tokenizer"]
    )

    # ------------------------------------------------------------------------------ mesh, optimizer, state
    mesh = sharding.make_mesh(recipe.mesh)
    jax.set_mesh(mesh)
    _check_batch(recipe, mesh)
    adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
    schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
    abstract = step.abstract_state(recipe.model, adamw, mesh)

    # -------------------------------------------------------------------------------------- run directory
    is_first_process = jax.process_index() == 0
    if is_first_process:
        _prepare_workdir(workdir, recipe, tokenizer)
    checkpoints = Checkpoints(workdir, recipe.checkpoint.keep)

    # What a run starts from, in this order: its own newest checkpoint; another run's weights (init_from); fresh weights.
    restored = checkpoints.restore_latest(abstract)
    if restored:
        state, progress = restored
        _check_same_data(progress["data"], mixture.identity)
        print(f"continuing from step {progress['step']}")
    else:
        state = step.init_state(recipe.model, adamw, abstract, recipe.seed)
        progress = {"step": 0, "rows": [0] * len(mixture.sources), "data": mixture.identity}
        if recipe.init_from:
            state["params"] = _initial_weights(pathlib.Path(recipe.init_from), abstract["params"], recipe, tokenizer)
    if is_first_process:
        files.write_json(workdir / "sharding.json", {"mesh": dict(mesh.shape), "state": sharding.describe(state)})
        _print_summary(recipe, mixture, mesh, state)

    # -------------------------------------------------------------------------------------------- the loop
    train_step = step.make_train_step(recipe, adamw, schedule, len(mixture.sources))
    eval_step = step.make_eval_step(recipe.model, recipe.loss.chunk)
    first = progress["step"]
    rows_S = np.array(progress["rows"], np.int64)
    batches = mixture.batches(first, jax.process_index(), jax.process_count())
    rows_sharding = sharding.batch_sharding(mesh)
    log = metrics.MetricsLog(workdir, first, recipe.log.tensorboard) if is_first_process else None
    flops = metrics.flops_per_token(recipe.model, recipe.seq_len) * recipe.global_batch * recipe.seq_len
    peak = metrics.PEAK_FLOPS.get(jax.devices()[0].device_kind)
    clock = metrics.StepClock()
    bar = tqdm(
        total=recipe.steps,
        initial=first,
        desc=workdir.name,
        unit="step",
        mininterval=1 if sys.stderr.isatty() else 15,
        disable=not is_first_process,
    )

    def settle(number: int, scalars: Mapping[str, jax.Array], extra: Mapping[str, float]) -> None:
        """Read a dispatched step's metrics (this waits for it), check and log them."""
        host = jax.device_get(scalars)
        rows_S[:] += host["rows_S"]
        loss, grad_norm, seconds = float(host["loss"]), float(host["grad_norm"]), clock.lap()
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise FloatingPointError(
                f"step {number}: loss {loss}, gradient norm {grad_norm}; the run stops, its last checkpoint is sound"
            )
        bar.update()
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if log and (number % recipe.log.every_steps == 0 or extra or number == recipe.steps):
            log.write(
                number,
                {
                    "loss": loss,
                    "grad_norm": grad_norm,
                    "learning_rate": float(host["learning_rate"]),
                    **{
                        f"share/{source.name}": float(share)
                        for source, share in zip(mixture.sources, rows_S / rows_S.sum(), strict=True)
                    },
                    **{
                        f"epochs/{source.name}": float(count / len(windows))
                        for source, windows, count in zip(mixture.sources, mixture.windows, rows_S, strict=True)
                    },
                    **extra,
                    "seconds": seconds,
                    "tokens_per_second": float(host["targets"]) / seconds,
                    "mfu": flops / seconds / (peak * jax.device_count()) if peak else None,
                },
            )

    in_flight = (
        None  # the step just dispatched; its metrics are read after the next dispatch, so the device never waits
    )
    for number in range(first + 1, recipe.steps + 1):
        batch = {
            name: jax.make_array_from_process_local_data(rows_sharding, value) for name, value in next(batches).items()
        }
        state, scalars = train_step(state, batch)
        if in_flight:
            settle(*in_flight, {})
        in_flight = (number, scalars)

        last = number == recipe.steps
        evaluates = domains and (last or (recipe.eval.every_steps and number % recipe.eval.every_steps == 0))
        saves = (
            last or stop.requested or (recipe.checkpoint.every_steps and number % recipe.checkpoint.every_steps == 0)
        )
        if not (evaluates or saves):
            continue
        jax.block_until_ready(scalars)
        paused = time.perf_counter()
        extra = _evaluate_domains(domains, eval_step, state["params"], recipe.eval.batch, mesh) if evaluates else {}
        clock.pause(time.perf_counter() - paused)
        settle(*in_flight, extra)  # before saving: a checkpoint exists only where the loss was finite
        in_flight = None
        if saves:
            paused = time.perf_counter()
            checkpoints.save(state, {"step": number, "rows": rows_S.tolist(), "data": mixture.identity})
            clock.pause(time.perf_counter() - paused)
        if stop.requested and not last:
            checkpoints.close()
            raise Unfinished(
                f"{workdir}: saved at step {number} of {recipe.steps} after SIGTERM; run the same command to continue"
            )

    # ------------------------------------------------------------------------------------------------- end
    bar.close()
    checkpoints.close()
    if is_first_process:
        log.close()
        files.write_json(workdir / "DONE", {"step": recipe.steps, "data": mixture.identity})
        print(f"{workdir}: done, {recipe.steps} steps")


class _StopRequest:
    """Set by SIGTERM (how schedulers announce preemption); the loop looks at it between steps."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.requested = True


def _tokenizer_spec(folder: pathlib.Path) -> str:
    return str(folder) if (folder / tokenizers.MODEL_FILE).exists() else f"hf:{folder}"


def _check_batch(recipe: Recipe, mesh: jax.sharding.Mesh) -> None:
    micro = recipe.global_batch // recipe.accumulation_steps
    splits = mesh.shape["replica"] * mesh.shape["fsdp"]
    if micro % splits:
        raise UserError(
            f"global_batch={recipe.global_batch} in {recipe.accumulation_steps} accumulation steps gives {micro} rows, which {splits} devices (replica x fsdp) do not divide"
        )
    if domains_batch := recipe.eval.batch % splits:
        raise UserError(
            f"eval.batch={recipe.eval.batch} leaves {domains_batch} rows over on {splits} devices (replica x fsdp); choose a multiple"
        )


def _prepare_workdir(workdir: pathlib.Path, recipe: Recipe, tokenizer: tokenizers.Tokenizer) -> None:
    """Write the resolved config, environment and tokenizer, or check that they are those of the run already here."""
    resolved = recipe.to_dict()
    if (workdir / "config.json").exists():
        earlier = files.read_json(workdir / "config.json")
        for key, value in resolved.items():
            if key not in _FREE_TO_CHANGE and earlier.get(key) != value:
                raise UserError(
                    f"{workdir}: config.{key} was {json.dumps(earlier.get(key))}, now {json.dumps(value)}; continue with the same recipe or use another --workdir"
                )
    files.write_json(workdir / "config.json", resolved)
    files.write_json(
        workdir / "environment.json",
        {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "devices": jax.device_count(),
            "device_kind": jax.devices()[0].device_kind,
            "processes": jax.process_count(),
        },
    )
    (workdir / "tokenizer").mkdir(exist_ok=True)
    tokenizer.copy_to(workdir / "tokenizer")


def _check_same_data(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for field in now:
        if field == "sources" and earlier[field] != now[field]:
            names = sorted(
                name for name in {*earlier[field], *now[field]} if earlier[field].get(name) != now[field].get(name)
            )
            raise UserError(
                f"data source {names[0]!r} is not what this run was trained on so far (weight or data fingerprint changed); restore it or use another --workdir"
            )
        if earlier[field] != now[field]:
            raise UserError(
                f"{field} was {earlier[field]}, now {now[field]}; continue with the same data order or use another --workdir"
            )


def _initial_weights(
    source: pathlib.Path, abstract_params: Any, recipe: Recipe, tokenizer: tokenizers.Tokenizer
) -> Any:
    if not (source / "config.json").is_file():
        raise UserError(f"init_from={source}: no run there (config.json is missing)")
    theirs = tokenizers.load(str(source / "tokenizer"))
    if theirs.sha256 != tokenizer.sha256:
        raise UserError(
            f"init_from={source}: trained with another tokenizer ({theirs.sha256[:12]}) than these shards ({tokenizer.sha256[:12]})"
        )
    checkpoints = Checkpoints(source, keep=files.read_json(source / "config.json")["checkpoint"]["keep"])
    params, progress = checkpoints.restore_params(abstract_params)
    checkpoints.close()
    print(f"initial weights from {source}, step {progress['step']}")
    return params


def _evaluate_domains(
    domains: list[heldout.Domain], eval_step: Any, params: Any, batch: int, mesh: jax.sharding.Mesh
) -> dict[str, float]:
    scalars = {}
    for domain in domains:
        summary = heldout.summarise(domain.evaluate(eval_step, params, batch, mesh))
        scalars[f"eval/{domain.name}/loss"] = summary["loss"]
        scalars[f"eval/{domain.name}/bits_per_byte"] = summary["bits_per_byte"]
    return scalars


def _print_summary(recipe: Recipe, mixture: Mixture, mesh: jax.sharding.Mesh, state: step.State) -> None:
    tokens = recipe.steps * recipe.global_batch * recipe.seq_len
    weights = sum(source.weight for source in mixture.sources)
    print(
        f"{model.count_params(recipe.model):,} parameters on {dict(mesh.shape)} {jax.devices()[0].device_kind}; attention {recipe.model.attention}; MFU: {metrics.MFU_CONVENTION}"
    )
    for source, windows in zip(mixture.sources, mixture.windows, strict=True):
        share = source.weight / weights
        print(
            f"  {source.name}: {share:.1%} of {tokens:,} tokens, {share * tokens / windows.manifest['targets']:.2f} epochs of {source.folder}"
        )


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; recipes are given as --config=FILE")
    config = commandline.require(_CONFIG.value, "config", "configs/tiny.py")
    workdir = pathlib.Path(commandline.require(_WORKDIR.value, "workdir", "runs/tiny")).absolute()
    config.model.attention = resolve_backend(config.model.attention, jax.default_backend())
    train(Recipe.from_config(config.to_dict()), workdir)


if __name__ == "__main__":
    # A second start of the same recipe finds its compiled step on disk.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser("~/.cache/divsyn_jax/xla"))
    commandline.run(main, __doc__)
