"""Several processes, one program: start-up, and who speaks for all."""

import os

import jax
from absl import flags

from divsyn_jax.commandline import UserError

_COORDINATOR = flags.DEFINE_string("coordinator", None, "host:port of process 0, where nothing is detected.")
_PROCESSES = flags.DEFINE_integer("processes", None, "Number of processes, with --coordinator.", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", None, "Number of this process, from 0, with --coordinator.", lower_bound=0)


def initialize() -> None:
    """Join the other processes: by the flags, or as Slurm, Open MPI or the TPU runtime tell; nothing to do for one process.

    Raises `UserError` when only some of the flags are given.
    """
    given = (_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    if any(value is not None for value in given):
        if any(value is None for value in given):
            raise UserError("--coordinator, --processes and --process go together")
        jax.distributed.initialize(*given)
    elif _launcher_started_several():
        jax.distributed.initialize()


def _launcher_started_several() -> bool:
    count = os.environ.get("SLURM_STEP_NUM_TASKS") or os.environ.get("OMPI_COMM_WORLD_SIZE") or "1"
    return (
        int(count) > 1
        or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
        or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ
    )


def keep_compiled() -> None:
    """Keep compiled programs on disk, where a second start of the same recipe finds them; JAX_COMPILATION_CACHE_DIR is heeded."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # JAX read the environment when it was imported
        jax.config.update("jax_compilation_cache_dir", os.path.expanduser("~/.cache/divsyn_jax/xla"))


def is_first() -> bool:
    """True in the process that writes files and prints."""
    return jax.process_index() == 0


def say(message: str) -> None:
    """Print once, whatever the number of processes."""
    if is_first():
        print(message, flush=True)
