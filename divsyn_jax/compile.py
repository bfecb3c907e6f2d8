"""Ahead of time: does this recipe fit that TPU slice, and what will a step cost? Needs no TPU.

  python -m divsyn_jax.compile --config=configs/1_4b.py --topology=v5e:4x4
  python -m divsyn_jax.compile --config=configs/1_4b.py --topology=v5e:4x4 --search

compiles the real train step for the slice with libtpu on this machine's CPU and prints parameters,
bytes per device, FLOPs per step, collectives and a roofline. --search tries micro-batches, remat
policies and meshes and prints the best that fits.
Needs the extra `tpu` (make env-tpu): the libtpu that the installed jax release pins."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
# libtpu locks the machine's chips to one process; none is opened here, and compilations may go side
# by side.
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

import dataclasses

from absl import flags
from ml_collections import config_flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.model.attention import resolve_backend
from divsyn_jax.training.compiler import ahead_of_time
from divsyn_jax.training.recipe import Recipe

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Recipe, e.g. configs/1_4b.py.", lock_config=True
)
_TOPOLOGY = flags.DEFINE_string(
    "topology", None, "TPU slice as generation:shape, e.g. v5e:4x4, v4:2x2x4."
)
_SEARCH = flags.DEFINE_bool("search", False, "Try micro-batches, remat policies and meshes.")
_SEARCH_ROWS = flags.DEFINE_list(
    "search_rows", ["1", "2", "4", "8"], "Sequences a chip in a micro-batch to try."
)


def search_rows() -> list[int]:
    """The numbers of --search_rows. Raises `UserError` when one is not a positive integer."""
    values = _SEARCH_ROWS.value
    if not values or not all(value.isdecimal() and int(value) for value in values):
        raise UserError(
            f"--search_rows={','.join(values)}: positive integers are expected, e.g. 1,2,4,8"
        )
    return [int(value) for value in values]


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; recipes are given as --config=FILE")
    config = commandline.require(_CONFIG.value, "config", "configs/1_4b.py")
    topology = commandline.require(_TOPOLOGY.value, "topology", "v5e:4x4")
    rows = search_rows()
    recipe = Recipe.from_config(config.to_dict())
    c = recipe.model
    backend = resolve_backend(c.attention, "tpu", c.dtype, c.head_dim, recipe.seq_len)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(c, attention=backend))
    if recipe.epochs:  # how long a run is changes nothing in a step
        recipe = recipe.of_length((recipe.optimizer.warmup_steps + 1) * recipe.global_batch)
    chip, devices = ahead_of_time.topology_devices(topology)
    if _SEARCH.value:
        best, compiled = ahead_of_time.search(recipe, chip, devices, rows)
        print(f"best that fits:\n{ahead_of_time.compile_report(best, compiled, chip, devices)}")
    else:
        print(ahead_of_time.outcome(recipe, chip, devices))


if __name__ == "__main__":
    commandline.run(main, __doc__)
