"""Muon: its updates against an implementation of its own in NumPy, and who gets which rule."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh, AxisType

from divsyn_jax.model import decoder, parameters, sharding
from divsyn_jax.training import step
from divsyn_jax.training.optimizer import make_optimizer
from tests.model.test_decoder import TINY
from tests.training.test_optimizer import config

MUON = config(name="muon", schedule="constant", peak_lr=1e-2, warmup_steps=0, clip_norm=0.0)
SHAPES = {
    "embedding": (11, 6),
    "final_norm": (6,),
    "head": (11, 6),
    "layers": {
        "query": (3, 6, 2, 4),  # layers, width, heads, head width
        "attention_out": (3, 2, 4, 6),
        "gate": (3, 6, 10),
        "down": (3, 10, 6),
        "mlp_norm": (3, 6),
    },
}
# The matrices of a layer as rows (what the product sums over) and columns.
ROWS_AND_COLUMNS = {"query": (6, 8), "attention_out": (8, 6), "gate": (6, 10), "down": (10, 6)}


def drawn(seed):
    generator = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: generator.standard_normal(shape).astype(np.float32),
        SHAPES,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def orthogonalized(matrix):
    """Five steps of the quintic Newton-Schulz iteration of Jordan et al. 2024."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def train(settings, steps=4):
    """Parameters after some steps along drawn gradients, and the last state."""
    tx = make_optimizer(settings, steps=10)
    params = jax.tree.map(jnp.asarray, drawn(0))
    state, update = tx.init(params), jax.jit(tx.update)
    for number in range(1, steps + 1):
        updates, state = update(drawn(number), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.fixture(scope="module")
def trained():
    return train(MUON)[0]


@pytest.mark.parametrize("name", sorted(ROWS_AND_COLUMNS))
def test_matrices_move_as_an_own_newton_schulz_says(trained, name):
    """Each layer by itself; heads side by side in one matrix; decoupled decay; RMS of 0.2."""
    rows, columns = ROWS_AND_COLUMNS[name]
    for layer in range(3):
        weight = drawn(0)["layers"][name][layer].reshape(rows, columns).astype(np.float64)
        momentum, beta = np.zeros((rows, columns)), 0.95
        for number in range(1, 5):
            gradient = drawn(number)["layers"][name][layer].reshape(rows, columns)
            momentum = beta * momentum + (1 - beta) * gradient
            # Nesterov: a step ahead of the momentum, each part with its own correction of bias.
            ahead = beta * momentum / (1 - beta ** (number + 1)) + (1 - beta) * gradient / (
                1 - beta**number
            )
            move = 0.2 * max(rows, columns) ** 0.5 * orthogonalized(ahead)
            weight -= 1e-2 * (move + 0.1 * weight)
        np.testing.assert_allclose(
            trained["layers"][name][layer].reshape(rows, columns), weight, rtol=1e-4, atol=1e-5
        )


def test_an_update_has_the_size_that_is_asked_for():
    """Singular values of the iteration lie about one, so the size is met within a third."""
    start = drawn(0)["layers"]["gate"]
    for rms in (0.2, 0.4):
        settings = config(
            name="muon", schedule="constant", warmup_steps=0, weight_decay=0.0, matrix_rms=rms
        )
        moved = np.asarray(train(settings, steps=1)[0]["layers"]["gate"]) - start
        assert np.sqrt(np.mean(moved**2)) == pytest.approx(rms, rel=0.35)


def test_the_rest_moves_as_under_adamw(trained):
    adamw, _ = train(config(schedule="constant", peak_lr=1e-2, warmup_steps=0, clip_norm=0.0))
    for name in ("embedding", "head", "final_norm"):
        np.testing.assert_array_equal(trained[name], adamw[name])
    np.testing.assert_array_equal(trained["layers"]["mlp_norm"], adamw["layers"]["mlp_norm"])
    assert np.abs(trained["layers"]["gate"] - adamw["layers"]["gate"]).max() > 1e-3


def test_state_is_laid_out_as_the_parameters_are():
    """One moment of a matrix, two of the rest; on a mesh that exists on paper only."""
    mesh = AbstractMesh((1, 4, 2), sharding.MESH_AXES, axis_types=(AxisType.Auto,) * 3)
    tx = make_optimizer(config(name="muon", skip_spikes=6.0), steps=200)
    state = step.abstract_state(dataclasses.replace(TINY, vocab_size=104), tx, mesh)
    where = {"mu": {}, "nu": {}}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state["opt_state"]):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        moment = next((key for key in where if f"/{key}/" in name), None)
        if moment:
            where[moment][name.split(f"/{moment}/")[1]] = leaf.sharding.spec
        else:
            assert not any(leaf.sharding.spec), name
    params = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.sharding.spec
        for path, leaf in jax.tree_util.tree_leaves_with_path(state["params"])
    }
    matrices = {name for name in params if parameters.PARAMETERS[name].inputs}
    assert where["mu"] == params
    assert where["nu"] == {name: spec for name, spec in params.items() if name not in matrices}
    assert len(matrices) == 7


@pytest.mark.long
def test_a_fresh_model_by_fans_keeps_sizes_and_starts_as_the_identity():
    wide = dataclasses.replace(TINY, hidden=192, initialization="fan_in")
    params = jax.jit(lambda: decoder.init_params(wide, 0))()
    layers = params["layers"]
    assert np.std(layers["query"]) == pytest.approx(192**-0.5, rel=0.02)
    # Two heads of keys for four of queries: half as many outputs as inputs.
    assert np.std(layers["key"]) == pytest.approx(0.5**0.5 * 192**-0.5, rel=0.02)
    assert not np.any(layers["attention_out"])
    assert not np.any(layers["down"])
    assert np.std(params["embedding"]) == pytest.approx(0.02, rel=0.02)
    with pytest.raises(ValueError, match="initialization='xavier' is unknown"):
        dataclasses.replace(TINY, initialization="xavier")
