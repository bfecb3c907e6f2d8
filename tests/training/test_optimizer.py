"""Schedules at hand-computed points; AdamW against torch, with clipping and undecayed norms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from divsyn_jax.training.optimizer import make_optimizer, make_schedule
from divsyn_jax.training.recipe import OptimizerConfig


def config(**changes) -> OptimizerConfig:
    values = {
        "peak_lr": 1.0,
        "schedule": "linear",
        "warmup_steps": 10,
        "final_lr_ratio": 0.0,
        "decay_share": 0.2,
        "b1": 0.9,
        "b2": 0.95,
    }
    values.update(eps=1e-8, weight_decay=0.1, clip_norm=1.0)
    values.update(changes)
    return OptimizerConfig(**values)


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        ("constant", {0: 0.1, 9: 1.0, 10: 1.0, 109: 1.0}),
        ("linear", {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 60: 0.5, 109: 0.01}),
        ("cosine", {9: 1.0, 10: 1.0, 60: 0.5, 35: 0.5 + 0.5 * 2**-0.5}),
        ("wsd", {10: 1.0, 50: 1.0, 88: 1.0, 99: 0.5, 109: 1 / 22}),
    ],
)
def test_schedules(schedule, points):
    rate = make_schedule(config(schedule=schedule), steps=110)
    for step, expected in points.items():
        assert float(rate(step)) == pytest.approx(expected, abs=1e-6), step


def test_final_ratio_and_unknown_names():
    assert float(make_schedule(config(final_lr_ratio=0.1), 110)(110)) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="sawtooth"):
        config(schedule="sawtooth")


def test_the_default_is_the_papers_adamw_bit_for_bit():
    """The same state, in the same tree, and the same updates as AdamW written out."""
    c = OptimizerConfig(peak_lr=1e-2, warmup_steps=2)
    decayed = {"head": True, "final_norm": False}
    written_out = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(make_schedule(c, 9), b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1, mask=decayed),
    )
    generator = np.random.default_rng(0)
    params = {"head": jnp.ones((4, 3)), "final_norm": jnp.ones(3)}
    ours, theirs = make_optimizer(c, steps=9), written_out
    state, their_state = ours.init(params), theirs.init(params)
    for _ in range(5):
        gradients = jax.tree.map(lambda leaf: 3 * generator.standard_normal(leaf.shape), params)
        gradients = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), gradients)
        updates, state = jax.jit(ours.update)(gradients, state, params)
        their_updates, their_state = jax.jit(theirs.update)(gradients, their_state, params)
        assert jax.tree.structure((updates, state)) == jax.tree.structure(
            (their_updates, their_state)
        )
        jax.tree.map(np.testing.assert_array_equal, (updates, state), (their_updates, their_state))


def test_updates_equal_torch_adamw():
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: no CPU build of it for this Python (make torch)"
    )
    generator = np.random.default_rng(0)
    start = {"head": generator.standard_normal((4, 3)), "final_norm": generator.standard_normal(3)}
    gradients = [
        {k: 3 * generator.standard_normal(v.shape) for k, v in start.items()} for _ in range(5)
    ]
    c = config(schedule="constant", peak_lr=1e-2, warmup_steps=0)

    tx = make_optimizer(c, steps=10)
    params = {k: jnp.asarray(v, jnp.float32) for k, v in start.items()}
    state = tx.init(params)
    for gradient in gradients:
        updates, state = tx.update(
            {k: jnp.asarray(v, jnp.float32) for k, v in gradient.items()}, state, params
        )
        params = {k: params[k] + updates[k] for k in params}

    theirs = {k: torch.nn.Parameter(torch.tensor(v, dtype=torch.float32)) for k, v in start.items()}
    groups = [
        {"params": [theirs["head"]], "weight_decay": 0.1},
        {"params": [theirs["final_norm"]], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    for gradient in gradients:
        for name, parameter in theirs.items():
            parameter.grad = torch.tensor(gradient[name], dtype=torch.float32)
        torch.nn.utils.clip_grad_norm_(list(theirs.values()), 1.0)
        adamw.step()
    for name in start:
        np.testing.assert_allclose(
            params[name], theirs[name].detach().numpy(), rtol=1e-5, atol=1e-6
        )
