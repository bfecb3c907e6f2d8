"""Runs in a process of its own with eight virtual CPU devices; prints one JSON object.

For every layout and variant: the losses of 20 steps at a constant rate and the gradient of the
first batch, as relative differences from one device; for deliberately wrong variants too, which
must be far off. Variants run on one device and with fsdp; with the argument `every`, in every
layout; with the argument `muon`, Muon alone, with the rule for spikes; with `modern`, what
configs/modern.py makes of a model besides."""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from configs import tiny
from divsyn_jax.model import sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.recipe import Recipe

LAYOUTS = {
    "data": MeshConfig(replica=8, fsdp=1, tensor=1),
    "fsdp": MeshConfig(replica=1, fsdp=8, tensor=1),
    "fsdp x tensor": MeshConfig(replica=1, fsdp=4, tensor=2),
    "replica x fsdp": MeshConfig(replica=2, fsdp=4, tensor=1),
    "replica x fsdp x tensor": MeshConfig(replica=2, fsdp=2, tensor=2),
}
STEPS, B, L, V = 20, 16, 32, 128


def recipe(**changes) -> Recipe:
    config = tiny.get_config()
    config.model.update(
        vocab_size=V,
        hidden=32,
        intermediate=64,
        layers=3,
        heads=4,
        kv_heads=2,
        attention="blocked",
        scan=True,
    )
    config.model.update(changes.pop("model", {}))
    config.optimizer.update(schedule="constant", peak_lr=1e-3, warmup_steps=0)
    config.optimizer.update(changes.pop("optimizer", {}))
    config.loss.chunk = changes.pop("chunk", 8)
    config.loss.update(changes.pop("loss", {}))
    config.update(steps=STEPS, global_batch=B, seq_len=L, **changes)
    config.eval.batch = B
    return Recipe.from_config(config.to_dict())


def batches():
    generator = np.random.default_rng(0)
    for _ in range(STEPS):
        # A biased bigram text, so that there is something to learn; rows of different length, so
        # that means differ.
        tokens = np.cumsum(generator.integers(0, 5, (B, L + 1)), axis=1) % V
        yield {
            "tokens": tokens.astype(np.int32),
            "length": generator.integers(4, L + 2, B).astype(np.int32),
            "source": np.zeros(B, np.int32),
            "stop": np.zeros(B, np.int32),
        }


def packed_batches():
    """The same text as conversations of two a row, of which the second halves are learned from."""
    generator = np.random.default_rng(1)
    for batch in batches():
        cut = generator.integers(8, L - 8, (B, 1))
        column, segments = np.arange(L), 1 + (np.arange(L) >= cut)
        yield {
            "inputs": batch["tokens"][:, :-1],
            "targets": batch["tokens"][:, 1:],
            "loss_mask": ((column < cut / 2) | (column > (cut + L) / 2)).astype(np.int32),
            "segments": segments.astype(np.int32),
            "positions": (column - (segments - 1) * cut).astype(np.int32),
            "source": batch["source"],
            "stop": batch["stop"],
        }


def by_sines(params):
    """Parameters far from the small start, so that every weight matters."""
    return jax.tree.map(
        lambda x: x + 0.1 * jnp.sin(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape), params
    )


def by_draws(params):
    """The same, of full rank.

    A matrix of sines is one of rank two. Where outputs start at zero it is all that the residual
    stream gets, and gradients then hang on the last bit of a weight: for 'fan_in' with normalised
    queries and keys, on one device, noise of 6e-8 in the weights moves the first gradient by
    1.5e-4, and by 1e-6 with matrices drawn at random.
    """
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return structure.unflatten(
        leaf + 0.1 * jax.random.normal(key, leaf.shape)
        for key, leaf in zip(keys, leaves, strict=True)
    )


def run(recipe: Recipe, layout: MeshConfig | None, batches=batches, moved=by_sines):
    """(losses of all steps, gradient of the first batch on the host); layout None is one device.

    Training begins at the parameters that `moved` makes of fresh ones.
    """
    one = MeshConfig(1, 1, 1)
    mesh = sharding.make_mesh(layout or one, None if layout else jax.devices()[:1])
    rows = sharding.batch_sharding(mesh)
    with jax.set_mesh(mesh):
        adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
        abstract = step.abstract_state(recipe.model, adamw, mesh)
        state = step.init_state(recipe.model, adamw, abstract, 0)
        state["params"] = moved(state["params"])
        state = jax.device_put(state, jax.tree.map(lambda leaf: leaf.sharding, abstract))
        feed = [
            {key: jax.device_put(value, rows) for key, value in batch.items()}
            for batch in batches()
        ]
        _, gradient = jax.jit(step.make_gradient(recipe))(state["params"], feed[0])
        gradient = jax.device_get(gradient)
        train_step = step.make_train_step(recipe, adamw, optax.constant_schedule(1e-3), 1)
        losses = []
        for batch in feed:
            state, scalars = train_step(state, batch)
            losses.append(float(scalars["loss"]))
        # A step that laid its state out anew would be compiled a second time.
        jax.tree.map(_same_layout, state, abstract)
    return losses, gradient


def _same_layout(leaf, wanted) -> None:
    assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim), (
        leaf.shape,
        leaf.sharding,
        wanted.sharding,
    )


def difference(one, other) -> dict[str, float]:
    (losses, gradient), (other_losses, other_gradient) = one, other

    def norm(tree) -> float:
        squares = (np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(tree))
        return float(np.sqrt(sum(squares)))

    gap = jax.tree.map(
        lambda a, b: np.asarray(a, np.float64) - np.asarray(b, np.float64), gradient, other_gradient
    )
    return {
        "loss": max(abs(a - b) / abs(a) for a, b in zip(losses, other_losses, strict=True)),
        "gradient": norm(gap) / norm(gradient),
    }


def wrong_normalisation(recipe: Recipe):
    """Each micro-batch divided by its own count, as a mean of means does."""
    whole = step.make_loss(recipe)
    return lambda params, windows, valid: whole(
        params, windows, jnp.sum(windows["length"] - 1) * jnp.float32(recipe.accumulation_steps)
    )


def wrong_sharding(recipe: Recipe):
    """Every device takes the mean of its own rows, and the means are averaged."""
    whole = step.make_loss(recipe)

    def loss(params, windows, valid):
        def on_device(params, windows):
            value, nll = whole(params, windows, jnp.sum(windows["length"] - 1).astype(jnp.float32))
            return jax.lax.pmean(value, "replica"), jax.lax.pmean(nll, "replica")

        rows = PartitionSpec("replica")
        return jax.shard_map(
            on_device, in_specs=(PartitionSpec(), rows), out_specs=PartitionSpec(), check_vma=False
        )(params, windows)

    return loss


def muon_in_layouts() -> dict[str, dict[str, float]]:
    """Muon against itself on one device; `run` checks that its state stays laid out as it was."""
    modern = recipe(optimizer={"name": "muon", "skip_spikes": 6.0})
    reference = run(modern, None)
    found = {
        f"muon {name}": difference(reference, run(modern, LAYOUTS[name]))
        for name in ("fsdp", "replica x fsdp x tensor")
    }
    return {**found, "learned": {"loss": reference[0][0] - reference[0][-1], "gradient": 0.0}}


def modern_in_layouts() -> dict[str, dict[str, float]]:
    """The modern recipe's model, loss and optimizer against themselves on one device."""
    modern = recipe(
        model={"initialization": "fan_in", "qk_norm": True},
        optimizer={"name": "muon", "skip_spikes": 6.0},
        loss={"z_loss": 1e-4},
    )
    reference = run(modern, None, moved=by_draws)
    found = {
        f"modern {name}": difference(reference, run(modern, LAYOUTS[name], moved=by_draws))
        for name in ("fsdp", "replica x fsdp x tensor")
    }
    return {**found, "learned": {"loss": reference[0][0] - reference[0][-1], "gradient": 0.0}}


def main() -> None:
    if "muon" in sys.argv[1:]:
        print(json.dumps(muon_in_layouts()))
        return
    if "modern" in sys.argv[1:]:
        print(json.dumps(modern_in_layouts()))
        return
    base = recipe()
    reference = run(base, None)
    found = {
        f"layout {name}": difference(reference, run(base, layout))
        for name, layout in LAYOUTS.items()
    }
    variants = {
        "accumulation": recipe(accumulation_steps=2),
        "unrolled": recipe(model={"scan": False}),
        "remat": recipe(model={"remat": "full"}),
        "whole loss": recipe(chunk=0),
    }
    for name, variant in variants.items():
        found[f"variant {name}"] = difference(reference, run(variant, None))
        for layout in LAYOUTS if "every" in sys.argv[1:] else ("fsdp",):
            found[f"variant {name}, {layout}"] = difference(
                reference, run(variant, LAYOUTS[layout])
            )
    packed = run(base, None, packed_batches)
    for name in ("replica x fsdp x tensor", "fsdp"):
        found[f"layout {name}, packed"] = difference(
            packed, run(base, LAYOUTS[name], packed_batches)
        )
    two = recipe(accumulation_steps=2)
    found["variant accumulation, packed"] = difference(packed, run(two, None, packed_batches))
    right = step.make_loss
    for name, wrong, layout, of in (
        ("normalisation", wrong_normalisation, None, two),
        ("sharding", wrong_sharding, LAYOUTS["data"], base),
    ):
        made = wrong(of)
        step.make_loss = lambda _, made=made: made
        found[f"wrong {name}"] = difference(reference, run(of, layout))
        step.make_loss = right
    found["learned"] = {"loss": reference[0][0] - reference[0][-1], "gradient": 0.0}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
