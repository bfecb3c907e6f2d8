"""The jitted computations of a run: fresh state, one training step, one evaluation step.

A train state is a dict: `params` (nested dict of float32 arrays), `opt_state` (optax), `step` (int32 scalar).

Shape legend: A accumulation steps, B rows, L length, D hidden, V vocabulary, S sources.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from divsyn_jax import model as llama
from divsyn_jax import sharding
from divsyn_jax.attention import Mask
from divsyn_jax.commandline import Failure
from divsyn_jax.loss import token_nll, weighted_loss
from divsyn_jax.model import ModelConfig
from divsyn_jax.recipe import Recipe

State = dict[str, Any]
Batch = dict[str, jax.Array]


def abstract_state(config: ModelConfig, optimizer: optax.GradientTransformation, mesh: Mesh) -> State:
    """Shapes, dtypes and shardings of the train state, without allocating it."""
    shapes = jax.eval_shape(functools.partial(_fresh_state, config, optimizer, 0))
    shardings = sharding.state_shardings(shapes, mesh)
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), shapes, shardings
    )


def init_state(config: ModelConfig, optimizer: optax.GradientTransformation, abstract: State, seed: int) -> State:
    """A fresh train state, born on the shardings of `abstract`."""
    out_shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    return jax.jit(lambda: _fresh_state(config, optimizer, seed), out_shardings=out_shardings)()


def _fresh_state(config: ModelConfig, optimizer: optax.GradientTransformation, seed: int) -> State:
    params = llama.init_params(config, seed)
    return {"params": params, "opt_state": optimizer.init(params), "step": jnp.zeros((), jnp.int32)}


def make_loss(recipe: Recipe) -> Callable:
    """`(params, tokens [b, L+1], length [b], valid_targets) -> (loss, nll)`: sums over these rows over `valid_targets`."""

    def loss(params: llama.Params, tokens: jax.Array, length: jax.Array, valid_targets: jax.Array):
        x_BLD, head_VD, targets_BL, valid_BL = _hidden_and_targets(recipe.model, params, tokens, length)
        weights_BL = valid_BL / valid_targets
        return weighted_loss(x_BLD, head_VD, targets_BL, weights_BL, recipe.loss.z_loss, recipe.loss.chunk)

    return loss


def make_gradient(recipe: Recipe) -> Callable:
    """`(params, batch) -> (nll, gradients)` of the mean loss over all valid targets of the global batch.

    Every micro-batch is divided by that one count, so accumulation changes nothing but memory.
    """
    accumulation = recipe.accumulation_steps
    gradient = jax.value_and_grad(make_loss(recipe), has_aux=True)

    def mean_gradient(params: llama.Params, batch: Batch) -> tuple[jax.Array, llama.Params]:
        valid_targets = jnp.sum(batch["length"] - 1).astype(jnp.float32)
        if accumulation == 1:
            (_, nll), gradients = gradient(params, batch["tokens"], batch["length"], valid_targets)
            return nll, gradients
        # Micro-batch a takes rows a, a+A, ...: each keeps rows of every device, so no row changes place.
        micro = jax.tree.map(
            lambda x: x.reshape(x.shape[0] // accumulation, accumulation, *x.shape[1:]).swapaxes(0, 1),
            (batch["tokens"], batch["length"]),
        )

        def accumulate(carry, tokens_and_length):
            (_, nll), gradients = gradient(params, *tokens_and_length, valid_targets)
            return jax.tree.map(jnp.add, carry, (nll, gradients)), None

        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
        return jax.lax.scan(accumulate, zero, micro)[0]

    return mean_gradient


def make_train_step(
    recipe: Recipe, optimizer: optax.GradientTransformation, schedule: optax.Schedule, sources: int
) -> Callable:
    """The jitted `(state, batch) -> (state, scalars)`; the state's buffers are donated.

    The batch holds `tokens` [B, L+1], `length` [B], `source` [B] and `stop` [B] (1 where the row's process was asked to
    stop). The scalars are on every device: `loss`, `grad_norm`, `learning_rate`, `targets`, `stop`, and `rows_S`, the rows
    taken from each source.
    """
    mean_gradient = make_gradient(recipe)

    def train_step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        nll, gradients = mean_gradient(state["params"], batch)
        updates, opt_state = optimizer.update(gradients, state["opt_state"], state["params"])
        scalars = {
            "loss": nll,
            "grad_norm": optax.global_norm(gradients),
            "learning_rate": schedule(state["step"]),
            "targets": jnp.sum(batch["length"] - 1),
            "stop": jnp.sum(batch["stop"]),
            "rows_S": jnp.sum(jax.nn.one_hot(batch["source"], sources, dtype=jnp.int32), axis=0),
        }
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "opt_state": opt_state, "step": state["step"] + 1}, scalars

    return jax.jit(train_step, donate_argnums=0)


def check_repeatable(train_step: Callable, state: State, batch: Batch, number: int) -> None:
    """Compute one step twice from copies of `state` and raise `Failure` unless the results agree in every bit."""
    (one, _), (two, _) = (train_step(jax.tree.map(jnp.copy, state), batch) for _ in range(2))
    same = jax.tree.map(lambda a, b: jnp.array_equal(a, b, equal_nan=True), one, two)
    for path, equal in jax.tree_util.tree_leaves_with_path(same):
        if not equal:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise Failure(f"step {number}: computed twice, {name} differs; set debug.deterministic or look for a race")


def make_eval_step(config: ModelConfig, chunk: int) -> Callable:
    """The jitted `(params, tokens [B, L+1], length [B]) -> nll [B]`: summed nats over the valid targets of each row."""

    def eval_step(params: llama.Params, tokens: jax.Array, length: jax.Array) -> jax.Array:
        x_BLD, head_VD, targets_BL, valid_BL = _hidden_and_targets(config, params, tokens, length)
        nll_BL, _ = token_nll(x_BLD, head_VD, targets_BL, chunk)
        # On every device, so that every process can read it.
        return jax.lax.with_sharding_constraint(jnp.sum(nll_BL * valid_BL, axis=1), PartitionSpec())

    return jax.jit(eval_step)


def _hidden_and_targets(config: ModelConfig, params: llama.Params, tokens: jax.Array, length: jax.Array):
    """Hidden states, output projection, targets and their validity (1.0 or 0.0) of windows [B, L+1]."""
    inputs_BL, targets_BL = tokens[:, :-1], tokens[:, 1:]
    model = llama.bind(config, params)
    x_BLD = model.hidden_states(inputs_BL, llama.default_positions(inputs_BL), Mask())
    valid_BL = (jnp.arange(targets_BL.shape[1]) < length[:, None] - 1).astype(jnp.float32)
    return x_BLD, model.head_VD(), targets_BL, valid_BL
