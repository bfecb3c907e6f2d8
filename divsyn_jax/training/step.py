"""The jitted computations of a run: fresh state, one training step, one evaluation step.

A train state is a dict: `params` (nested dict of float32 arrays), `opt_state` (optax), `step`
(int32 scalar).

Shape legend: A accumulation steps, B rows, L length, D hidden, V vocabulary, S sources.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from divsyn_jax.base.commandline import Failure
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.attention import Mask, attend_over_window
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.model.loss import token_nll, weighted_loss
from divsyn_jax.training.optimizer import SpikeState
from divsyn_jax.training.recipe import Recipe

State = dict[str, Any]
Batch = dict[str, jax.Array]


def abstract_state(
    config: ModelConfig, optimizer: optax.GradientTransformation, mesh: Mesh
) -> State:
    """Shapes, dtypes and shardings of the train state, without allocating it."""
    shapes = jax.eval_shape(functools.partial(_fresh_state, config, optimizer, 0))
    shardings = sharding.state_shardings(shapes, mesh)
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
        shapes,
        shardings,
    )


def init_state(
    config: ModelConfig, optimizer: optax.GradientTransformation, abstract: State, seed: int
) -> State:
    """A fresh train state, born on the shardings of `abstract`."""
    out_shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    return jax.jit(lambda: _fresh_state(config, optimizer, seed), out_shardings=out_shardings)()


def _fresh_state(config: ModelConfig, optimizer: optax.GradientTransformation, seed: int) -> State:
    params = decoder.init_params(config, seed)
    return {"params": params, "opt_state": optimizer.init(params), "step": jnp.zeros((), jnp.int32)}


def make_loss(recipe: Recipe) -> Callable:
    """`(params, windows, valid_targets) -> (loss, nll)`: sums over these windows, divided by
    `valid_targets`.

    Windows are the rows of a batch without `source` and `stop`.
    """

    def loss(params: decoder.Params, windows: Batch, valid_targets: jax.Array):
        of_batch = _Windows.of(windows)
        x_BLD, head_VD = _hidden_and_head(recipe.model, params, of_batch)
        weights_BL = of_batch.valid_BL() / valid_targets
        return weighted_loss(
            x_BLD, head_VD, of_batch.targets_BL, weights_BL, recipe.loss.z_loss, recipe.loss.chunk
        )

    return loss


def make_gradient(recipe: Recipe) -> Callable:
    """`(params, batch) -> (nll, gradients)` of the mean loss over all valid targets of the global
    batch.

    Every micro-batch is divided by that one count, so accumulation changes nothing but memory.
    """
    accumulation = recipe.accumulation_steps
    gradient = jax.value_and_grad(make_loss(recipe), has_aux=True)

    def mean_gradient(params: decoder.Params, batch: Batch) -> tuple[jax.Array, decoder.Params]:
        windows = {name: rows for name, rows in batch.items() if name not in ("source", "stop")}
        valid_targets = _Windows.of(batch).count().astype(jnp.float32)
        if accumulation == 1:
            (_, nll), gradients = gradient(params, windows, valid_targets)
            return nll, gradients
        # Micro-batch a takes rows a, a+A, ...: each keeps rows of every device, so no row changes
        # place.
        micro = jax.tree.map(
            lambda x: x.reshape(x.shape[0] // accumulation, accumulation, *x.shape[1:]).swapaxes(
                0, 1
            ),
            windows,
        )

        def accumulate(carry, windows):
            (_, nll), gradients = gradient(params, windows, valid_targets)
            return jax.tree.map(jnp.add, carry, (nll, gradients)), None

        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
        return jax.lax.scan(accumulate, zero, micro)[0]

    return mean_gradient


def make_train_step(
    recipe: Recipe, optimizer: optax.GradientTransformation, schedule: optax.Schedule, sources: int
) -> jax.stages.Wrapped:
    """The jitted `(state, batch) -> (state, scalars)`; the state's buffers are donated.

    The batch holds what `Mixture.batches` yields and `stop` [B] (1 where the row's process was
    asked to stop). The scalars
    are on every device: `loss`, `grad_norm`, `learning_rate`, `targets`, `stop`, and `rows_S`, the
    rows taken from each source; where spikes are skipped `skipped_steps`, their number so far; of
    packed windows also `inputs`, which are not padding, and `context`, the mean over those of the
    length of their conversation."""
    mean_gradient = make_gradient(recipe)
    update = optax.with_extra_args_support(optimizer).update

    def train_step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        windows = _Windows.of(batch)
        nll, gradients = mean_gradient(state["params"], batch)
        updates, opt_state = update(gradients, state["opt_state"], state["params"], loss=nll)
        scalars = {
            "loss": nll,
            "grad_norm": optax.tree.norm(gradients),
            "learning_rate": schedule(state["step"]),
            "targets": windows.count(),
            "stop": jnp.sum(batch["stop"]),
            "rows_S": jnp.sum(jax.nn.one_hot(batch["source"], sources, dtype=jnp.int32), axis=0),
        }
        if isinstance(opt_state, SpikeState):
            scalars["skipped_steps"] = opt_state.skipped
        if windows.mask.segments_BL is not None:
            real_BL = windows.mask.segments_BL > 0
            scalars["inputs"] = jnp.sum(real_BL)
            # 1 + 3 + 5 + ... over the n positions of a conversation is n^2: the sum of its length
            # over its inputs.
            scalars["context"] = (
                jnp.sum((2.0 * windows.positions_BL + 1.0) * real_BL) / scalars["inputs"]
            )
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "opt_state": opt_state, "step": state["step"] + 1}, scalars

    return jax.jit(train_step, donate_argnums=0)


def check_repeatable(train_step: Callable, state: State, batch: Batch, number: int) -> None:
    """Compute one step twice from copies of `state` and raise `Failure` unless the results agree in
    every bit.
    """
    (one, _), (two, _) = (train_step(jax.tree.map(jnp.copy, state), batch) for _ in range(2))
    same = jax.tree.map(lambda a, b: jnp.array_equal(a, b, equal_nan=True), one, two)
    if name := _first_false(same):
        raise Failure(
            f"step {number}: computed twice, {name} differs; set debug.deterministic or look for a"
            " race"
        )


def check_finite(state: State) -> None:
    """Raise `Failure` naming the first leaf of `state` that holds a number that is not finite.

    A finite loss says nothing about the update that it led to.
    """
    if name := _first_false(_all_finite(state)):
        raise Failure(
            f"step {state['step']}: {name} is not finite after the update; the run stops unsaved"
        )


def _first_false(tree: State) -> str:
    """Path of the first leaf that is false, '' when all are true."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return next(
        (
            jax.tree_util.keystr(path, simple=True, separator="/")
            for path, leaf in leaves
            if not leaf
        ),
        "",
    )


@jax.jit
def _all_finite(state: State) -> State:
    return jax.tree.map(lambda leaf: jnp.all(jnp.isfinite(leaf)), state)


def make_eval_step(config: ModelConfig, chunk: int) -> Callable:
    """The jitted `(params, windows) -> nll`:

    nats over valid targets, summed by row [B]; by position [B, L] where packed.
    """

    def eval_step(params: decoder.Params, windows: Batch) -> jax.Array:
        of_batch = _Windows.of(windows)
        x_BLD, head_VD = _hidden_and_head(config, params, of_batch)
        nll_BL, _ = token_nll(x_BLD, head_VD, of_batch.targets_BL, chunk)
        nll = nll_BL * of_batch.valid_BL()
        nll = nll if of_batch.packed else jnp.sum(nll, axis=1)
        # On every device, so that every process can read it.
        return jax.lax.with_sharding_constraint(nll, PartitionSpec())

    return jax.jit(eval_step)


@dataclasses.dataclass(frozen=True)
class _Windows:
    """The rows of a batch, of text or of packed conversations: what is read and what is predicted.

    Attributes:
      inputs_BL, positions_BL, targets_BL: token ids in, their positions, and the token ids to come.
      mask: which inputs see which.
      counted: what adds up to the number of targets that count: 1 or 0 by target where packed, else
        their number by row.
      packed: conversations lie side by side in a row.
    """

    inputs_BL: jax.Array
    positions_BL: jax.Array
    targets_BL: jax.Array
    mask: Mask
    counted: jax.Array
    packed: bool

    @classmethod
    def of(cls, batch: Batch) -> "_Windows":
        """The windows of a batch: the one place that knows what its arrays are called."""
        if "segments" in batch:
            return cls(
                inputs_BL=batch["inputs"],
                positions_BL=batch["positions"],
                targets_BL=batch["targets"],
                mask=Mask(batch["segments"]),
                counted=batch["loss_mask"],
                packed=True,
            )
        inputs_BL = batch["tokens"][:, :-1]
        return cls(
            inputs_BL=inputs_BL,
            positions_BL=decoder.default_positions(inputs_BL),
            targets_BL=batch["tokens"][:, 1:],
            mask=Mask(),
            counted=batch["length"] - 1,
            packed=False,
        )

    def count(self) -> jax.Array:
        """Number of targets that count, a scalar."""
        return jnp.sum(self.counted)

    def valid_BL(self) -> jax.Array:
        """1.0 for a target that counts, 0.0 for another."""
        if self.packed:
            return self.counted.astype(jnp.float32)
        columns = jnp.arange(self.targets_BL.shape[1])
        return (columns < self.counted[:, None]).astype(jnp.float32)


def _hidden_and_head(
    config: ModelConfig, params: decoder.Params, windows: _Windows
) -> tuple[jax.Array, jax.Array]:
    """Final hidden states [B, L, D] of windows, and the output projection [V, D]."""
    model = decoder.bind(config, params)
    attend = attend_over_window(windows.mask, config.attention)
    x_BLD, _ = model.hidden_states(windows.inputs_BL, windows.positions_BL, attend)
    return x_BLD, model.head_VD()
