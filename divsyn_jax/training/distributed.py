"""Several processes, one program: start-up, and who speaks for all."""

import dataclasses
import os
from typing import Annotated

import jax

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a run, where nothing tells them of one another. Raises `UserError` when only
    some of the fields are given.

    Attributes:
      coordinator: host:port of process 0, where nothing is detected.
      processes: number of processes, with --coordinator.
      process: number of this process, from 0, with --coordinator.
    """

    coordinator: str | None = None
    processes: Annotated[int | None, Flag(at_least=1)] = None
    process: Annotated[int | None, Flag(at_least=0)] = None

    def __post_init__(self) -> None:
        if len({value is None for value in dataclasses.astuple(self)}) > 1:
            raise UserError("--coordinator, --processes and --process go together")


def initialize(told: Processes = Processes()) -> None:
    """Join the other processes: as told, or as Slurm, Open MPI or the TPU runtime tell; nothing to
    do for one process.
    """
    if told.coordinator is not None:
        jax.distributed.initialize(
            told.coordinator,
            told.processes,
            told.process,
            local_device_ids=_devices_of_this_process(),
        )
    elif _launcher_started_several():
        jax.distributed.initialize(local_device_ids=_devices_of_this_process())
    elif _on_several_tpu_hosts():
        jax.distributed.initialize()


def _devices_of_this_process() -> list[int] | None:
    """Not told (None), JAX takes one GPU for each process that Slurm or Open MPI starts; with an
    empty list, all that it sees.
    """
    if "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return None  # and then it reads those
    return None if _launcher_started_several() and not _alone_on_its_node() else []


def _launcher_started_several() -> bool:
    count = os.environ.get("SLURM_STEP_NUM_TASKS") or os.environ.get("OMPI_COMM_WORLD_SIZE") or "1"
    return int(count) > 1


def _alone_on_its_node() -> bool:
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return os.environ["SLURM_STEP_NUM_TASKS"] == os.environ.get("SLURM_STEP_NUM_NODES")
    return os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"


def _on_several_tpu_hosts() -> bool:
    """Whether this is one host of several of a TPU slice, as GKE tells in the environment or a TPU
    VM's metadata server.

    The server is asked only where JAX has found TPU chips that it may use: elsewhere it may be
    silent for minutes."""
    hosts = os.environ.get("TPU_PROCESS_ADDRESSES", os.environ.get("TPU_WORKER_HOSTNAMES"))
    if hosts is not None:
        return "," in hosts or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ
    if "tpu" not in (
        jax.config.jax_platforms or ""
    ):  # set by JAX when it is imported beside libtpu and chips
        return False
    # What jax.distributed.initialize() asks; it has no public name and no public way to learn the
    # count first.
    from jax._src.clusters import GceTpuCluster

    return GceTpuCluster.is_env_present() and GceTpuCluster.get_process_count() > 1


def is_first() -> bool:
    """True in the process that writes files and prints."""
    return jax.process_index() == 0


def say(message: str) -> None:
    """Print once, whatever the number of processes."""
    if is_first():
        print(message, flush=True)
