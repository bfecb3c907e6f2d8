"""AdamW with global-norm clipping and the learning-rate schedules `linear`, `cosine` and `wsd`."""

from typing import Any

import jax
import optax

from divsyn_jax.model.parameters import find_parameter
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
    """Clipping, then AdamW under the schedule."""
    adamw = optax.adamw(
        make_schedule(config, steps),
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=_decayed,
    )
    return (
        optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw)
        if config.clip_norm
        else adamw
    )


def _decayed(params: Any) -> Any:
    """True for the parameters that the table says are decayed."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: find_parameter([entry.key for entry in path]).decayed, params
    )
