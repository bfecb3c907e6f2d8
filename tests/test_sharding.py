"""Where the arrays of every preset live, and what a mesh that cannot be says."""

import runpy

import jax
import pytest
from jax.sharding import AbstractMesh, AxisType

from divsyn_jax import optimizer, sharding, step
from divsyn_jax.commandline import UserError
from divsyn_jax.recipe import Recipe
from divsyn_jax.sharding import MESH_AXES, MeshConfig

EXPECTED = {
    "embedding": ("tensor", "fsdp"),
    "head": ("tensor", "fsdp"),
    "final_norm": (None,),
    "layers/attention_norm": (None, None),
    "layers/mlp_norm": (None, None),
    "layers/query": (None, "fsdp", "tensor", None),
    "layers/key": (None, "fsdp", "tensor", None),
    "layers/value": (None, "fsdp", "tensor", None),
    "layers/attention_out": (None, "tensor", None, "fsdp"),
    "layers/gate": (None, "fsdp", "tensor"),
    "layers/up": (None, "fsdp", "tensor"),
    "layers/down": (None, "tensor", "fsdp"),
}


def preset(name: str) -> Recipe:
    config = runpy.run_path(f"configs/{name}.py")["get_config"]()
    config.model.attention = "blocked"
    return Recipe.from_config(config.to_dict())


def layout(recipe: Recipe, *sizes: int):
    """Path -> partition spec of the whole train state, on a mesh that exists on paper only."""
    mesh = AbstractMesh(sizes, MESH_AXES, axis_types=(AxisType.Auto,) * 3)
    adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
    state = step.abstract_state(recipe.model, adamw, mesh)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.sharding.spec)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


@pytest.mark.parametrize(
    ("name", "sizes"), [("tiny", (1, 8, 1)), ("350m", (1, 16, 1)), ("350m", (2, 8, 1)), ("1_4b", (2, 16, 4))]
)
def test_every_preset_is_laid_out_by_the_table(name, sizes):
    found = layout(preset(name), *sizes)
    assert {
        path.removeprefix("params/"): spec for path, spec in found.items() if path.startswith("params/")
    } == EXPECTED
    # Both moments of every parameter lie where it lies; counters are everywhere.
    for moment in ("mu", "nu"):
        moments = {path.split(f"/{moment}/")[1]: spec for path, spec in found.items() if f"/{moment}/" in path}
        assert moments == EXPECTED
    assert found["step"] == ()


def test_a_head_count_that_does_not_split_is_named():
    with pytest.raises(UserError, match=r"mesh.tensor=2 does not divide the 15 heads of parameter 'attention_out'"):
        layout(preset("350m"), 1, 4, 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2, 1, 1), "do not multiply"),
        ((-1, -1, 1), "at most one -1"),
        ((0, 1, 1), "positive"),
        ((3, -1, 1), "do not divide"),
    ],
)
def test_impossible_meshes_are_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        sharding.make_mesh(MeshConfig(*sizes), jax.devices()[:1])


def test_rows_must_split():
    mesh = AbstractMesh((2, 4, 1), MESH_AXES, axis_types=(AxisType.Auto,) * 3)
    sharding.check_rows(mesh, 16, "global_batch")
    with pytest.raises(UserError, match="global_batch=12 does not split over 8 devices"):
        sharding.check_rows(mesh, 12, "global_batch")


def test_a_tensor_axis_across_processes_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    sharding.check_rows(AbstractMesh((1, 2, 4), MESH_AXES, axis_types=(AxisType.Auto,) * 3), 16, "global_batch")
    mesh = AbstractMesh((1, 1, 8), MESH_AXES, axis_types=(AxisType.Auto,) * 3)
    with pytest.raises(UserError, match="fsdp is 1, which 2 processes do not share evenly"):
        sharding.check_rows(mesh, 16, "global_batch")
