"""AdamW and Muon with global-norm clipping, the learning-rate schedules `linear`, `cosine` and
`wsd`, and steps that are skipped because their loss or gradient is a spike.

Shape legend: W steps in the window of spikes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from divsyn_jax.model import sharding
from divsyn_jax.model.parameters import LAYERS, Parameter, find_parameter
from divsyn_jax.training.recipe import OptimizerConfig


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Learning rate by optimizer step (0-based) for a run of `steps`, which must be more than the
    warm-up's.
    """
    c = config
    after = steps - c.warmup_steps
    final_lr = c.final_lr_ratio * c.peak_lr
    if c.schedule == "constant":
        body = optax.constant_schedule(c.peak_lr)
    elif c.schedule == "linear":
        body = optax.linear_schedule(c.peak_lr, final_lr, after)
    elif c.schedule == "cosine":
        body = optax.cosine_decay_schedule(c.peak_lr, after, alpha=c.final_lr_ratio)
    else:  # wsd
        decay = max(1, round(c.decay_share * steps))
        body = optax.linear_schedule(
            c.peak_lr, final_lr, decay, transition_begin=max(0, after - decay)
        )
    if not c.warmup_steps:
        return body
    # Step 0 already moves: warm-up runs over 1/w, 2/w, ..., 1 of the peak.
    warmup = optax.linear_schedule(
        c.peak_lr / c.warmup_steps, c.peak_lr * (1 + 1 / c.warmup_steps), c.warmup_steps
    )
    return optax.join_schedules([warmup, body], [c.warmup_steps])


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clipping, then AdamW or Muon under the schedule; where `config` says so, without the steps
    that are spikes.

    One that skips has to be told the loss: `update(gradients, state, params, loss=...)`.
    """
    rule = _muon(config, steps) if config.name == "muon" else _adamw(config, steps)
    if config.clip_norm:
        rule = optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
    return (
        _without_spikes(rule, config.skip_spikes, config.spike_window)
        if config.skip_spikes
        else rule
    )


def _adamw(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    return optax.adamw(
        make_schedule(config, steps),
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=_decayed,
    )


def _muon(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024, github.com/KellerJordan/Muon) for the matrices of layers, AdamW for
    embedding, output projection, norms and biases.

    Put together here from the parts of `optax.contrib.muon`, whose AdamW takes Nesterov's momentum
    and decays all that is given to it, norms included."""
    matrices = optax.chain(
        optax.contrib.scale_by_muon(
            beta=config.momentum, eps=config.eps, weight_dimension_numbers=_dimension_numbers
        ),
        optax.stateless(lambda updates, params: _of_one_size(updates, config.matrix_rms)),
        optax.add_decayed_weights(config.weight_decay, mask=_decayed),
        optax.scale_by_learning_rate(make_schedule(config, steps)),
    )
    return optax.partition(
        {"muon": matrices, "adamw": _adamw(config, steps)},
        lambda params: _by_parameter(
            params, lambda row, _, is_matrix: "muon" if is_matrix else "adamw"
        ),
    )


def _dimension_numbers(updates: Any) -> Any:
    """Which axes of each matrix of the layers are its rows and its columns; layers are a batch.

    Heads lie side by side in one matrix, as in the products that they come from.
    """
    return _by_parameter(
        updates,
        lambda row, leaf, _: optax.contrib.MuonDimensionNumbers(
            reduction_axis=tuple(range(1, 1 + row.inputs)),
            output_axis=tuple(range(1 + row.inputs, leaf.ndim)),
        ),
    )


def _of_one_size(updates: Any, rms: float) -> Any:
    """Orthogonal matrices scaled to a root mean square of `rms` (Liu et al. 2025, arXiv 2502.16982,
    section 2.2), laid out as their parameters are.
    """

    def scale(row: Parameter, update: jax.Array, _: bool) -> jax.Array:
        rows = math.prod(update.shape[1 : 1 + row.inputs])
        columns = math.prod(update.shape[1 + row.inputs :])
        scaled = rms * math.sqrt(max(rows, columns)) * update
        # The products of Newton-Schulz leave the compiler free to lay the update out otherwise,
        # and the parameter after it.
        return sharding.constrain(scaled, LAYERS, *row.axes)

    return _by_parameter(updates, scale)


def _decayed(params: Any) -> Any:
    """True for the parameters that the table says are decayed."""
    return _by_parameter(params, lambda row, _, __: row.decayed)


def _by_parameter(tree: Any, function: Any) -> Any:
    """`function(row of the table, leaf, is it a matrix of a layer)` of every leaf of a tree of
    parameters.
    """

    def of_leaf(path: Sequence[Any], leaf: Any) -> Any:
        keys = [entry.key for entry in path]
        row = find_parameter(keys)
        return function(row, leaf, keys[0] == LAYERS and row.inputs > 0)

    return jax.tree_util.tree_map_with_path(of_leaf, tree)


# --------------------------------------------------------------------------------------------------
# spikes


class SpikeState(NamedTuple):
    """State of an optimizer that skips spikes.

    Attributes:
      inner: state of the optimizer itself.
      recent_2W: loss and gradient norm of the last W steps whose both are finite, in a ring.
      seen: how many such steps there were, int32.
      skipped: how many steps were skipped, int32.
    """

    inner: Any
    recent_2W: jax.Array
    seen: jax.Array
    skipped: jax.Array


def _without_spikes(
    rule: optax.GradientTransformation, deviations: float, window: int
) -> optax.GradientTransformationExtraArgs:
    """`rule`, but a step whose loss or gradient norm (before clipping) is not finite, or more than
    so many standard deviations above its mean over the last `window` steps, changes neither
    parameters nor moments.

    As OLMo-core's SkipStepOptimizer: finite spikes join the window, so that a lasting change of
    level is got used to, and none is called before half the window is there. The learning rate goes
    on by the schedule also in a step that is skipped."""
    rule = optax.with_extra_args_support(rule)

    def init(params: Any) -> SpikeState:
        zero = jnp.zeros((), jnp.int32)
        return SpikeState(rule.init(params), jnp.zeros((2, window), jnp.float32), zero, zero)

    def update(
        gradients: Any, state: SpikeState, params: Any = None, *, loss: jax.Array, **more: Any
    ) -> tuple[Any, SpikeState]:
        now_2 = jnp.stack([loss, optax.tree.norm(gradients)]).astype(jnp.float32)
        known = jnp.minimum(state.seen, window)
        is_known_W = jnp.arange(window) < known
        mean_2 = jnp.sum(state.recent_2W * is_known_W, axis=1) / jnp.maximum(known, 1)
        square_2W = jnp.square(state.recent_2W - mean_2[:, None]) * is_known_W
        deviation_2 = jnp.sqrt(jnp.sum(square_2W, axis=1) / jnp.maximum(known - 1, 1))
        is_finite = jnp.all(jnp.isfinite(now_2))
        is_spike = (known >= window // 2) & jnp.any(now_2 > mean_2 + deviations * deviation_2)
        skips = is_spike | ~is_finite

        updates, inner = rule.update(gradients, state.inner, params, loss=loss, **more)
        place = state.seen % window
        return (
            jax.tree.map(lambda leaf: jnp.where(skips, jnp.zeros_like(leaf), leaf), updates),
            SpikeState(
                inner=_kept_if(skips, state.inner, inner),
                recent_2W=jnp.where(
                    is_finite, state.recent_2W.at[:, place].set(now_2), state.recent_2W
                ),
                seen=state.seen + is_finite,
                skipped=state.skipped + skips,
            ),
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _kept_if(skips: jax.Array, old: Any, new: Any) -> Any:
    """The state `old` where `skips`, else `new`; of the schedule `new` in either case."""

    def is_of_schedule(state: Any) -> bool:
        return isinstance(state, optax.ScaleByScheduleState)

    return jax.tree.map(
        lambda was, now: now if is_of_schedule(now) else jnp.where(skips, was, now),
        old,
        new,
        is_leaf=is_of_schedule,
    )
