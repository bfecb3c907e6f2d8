"""Run commands as processes on this machine, several at a time, each on cores of its own."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from divsyn_jax.base import owned_folders
from divsyn_jax.base.commandline import EXIT_UNFINISHED, Unfinished

_MEMORY_SHARE = 0.9
_MOST_ON_A_GPU = 8  # beyond it small models wait for the GPU's queue and the host's cores


@dataclasses.dataclass(frozen=True)
class Job:
    """One process to run.

    Attributes: name: for messages. command: argument vector. log: file that takes the process's
      output, appended to. done: tells whether the job's result is there; asked before starting and
      after the process ended.
    """

    name: str
    command: Sequence[str]
    log: pathlib.Path
    done: Callable[[], bool]


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where one job at a time runs:

    the cores it may use and what its environment adds (the accelerator it sees).
    """

    cores: frozenset[int]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


def cores() -> int:
    """Number of cores this process may use."""
    return len(_cores()) or os.cpu_count() or 1


def whole_machine() -> Slot:
    """All cores and accelerators for one job."""
    return Slot(frozenset(_cores()))


def cpu_slots(parallel: int) -> list[Slot]:
    """The cores dealt out evenly, so that parallel jobs do not fight over them."""
    available = _cores()
    share = len(available) // parallel
    return [
        Slot(frozenset(available[i * share : (i + 1) * share] if share else available))
        for i in range(parallel)
    ]


def gpus() -> list[tuple[str, int]]:
    """Index and memory in bytes of the NVIDIA GPUs this process may use; none where nvidia-smi is
    not there.
    """
    command = ["nvidia-smi", "--query-gpu=index,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    found = [line.split(",") for line in listed.splitlines()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [
        (i.strip(), int(mib) << 20)
        for i, mib in found
        if visible is None or i.strip() in visible.split(",")
    ]


def gpu_slots(gpus: Sequence[tuple[str, int]], need: int, parallel: int = 0) -> list[Slot]:
    """Slots on each GPU for jobs that need so many bytes: as many as fit (one where none does), or
    `parallel` in all.

    Jobs that share a GPU get equal parts of its memory: JAX would take three quarters each.
    """
    fit = max(1, min(int(_MEMORY_SHARE * memory) // need for _, memory in gpus))
    each = -(-parallel // len(gpus)) if parallel else min(fit, _MOST_ON_A_GPU)
    available = frozenset(_cores())
    slots = [
        Slot(
            available,
            {
                "CUDA_VISIBLE_DEVICES": i,
                "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_MEMORY_SHARE / each:.3f}",
            },
        )
        for _ in range(each)
        for i, _ in gpus
    ]
    return slots[: parallel or None]


class JobFailed(Exception):
    """A process ended without its result; the message names the job and its log."""


def run_jobs(
    jobs: Sequence[Job],
    slots: Sequence[Slot],
    environment: dict[str, str],
    on_done: Callable[[Job, float], None],
) -> None:
    """Run the jobs that are not done, one a slot at a time, in order.

    If this process is asked to stop, so are the jobs, and `Unfinished` is raised once they have
    saved; if it is killed, they are too.

    Raises:
      JobFailed: after the jobs already running have ended.
      Unfinished: a job stopped unfinished (exit code 75), or this process was asked to stop.
    """
    waiting = [job for job in jobs if not job.done()]
    running: dict[int, tuple[Job, subprocess.Popen, float]] = {}
    failed: JobFailed | None = None
    stop = _Stop()
    try:
        while waiting or running:
            for slot in range(len(slots)):
                if slot not in running and waiting and not failed and not stop.requested:
                    job = waiting.pop(0)
                    running[slot] = (job, _start(job, slots[slot], environment), time.monotonic())
            for slot, (job, process, started) in list(running.items()):
                if stop.requested and not stop.passed_on:
                    process.terminate()
                if process.poll() is None:
                    continue
                del running[slot]
                if process.returncode == EXIT_UNFINISHED:
                    stop.requested = True
                elif stop.requested and not job.done():
                    pass  # a job that was asked to stop may end before it can save: no fault of it
                elif not job.done():
                    failed = failed or JobFailed(
                        f"{job.name} ended with exit code {process.returncode}:"
                        f" {_last_line(job.log)} (log: {job.log})"
                    )
                else:
                    on_done(job, time.monotonic() - started)
            stop.passed_on = stop.requested
            if failed or stop.requested:
                waiting = []
            time.sleep(0.05)
    finally:
        for _, process, _ in running.values():
            process.kill()
        stop.restore()
    if failed:
        raise failed
    if stop.requested:
        raise Unfinished("stopped before the end; run the same command to continue")


class _Stop:
    """SIGTERM and SIGINT of this process while jobs run."""

    def __init__(self) -> None:
        self.requested = self.passed_on = False
        self._previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }

    def _on_signal(self, number, frame) -> None:
        self.requested = True

    def restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _start(job: Job, slot: Slot, environment: dict[str, str]) -> subprocess.Popen:
    def in_child() -> None:
        if slot.cores:
            os.sched_setaffinity(0, slot.cores)
        if (
            sys.platform == "linux"
        ):  # die with the parent: a run left behind would race with its own continuation
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG

    job.log.parent.mkdir(parents=True, exist_ok=True)
    with owned_folders.open_kept(job.log, "ab") as log:
        # A session of its own, so that Ctrl-C reaches the jobs once, through us.
        return subprocess.Popen(
            job.command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, **slot.environment},
            preexec_fn=in_child,
            start_new_session=True,
        )


def _last_line(log: pathlib.Path) -> str:
    lines = [
        line
        for line in log.read_text(errors="replace").replace("\r", "\n").splitlines()
        if line.strip()
    ]
    return lines[-1] if lines else "no output"
