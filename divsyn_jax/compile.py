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
from typing import Annotated

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.model.attention import resolve_backend
from divsyn_jax.training.compiler import ahead_of_time
from divsyn_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class _Slice:
    """What to compile for.

    Attributes:
      topology: TPU slice as generation:shape, e.g. v5e:4x4, v4:2x2x4.
      search: try micro-batches, remat policies and meshes.
      search_rows: sequences a chip in a micro-batch to try, comma-separated.
    """

    topology: Annotated[str, Flag(example="v5e:4x4")]
    search: bool = False
    search_rows: Annotated[tuple[int, ...], Flag(at_least=1)] = (1, 2, 4, 8)


_CONFIG = setting_flags.define_recipe("config", "Recipe, e.g. configs/1_4b.py.")
_SLICE = setting_flags.define(_Slice, "slice")


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; recipes are given as --config=FILE")
    config = commandline.require(_CONFIG.value, "config", "configs/1_4b.py")
    asked = _SLICE.given()
    recipe = Recipe.from_config(config.to_dict())
    c = recipe.model
    backend = resolve_backend(c.attention, "tpu", c.dtype, c.head_dim, recipe.seq_len)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(c, attention=backend))
    if recipe.epochs:  # how long a run is changes nothing in a step
        recipe = recipe.of_length((recipe.optimizer.warmup_steps + 1) * recipe.global_batch)
    chip, devices = ahead_of_time.topology_devices(asked.topology)
    if asked.search:
        best, compiled = ahead_of_time.search(recipe, chip, devices, list(asked.search_rows))
        print(f"best that fits:\n{ahead_of_time.compile_report(best, compiled, chip, devices)}")
    else:
        print(ahead_of_time.outcome(recipe, chip, devices))


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
