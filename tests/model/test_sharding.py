"""Where the arrays of every preset live, and what a mesh that cannot be says."""

import dataclasses
import itertools
import runpy

import jax
import pytest
from jax.sharding import AbstractMesh, AxisType

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model import sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.model.sharding import MESH_AXES
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.recipe import Recipe

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
    ("name", "sizes"),
    [("tiny", (1, 8, 1)), ("350m", (1, 16, 1)), ("350m", (2, 8, 1)), ("1_4b", (2, 16, 4))],
)
def test_every_preset_is_laid_out_by_the_table(name, sizes):
    found = layout(preset(name), *sizes)
    assert {
        path.removeprefix("params/"): spec
        for path, spec in found.items()
        if path.startswith("params/")
    } == EXPECTED
    # Both moments of every parameter lie where it lies; counters are everywhere.
    for moment in ("mu", "nu"):
        moments = {
            path.split(f"/{moment}/")[1]: spec
            for path, spec in found.items()
            if f"/{moment}/" in path
        }
        assert moments == EXPECTED
    assert found["step"] == ()


def test_a_head_count_that_does_not_split_is_named():
    with pytest.raises(
        UserError, match=r"mesh.tensor=2 does not divide the 15 heads of parameter 'attention_out'"
    ):
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


@dataclasses.dataclass(frozen=True)
class Device:
    """What JAX reads of a device when it arranges a mesh."""

    id: int
    platform: str
    device_kind: str
    process_index: int
    slice_index: int
    coords: tuple[int, int, int] = (0, 0, 0)
    core_on_chip: int = 0


def gpus(machines: int, each: int) -> list[Device]:
    """One process a machine; JAX calls a machine a slice."""
    return [Device(i, "gpu", "NVIDIA H200", i // each, i // each) for i in range(machines * each)]


def tpus(kind: str, slices: int = 1) -> list[Device]:
    """Slices of 4x4 chips, 2x2 of them on a host."""
    return [
        Device(index, "tpu", kind, 4 * number + 2 * (y // 2) + x // 2, number, (x, y, 0))
        for index, (number, y, x) in enumerate(itertools.product(range(slices), range(4), range(4)))
    ]


def slices_along(mesh) -> list[list[set[int]]]:
    """By replica and fsdp: the slices whose devices hold that part."""
    return [
        [{device.slice_index for device in part} for part in replica] for replica in mesh.devices
    ]


@pytest.mark.parametrize(
    "devices", [gpus(2, 16), tpus("TPU v5 lite", slices=2)], ids=["gpu", "tpu"]
)
def test_replica_then_fsdp_goes_across_slices_and_tensor_never(devices):
    mesh = sharding.make_mesh(MeshConfig(replica=2, fsdp=-1, tensor=2), devices)
    assert slices_along(mesh) == [[{0}] * 8, [{1}] * 8]
    assert mesh.axis_types == (AxisType.Auto,) * 3
    mesh = sharding.make_mesh(MeshConfig(replica=1, fsdp=-1, tensor=4), devices)
    assert slices_along(mesh) == [[{0}] * 4 + [{1}] * 4]
    mesh = sharding.make_mesh(MeshConfig(replica=4, fsdp=-1, tensor=1), devices)
    assert slices_along(mesh) == [[{0}] * 8] * 2 + [[{1}] * 8] * 2


def test_a_replica_may_take_several_slices():
    mesh = sharding.make_mesh(MeshConfig(replica=2, fsdp=-1, tensor=1), gpus(4, 2))
    assert slices_along(mesh) == [[{0}, {0}, {1}, {1}], [{2}, {2}, {3}, {3}]]
    assert sorted(device.id for device in mesh.devices.flat) == list(range(8))


def test_a_tensor_axis_across_slices_is_refused():
    with pytest.raises(
        UserError, match=r"over 2 slices .* make --config.mesh.replica a multiple of 2"
    ):
        sharding.make_mesh(MeshConfig(replica=1, fsdp=1, tensor=-1), gpus(2, 8))


@pytest.mark.parametrize("slices", [1, 2])
def test_axes_that_would_split_those_of_the_slice_are_refused(slices):
    devices = tpus("TPU v6 lite", slices)
    assert sharding.make_mesh(MeshConfig(slices, -1, 4), devices).devices.shape == (slices, 4, 4)
    with pytest.raises(
        UserError, match=r"'tensor': 2}: on TPU v6 lite .* whole axes of the slice of 4x4x1"
    ):
        sharding.make_mesh(MeshConfig(slices, -1, 2), devices)


def test_rows_must_split():
    mesh = sharding.make_mesh(MeshConfig(2, 4, 1), gpus(1, 8))
    sharding.check_rows(mesh, 16, "global_batch")
    with pytest.raises(UserError, match="global_batch=12 does not split over 8 devices"):
        sharding.check_rows(mesh, 12, "global_batch")


def test_rows_that_two_processes_would_feed_are_refused():
    for sizes in ((1, 2, 4), (2, 4, 1)):
        sharding.check_rows(sharding.make_mesh(MeshConfig(*sizes), gpus(2, 4)), 16, "global_batch")
    hosts = tpus("TPU v5 lite")
    sharding.check_rows(sharding.make_mesh(MeshConfig(1, 16, 1), hosts), 16, "global_batch")
    # As many shards of rows as there are hosts, but each shard on two of them.
    mesh = sharding.make_mesh(MeshConfig(1, 4, 4), hosts)
    with pytest.raises(UserError, match=r"mesh.tensor=4 puts the same rows on processes \[0, 1\]"):
        sharding.check_rows(mesh, 16, "global_batch")


def test_processes_must_feed_equally_many_rows():
    uneven = [
        dataclasses.replace(device, process_index=device.id // 3, slice_index=0)
        for device in gpus(1, 4)
    ]
    with pytest.raises(UserError, match=r"mesh.fsdp is 4, .* not share evenly: {0: 3, 1: 1}"):
        sharding.check_rows(sharding.make_mesh(MeshConfig(1, 4, 1), uneven), 16, "global_batch")
