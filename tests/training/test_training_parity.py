"""Fifty AdamW steps from the same weights on the same batches follow a torch reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import tiny
from divsyn_jax.model import sharding
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.recipe import Recipe
from tests.model.test_decoder import torch_twin

STEPS, B, L, V = 50, 8, 48, 101


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    config = tiny.get_config()
    config.model.update(
        vocab_size=V, hidden=48, intermediate=80, layers=3, heads=4, kv_heads=2, attention="blocked"
    )
    config.update(steps=STEPS, global_batch=B, seq_len=L)
    config.loss.chunk = 16
    config.optimizer.update(warmup_steps=5, peak_lr=3e-3)
    return Recipe.from_config(config.to_dict())


def batches() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        (np.cumsum(generator.integers(0, 5, (B, L + 1)), axis=1) % V).astype(np.int32)
        for _ in range(STEPS)
    ]


@pytest.mark.long
def test_losses_follow_torch(recipe):
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: no CPU build of it for this Python (make torch)"
    )
    mesh = sharding.make_mesh(recipe.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        adamw = optimizer.make_optimizer(recipe.optimizer, STEPS)
        schedule = optimizer.make_schedule(recipe.optimizer, STEPS)
        state = step.init_state(
            recipe.model, adamw, step.abstract_state(recipe.model, adamw, mesh), 0
        )
        twin = torch_twin(recipe.model, jax.device_get(state["params"])).train()
        train_step = step.make_train_step(recipe, adamw, schedule, 1)
        ours = []
        for tokens in batches():
            constant = {
                "length": jnp.full(B, L + 1, jnp.int32),
                "source": jnp.zeros(B, jnp.int32),
                "stop": jnp.zeros(B, jnp.int32),
            }
            state, scalars = train_step(state, {"tokens": jnp.asarray(tokens), **constant})
            ours.append(float(scalars["loss"]))

    c = recipe.optimizer
    decayed = [p for name, p in twin.named_parameters() if "norm" not in name]
    norms = [p for name, p in twin.named_parameters() if "norm" in name]
    torch_adamw = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": c.weight_decay},
            {"params": norms, "weight_decay": 0.0},
        ],
        lr=1.0,
        betas=(c.b1, c.b2),
        eps=c.eps,
    )
    theirs = []
    for number, tokens in enumerate(batches()):
        for group in torch_adamw.param_groups:
            group["lr"] = float(schedule(number))
        x = torch.tensor(tokens, dtype=torch.long)
        loss = torch.nn.functional.cross_entropy(
            twin(x[:, :-1]).logits.reshape(-1, V), x[:, 1:].reshape(-1)
        )
        torch_adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), c.clip_norm)
        torch_adamw.step()
        theirs.append(loss.item())

    assert theirs[0] - theirs[-1] > 1.0
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
