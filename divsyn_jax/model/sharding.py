"""Where every array lives:

the device mesh, one rules table, and the shardings that follow from it.
"""

import collections
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.model.parameters import LAYERS, find_parameter

MESH_AXES = ("replica", "fsdp", "tensor")

_ROWS = ("replica", "fsdp")  # the mesh axes that rows of a batch are split over
# Logical axis -> mesh axes. Norm scales are too small to be worth splitting.
RULES: dict[str, str | tuple[str, ...] | None] = {
    "batch": _ROWS,
    "embed": "fsdp",
    "vocab": "tensor",
    "heads": "tensor",
    "kv_heads": "tensor",
    "mlp": "tensor",
    "head_dim": None,
    "norm": None,
    "layers": None,
}


def make_mesh(config: MeshConfig, on: Sequence[Any] | None = None) -> Mesh:
    """The mesh over all devices, or `on` those given (of a slice described, not attached).

    Of several slices (to JAX the GPUs of a machine are one), replica goes across them first, then
    fsdp: tensor never does. Raises `UserError` when the sizes do not multiply to the number of
    devices, or cannot be laid over them."""
    sizes = [config.replica, config.fsdp, config.tensor]
    devices = jax.devices() if on is None else on
    if sizes.count(-1) > 1 or any(size == 0 or size < -1 for size in sizes):
        raise UserError(f"{_named(sizes)}: positive numbers, at most one -1")
    if -1 in sizes:
        known = -(sizes[0] * sizes[1] * sizes[2])
        if len(devices) % known:
            raise UserError(f"{_named(sizes)} do not divide the {len(devices)} devices")
        sizes[sizes.index(-1)] = len(devices) // known
    if math.prod(sizes) != len(devices):
        raise UserError(f"{_named(sizes)} do not multiply to the {len(devices)} devices")
    axis_types = (AxisType.Auto,) * len(MESH_AXES)
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    try:
        if slices == 1:
            return jax.make_mesh(sizes, MESH_AXES, axis_types=axis_types, devices=devices)
        return Mesh(_across_slices(sizes, slices, devices), MESH_AXES, axis_types=axis_types)
    except NotImplementedError:  # JAX splits a slice's own axes between ours on v5e only
        shape = "x".join(
            str(len(set(along)))
            for along in zip(*(device.coords for device in devices), strict=True)
        )
        raise UserError(
            f"{_named(sizes)}: on {devices[0].device_kind} each must take whole axes of the slice"
            f" of {shape}; choose another --config.mesh.tensor"
        ) from None


def _named(sizes: Sequence[int]) -> str:
    return f"mesh sizes {dict(zip(MESH_AXES, sizes, strict=True))}"


def _across_slices(sizes: Sequence[int], slices: int, devices: Sequence[Any]) -> np.ndarray:
    """The devices of several slices in the shape `sizes`; neighbours along an axis are in one slice
    as far as they can.
    """
    replica, fsdp, tensor = sizes
    replica_slices = math.gcd(replica, slices)
    fsdp_slices = slices // replica_slices
    if fsdp % fsdp_slices:
        raise UserError(
            f"{_named(sizes)} do not split over {slices} slices (TPU slices, or machines with"
            f" GPUs); make --config.mesh.replica a multiple of {slices}"
        )
    return mesh_utils.create_hybrid_device_mesh(
        (replica // replica_slices, fsdp // fsdp_slices, tensor),
        (replica_slices, fsdp_slices, 1),
        devices,
        allow_split_physical_axes=devices[0].device_kind
        in ("TPU v5 lite", "TPU v5e"),  # as jax.make_mesh does
    )


def check_rows(mesh: Mesh, rows: int, name: str) -> None:
    """Raise `UserError` when `rows` rows of a batch, called `name`, do not split over replica and
    fsdp.

    Or when two processes would feed the same rows, as where the tensor axis spans them: each reads
    rows of its own."""
    splits = mesh.shape["replica"] * mesh.shape["fsdp"]
    shards: dict[int, int] = collections.Counter()  # of the rows, by the process that feeds them
    for devices in mesh.devices.reshape(splits, -1):
        processes = sorted({device.process_index for device in devices})
        if len(processes) > 1:
            raise UserError(
                f"mesh.tensor={mesh.shape['tensor']} puts the same rows on processes {processes},"
                " and each reads rows of its own; choose a smaller --config.mesh.tensor, which"
                " stays within a process"
            )
        shards[processes[0]] += 1
    if len(set(shards.values())) > 1:
        raise UserError(
            f"mesh.replica x mesh.fsdp is {splits}, which the processes do not share evenly: "
            f"{dict(sorted(shards.items()))}; give every process as many devices"
        )
    if rows % splits:
        raise UserError(
            f"{name}={rows} does not split over {splits} devices (mesh.replica x mesh.fsdp); choose"
            " a multiple"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows split over replica and fsdp."""
    return NamedSharding(mesh, PartitionSpec(RULES["batch"]))


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """`x` laid out by the rules for its logical axes (None: whole); without a mesh, or inside
    shard_map, `x` as it is.

    Left to itself the compiler takes the layout of activations from the parameters: under fsdp it
    would split the hidden axis, compute every row on every device and sum activations instead of
    gathering weights."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_manual:
        return x
    return jax.lax.with_sharding_constraint(
        x, PartitionSpec(*(RULES[axis] if axis else None for axis in axes))
    )


def row_shards() -> int:
    """Number of devices that the rows of a batch are split over; 1 without a mesh, or inside
    shard_map.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_manual:
        return 1
    return math.prod(mesh.shape[axis] for axis in _ROWS)


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(state: Any, mesh: Mesh) -> Any:
    """A NamedSharding for every leaf of a train state (parameters, optimizer moments, counters).

    A moment of the optimizer is laid out like its parameter; its numbers, such as counters, and
    what it keeps outside of a tree of parameters, such as a window of losses, are on every device.
    Raises `UserError` when a dimension does not split over its mesh axes, naming both, and for an
    array that is no parameter of the table (divsyn_jax/model/parameters.py)."""

    def sharding(path: tuple, leaf: Any) -> NamedSharding:
        keys = _parameter_keys(path)
        if not leaf.shape or not keys:
            return replicated(mesh)
        axes = find_parameter(keys).axes
        if keys[0] == LAYERS:
            axes = ("layers", *axes)
        spec = [RULES[axis] for axis in axes]
        for axis, mesh_axis, size in zip(axes, spec, leaf.shape, strict=True):
            if isinstance(mesh_axis, str) and size % mesh.shape[mesh_axis]:
                raise UserError(
                    f"mesh.{mesh_axis}={mesh.shape[mesh_axis]} does not divide the {size} {axis} of"
                    f" parameter {keys[-1]!r}; choose a divisor of {size}"
                )
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree_util.tree_map_with_path(sharding, state)


def _parameter_keys(path: tuple) -> tuple[str, ...]:
    """The keys of a parameter in its tree, which a train state holds several of: what follows the
    last step of `path` that is no key of a dict, without the name of the state's part.
    """
    keys: tuple[str, ...] = ()
    for entry in path:
        keys = (*keys, entry.key) if isinstance(entry, jax.tree_util.DictKey) else ()
    return keys[1:] if keys[:1] == ("params",) else keys


def describe(state: Any) -> list[dict[str, Any]]:
    """One record a leaf: path, shape, dtype and partition spec, for the run directory."""
    return [
        {
            "path": jax.tree_util.keystr(path, simple=True, separator="/"),
            "shape": list(leaf.shape),
            "dtype": str(leaf.dtype),
            "spec": [
                list(entry) if isinstance(entry, tuple) else entry for entry in leaf.sharding.spec
            ],
        }
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]
