"""Steps that are skipped: planted spikes, what is not finite, and what goes on meanwhile."""

import contextlib
import dataclasses
import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from divsyn_jax.base.commandline import Failure
from divsyn_jax.model import sharding
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.metrics import Reporter
from divsyn_jax.training.optimizer import make_optimizer
from tests.training.test_optimizer import config
from tests.training.test_step import small_recipe, text_batches

SETTINGS = config(warmup_steps=0, clip_norm=0.0, skip_spikes=6.0, spike_window=8)
START = {"head": jnp.ones((3, 4)), "final_norm": jnp.ones(3)}


def follow(losses, gradients, settings=SETTINGS):
    """Parameters and state after every step; gradients are given by their size."""
    tx = make_optimizer(settings, steps=100)
    params, state, update = START, tx.init(START), jax.jit(tx.update)
    found = []
    for loss, size in zip(losses, gradients, strict=True):
        given = jax.tree.map(lambda leaf, size=size: jnp.full_like(leaf, size), params)
        updates, state = update(given, state, params, loss=jnp.float32(loss))
        params = jax.tree.map(jnp.add, params, updates)
        found.append((params, state))
    return found


def noise(count, seed=0):
    return 1 + 0.01 * np.random.default_rng(seed).standard_normal(count)


def skipped(found):
    return [int(state.skipped) for _, state in found]


def moments(state):
    return [leaf for leaf in jax.tree.leaves(state.inner) if leaf.ndim]


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("value", [50.0, math.inf, math.nan])
def test_a_planted_spike_is_skipped_and_counted(what, value):
    losses, gradients = noise(20), noise(20, seed=1)
    (losses if what == "loss" else gradients)[12] = value
    found = follow(losses, gradients)
    assert skipped(found) == [0] * 12 + [1] * 8
    (before, was), (after, now) = found[11], found[12]
    for name in START:
        np.testing.assert_array_equal(before[name], after[name])
    for one, other in zip(moments(was), moments(now), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found[-1]))
    assert not np.array_equal(after["head"], found[13][0]["head"])


def test_noise_is_no_spike_and_steps_equal_those_without_the_rule():
    losses, gradients = noise(40), noise(40, seed=1)
    with_rule = follow(losses, gradients)
    assert skipped(with_rule)[-1] == 0
    plain = make_optimizer(dataclasses.replace(SETTINGS, skip_spikes=0.0), steps=100)
    params, state = START, plain.init(START)
    for size in gradients:
        given = jax.tree.map(lambda leaf, size=size: jnp.full_like(leaf, size), params)
        updates, state = jax.jit(plain.update)(given, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    np.testing.assert_allclose(with_rule[-1][0]["head"], params["head"], rtol=1e-6)


def test_nothing_is_judged_before_half_a_window():
    losses = np.array([1.0, 1.01, 99.0, 1.0, 1.01, 1.0, 1.01, 1.0, 1.01, 1.0, 99.0])
    assert skipped(follow(losses, noise(11)))[-1] == 0  # the first spike widens the window
    early = follow([1.0, math.nan, 1.0], noise(3))
    assert skipped(early) == [0, 1, 1]  # what is not finite is never taken
    assert int(early[-1][1].seen) == 2


def test_a_lasting_change_of_level_is_got_used_to():
    found = follow(np.concatenate([noise(10), 3 * noise(20)]), noise(30))
    assert 1 <= skipped(found)[-1] <= 4


def test_the_schedule_goes_on_in_a_skipped_step():
    def is_of_schedule(node):
        return isinstance(node, optax.ScaleByScheduleState)

    def count(state):
        parts = jax.tree.leaves(state.inner, is_leaf=is_of_schedule)
        return next(int(part.count) for part in parts if is_of_schedule(part))

    losses = noise(12)
    losses[9] = math.nan
    found = follow(losses, noise(12))
    assert [count(state) for _, state in found] == list(range(1, 13))


def recipe(**changes):
    made = small_recipe()
    settings = dataclasses.replace(
        made.optimizer, name="muon", skip_spikes=6.0, spike_window=4, schedule="wsd"
    )
    model = dataclasses.replace(made.model, qk_norm=True, initialization="fan_in")
    return dataclasses.replace(made, model=model, optimizer=settings, **changes)


@pytest.mark.long
def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path):
    """Moments, window and count go through a checkpoint."""
    made = recipe()
    mesh = sharding.make_mesh(made.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        tx = make_optimizer(made.optimizer, made.steps)
        schedule = optimizer.make_schedule(made.optimizer, made.steps)
        abstract = step.abstract_state(made.model, tx, mesh)
        train_step = step.make_train_step(made, tx, schedule, 1)
        batches = [batch for _, batch in zip(range(6), text_batches(), strict=False)]

        def advance(state, some):
            for batch in some:
                state, scalars = train_step(state, batch)
            return state, scalars

        state, _ = advance(step.init_state(made.model, tx, abstract, 0), batches[:3])
        with contextlib.closing(Checkpoints(tmp_path, 2, 0)) as checkpoints:
            checkpoints.save(state, {"step": 3})
        whole, scalars = advance(state, batches[3:])
        assert int(scalars["skipped_steps"]) == int(whole["opt_state"].skipped)
        with contextlib.closing(Checkpoints(tmp_path, 2, 0)) as checkpoints:
            restored, progress = checkpoints.restore_latest(abstract)
        assert progress["step"] == 3
        resumed, _ = advance(restored, batches[3:])
    assert int(whole["opt_state"].seen) == 6
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_log_counts_what_was_skipped_and_stops_where_nothing_is_finite(tmp_path):
    mixture = types.SimpleNamespace(
        sources=[types.SimpleNamespace(name="text")], windows=[range(100)]
    )
    progress = {"step": 0, "rows": [0], "in_steps": 0.0, "started": 0.0}
    reporter = Reporter(tmp_path, recipe(), mixture, progress, enabled=True)

    def scalars(loss, count):
        return {
            "loss": loss, "grad_norm": 1.0, "learning_rate": 1e-3, "targets": 8, "stop": 0,
            "rows_S": np.array([8]), "skipped_steps": count,
        }  # fmt: skip

    reporter.settle(1, scalars(2.0, 0))
    for number in (2, 3, 4):
        reporter.settle(number, scalars(math.nan, number - 1))
    with pytest.raises(Failure, match="step 5: loss nan"):
        reporter.settle(5, scalars(math.nan, 4))
    reporter.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["skipped_steps"] for line in lines] == [0, 1, 2, 3]
    assert [line.get("loss") for line in lines] == [2.0, None, None, None]
