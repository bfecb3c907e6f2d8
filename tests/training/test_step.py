"""The training step on plain text takes the steps it took before it learned conversations; what it
counts on those.
"""

import dataclasses

import jax
import numpy as np
import pytest

from configs import tiny
from divsyn_jax.model import sharding
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.metrics import flops_per_token
from divsyn_jax.training.recipe import Recipe

# Losses and gradient norms of commit 7a123fe, before packed windows.
GOLDEN = [
    (4.136205673217773, 1.0002751350402832),
    (4.113143444061279, 0.9008922576904297),
    (4.072383403778076, 0.7524983286857605),
    (4.011178493499756, 0.9700681567192078),
    (3.9854776859283447, 0.8799929022789001),
    (4.006125450134277, 0.8856641054153442),
]


# Losses of commit bfe1ee6, before there was another optimizer: the paper's recipe in all but size.
GOLDEN_LOSSES = [
    *(4.136205673217773, 4.132763385772705, 4.116178512573242, 4.076178550720215),
    *(4.040733337402344, 4.033122539520264, 3.931793212890625, 3.8986268043518066),
    *(3.8383686542510986, 3.8117873668670654, 3.840512752532959, 3.7162461280822754),
    *(3.713170051574707, 3.691349744796753, 3.6908509731292725, 3.6402227878570557),
    *(3.6080570220947266, 3.6125781536102295, 3.58976149559021, 3.604292154312134),
]


def small_recipe(**changes) -> Recipe:
    config = tiny.get_config()
    config.model.update(
        vocab_size=64, hidden=32, intermediate=64, heads=2, kv_heads=1, attention="blocked"
    )
    config.optimizer.update(warmup_steps=2)
    config.loss.update(chunk=8, z_loss=1e-4)
    config.update(steps=6, global_batch=8, seq_len=32, **changes)
    return Recipe.from_config(config.to_dict())


def text_batches():
    generator = np.random.default_rng(0)
    while True:
        yield {
            "tokens": (np.cumsum(generator.integers(0, 5, (8, 33)), axis=1) % 64).astype(np.int32),
            "length": generator.integers(4, 34, 8).astype(np.int32),
            "source": np.zeros(8, np.int32),
            "stop": np.zeros(8, np.int32),
        }


def scalars_of(recipe, batches):
    mesh = sharding.make_mesh(recipe.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
        schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
        state = step.init_state(
            recipe.model, adamw, step.abstract_state(recipe.model, adamw, mesh), 0
        )
        train_step = step.make_train_step(recipe, adamw, schedule, 1)
        for _, batch in zip(range(recipe.steps), batches, strict=False):
            state, scalars = train_step(state, batch)
            yield jax.device_get(scalars)


@pytest.mark.long
@pytest.mark.parametrize("accumulation", [1, 2])
def test_plain_text_trains_as_before(accumulation):
    found = [
        (float(scalars["loss"]), float(scalars["grad_norm"]))
        for scalars in scalars_of(small_recipe(accumulation_steps=accumulation), text_batches())
    ]
    np.testing.assert_allclose(found, GOLDEN, rtol=2e-5)


@pytest.mark.long
def test_the_papers_recipe_trains_as_before():
    recipe = small_recipe()
    recipe = dataclasses.replace(
        recipe,
        steps=20,
        optimizer=dataclasses.replace(recipe.optimizer, warmup_steps=5),
        loss=dataclasses.replace(recipe.loss, z_loss=0.0),
    )
    found = list(scalars_of(recipe, text_batches()))
    np.testing.assert_allclose([s["loss"] for s in found], GOLDEN_LOSSES, rtol=2e-5)
    assert "skipped_steps" not in found[-1]


def test_conversations_are_counted_without_padding():
    lengths = [[5, 20], [32], [1, 2, 3]]
    rows = [
        np.pad(np.concatenate([np.full(n, k) for k, n in enumerate(row, 1)]), (0, 32 - sum(row)))
        for row in lengths
    ]
    segments = np.array([*rows, *np.zeros((5, 32))], np.int32)
    positions = np.array(
        [np.pad(np.concatenate([np.arange(n) for n in row]), (0, 32 - sum(row))) for row in lengths]
        + [np.zeros(32)] * 5,
        np.int32,
    )
    batch = next(text_batches())
    windows = {
        "inputs": batch["tokens"][:, :-1],
        "targets": batch["tokens"][:, 1:],
        "loss_mask": (segments == 2).astype(np.int32),
        "segments": segments,
        "positions": positions,
    }
    source = np.array([0, 0, 0, -1, -1, -1, -1, -1], np.int32)
    recipe = small_recipe()
    scalars = next(scalars_of(recipe, iter([{**windows, "source": source, "stop": batch["stop"]}])))
    flat = [n for row in lengths for n in row]
    assert (scalars["targets"], scalars["inputs"], list(scalars["rows_S"])) == (
        20 + 2,
        sum(flat),
        [3],
    )
    # What the convention gives for a conversation alone, summed over conversations.
    alone = sum(n * flops_per_token(recipe.model, n) for n in flat)
    assert scalars["inputs"] * flops_per_token(
        recipe.model, float(scalars["context"])
    ) == pytest.approx(alone, rel=1e-6)
