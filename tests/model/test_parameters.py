"""The table of parameters holds each of the model's, and one that it lacks is refused by name."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface import llama
from divsyn_jax.model import decoder, parameters, sharding
from divsyn_jax.training.optimizer import make_optimizer
from divsyn_jax.training.recipe import OptimizerConfig
from tests.model.test_decoder import TINY

MESH = AbstractMesh((1, 1, 1), sharding.MESH_AXES, axis_types=(AxisType.Auto,) * 3)
FULL = dataclasses.replace(TINY, qkv_bias=True, qk_norm=True)  # with every optional parameter
PARAMS = jax.eval_shape(lambda: decoder.init_params(FULL, 0))


def paths(params) -> set[str]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves}


def lay_out(params):
    sharding.state_shardings(params, MESH)


def lay_out_moments(params):
    """Moments alone, as of an optimizer that has no mask for what is decayed."""
    import optax

    sharding.state_shardings(
        {"opt_state": jax.eval_shape(optax.scale_by_adam().init, params)}, MESH
    )


def optimize(params):
    tx = make_optimizer(OptimizerConfig(peak_lr=1e-3), steps=200)
    jax.eval_shape(tx.init, params)


READERS = [lay_out, lay_out_moments, optimize, llama.slices]


def test_every_parameter_has_its_row_and_no_row_is_idle():
    assert paths(PARAMS) == set(parameters.PARAMETERS)
    tied = jax.eval_shape(lambda: decoder.init_params(dataclasses.replace(FULL, tied=True), 0))
    assert paths(tied) == set(parameters.PARAMETERS) - {"head"}


def test_norm_scales_and_biases_alone_are_not_decayed():
    small = ("query_bias", "key_bias", "value_bias", "query_norm", "key_norm")
    undecayed = {name for name, row in parameters.PARAMETERS.items() if not row.decayed}
    norms = {"final_norm", "layers/attention_norm", "layers/mlp_norm"}
    assert undecayed == norms | {f"layers/{name}" for name in small}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["layers/up", "layers/mlp_norm", "final_norm", "head"])
def test_a_row_that_is_missing_is_named(monkeypatch, read, name):
    read(PARAMS)
    monkeypatch.delitem(parameters.PARAMETERS, name)
    with pytest.raises(
        UserError, match=f"parameter '{name}' is not in the table of .*parameters.py"
    ):
        read(PARAMS)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "path", [("layers", "router"), ("norm_of_router",), ("layers", "embedding")]
)
def test_a_new_parameter_is_named(read, path):
    """Also one whose name holds that of another, or stands elsewhere in the tree."""
    params = {**PARAMS, "layers": dict(PARAMS["layers"])}
    place = params["layers"] if len(path) == 2 else params
    place[path[-1]] = jax.ShapeDtypeStruct((TINY.layers, 8, 4), jnp.float32)
    with pytest.raises(UserError, match=f"parameter '{'/'.join(path)}' is not in the table"):
        read(params)
