"""Checkpoints of a run:

parameters, optimizer and data position in one Orbax (v1) step, saved asynchronously.
"""

import contextlib
import errno
import logging as standard_logging
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint.experimental import v1 as ocp

from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.training import distributed
from divsyn_jax.training.step import State


class Checkpoints:
    """The checkpoints of one run directory.

    A step holds `params` and `optimizer` (pytrees of arrays) and `progress` (as JSON, but with
    sorted keys: step, rows taken from each source, data identity)."""

    def __init__(
        self, workdir: pathlib.Path, keep: int, keep_every_steps: int, clean_up: bool = False
    ) -> None:
        """Open (or begin) the checkpoints of `workdir`: the newest `keep` stay, and every multiple
        of `keep_every_steps`.

        `clean_up` removes what a killed save left half-written. Only who holds the lock of the run
        directory may: another process may be writing just that. Raises `UserError` where the
        metadata of a step are damaged."""
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(max(1, keep))]
        if keep_every_steps:
            kept.append(policies.EveryNSteps(keep_every_steps))
        folder = (workdir / "checkpoints").absolute()
        try:
            self._checkpointer = ocp.training.Checkpointer(
                folder,
                save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
                preservation_policy=policies.AnyPreservationPolicy(kept),
                cleanup_tmp_directories=clean_up,
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # It reads the metadata of every step that lies there.
            raise UserError(
                f"{folder}: cannot be read ({_first_line(error)}); take the step out whose"
                " _CHECKPOINT_METADATA is damaged"
            ) from None
        self._is_disk_full = False
        # Orbax's threads log what they raise, at length; what is said here in one line need not be.
        logging.get_absl_logger().addFilter(_is_not_of_a_full_disk)

    def save(self, state: State, progress: dict[str, Any]) -> None:
        """Start saving; returns once the arrays are copied off the device. Call only when loss and
        state are known to be finite.

        Raises `Failure` when the disk is full, now or of the save before, and when Orbax declines,
        which it does for a step before the newest.
        """
        step = progress["step"]
        with self._full_disk_named():
            begun = self._checkpointer.save_checkpointables_async(
                step, {**_parts(state), "progress": progress}
            )
        if begun is None:
            raise Failure(
                f"{self._checkpointer.directory}: step {step} is not saved, there is a later one"
            )

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint that is there or being written."""
        if self._is_disk_full:
            self._checkpointer.reload()  # it counts the save that failed
        newest = self._checkpointer.latest
        return newest.step if newest else None

    def restore_latest(self, abstract_state: State) -> tuple[State, dict[str, Any]] | None:
        """The newest readable checkpoint as (state, progress), on the shardings of
        `abstract_state`; None when there is none.

        A checkpoint that a process finds damaged is reported, renamed to `damaged-<step>`, and the
        one before it is used by all. Raises `UserError` when every one is damaged; then none is
        renamed."""
        steps = sorted(
            (checkpoint.step for checkpoint in self._checkpointer.checkpoints), reverse=True
        )
        for damaged, step in enumerate(steps):
            parts = self._load_unless_damaged(step, {**_parts(abstract_state), "progress": None})
            if parts is not None:
                self._set_aside(steps[:damaged])
                progress = parts["progress"]
                return _joined(parts, progress["step"], abstract_state), progress
        if steps:
            raise UserError(
                f"{self._checkpointer.directory}: none of the checkpoints {steps} can be read;"
                " start again in another --workdir"
            )
        return None

    def restore_params(
        self, abstract_params: Any, step: int | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Parameters and progress of the checkpoint of `step` (default: the newest), without the
        optimizer.

        Raises `UserError` when there is none, or it is damaged.
        """
        step = self._step(step)
        with self._damage_named(step):
            parts = self._checkpointer.load_checkpointables(
                step, {"params": abstract_params, "progress": None}
            )
        return parts["params"], parts["progress"]

    def read_progress(self, step: int | None = None) -> dict[str, Any]:
        """Progress of the checkpoint of `step` (default: the newest).

        Raises `UserError` when there is none.
        """
        step = self._step(step)
        with self._damage_named(step):
            return self._checkpointer.load_checkpointables(step, {"progress": None})["progress"]

    def stream_params(
        self, abstract_params: Any, step: int | None = None
    ) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        """Path and value of every parameter, one in memory at a time.

        Raises `UserError` when there is none, or it is damaged.
        """
        step = self._step(step)
        for path, leaf in jax.tree_util.tree_leaves_with_path(abstract_params):
            keys = tuple(entry.key for entry in path)
            wanted: Any = np.empty((), leaf.dtype)
            for key in reversed(keys):
                wanted = {key: wanted}
            reading = ocp.Context()
            reading.pytree.loading.partial_load = True
            with self._damage_named(step), reading:
                value = self._checkpointer.load_checkpointables(step, {"params": wanted})["params"]
            for key in keys:
                value = value[key]
            yield keys, value
            del value

    def save_params(self, params: Any, progress: dict[str, Any]) -> None:
        """Save parameters alone, as a run that can be read and started from but not continued;
        returns when they are on disk.
        """
        writing = ocp.Context()
        # One parameter in flight at a time: what is compressed and not yet on disk is held in
        # memory.
        writing.memory.write_concurrent_bytes = 1 + max(
            leaf.nbytes for leaf in jax.tree.leaves(params)
        )
        with writing:
            self._checkpointer.save_checkpointables(
                progress["step"], {"params": params, "progress": progress}
            )

    def _step(self, step: int | None) -> int:
        with self._damage_named(step):
            steps = sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)
        if not steps:
            raise UserError(
                f"{self._checkpointer.directory}: no checkpoint here; train the run first"
            )
        if step is not None and step not in steps:
            raise UserError(
                f"{self._checkpointer.directory}: no checkpoint of step {step}; there are {steps}"
            )
        return steps[-1] if step is None else step

    def _load_unless_damaged(self, step: int, wanted: dict[str, Any]) -> dict[str, Any] | None:
        """The `wanted` parts of a step, or None in all processes when they are damaged in one of
        them.
        """
        reading = ocp.Context()
        # Each process by itself: one that fails would never come to the barriers of the others.
        reading.multiprocessing.primary_host = jax.process_index()
        reading.multiprocessing.active_processes = {jax.process_index()}
        parts, problem = None, ""
        try:
            with reading:
                parts = self._checkpointer.load_checkpointables(step, wanted)
        except Exception as error:
            if not _is_damage(error):
                raise
            problem = _first_line(error)
        if multihost_utils.process_allgather(np.array(not problem)).all():
            return parts
        problem = problem or "in another process"
        distributed.say(
            f"checkpoint of step {step} cannot be read ({problem}); trying the one before"
        )
        return None

    def _set_aside(self, steps: list[int]) -> None:
        """Rename checkpoints so that Orbax does not know them:

        it saves no step up to its newest, and counts all as kept.
        """
        if not steps:
            return
        for step in steps:
            aside = self._checkpointer.directory / f"damaged-{step}"
            if distributed.is_first():
                shutil.rmtree(aside, ignore_errors=True)  # of an earlier time
                os.replace(self._checkpointer.directory / str(step), aside)
            distributed.say(
                f"{aside}: the checkpoint that cannot be read; delete it when you do not need it"
            )
        multihost_utils.sync_global_devices("damaged checkpoints are set aside")
        self._checkpointer.reload()

    @contextlib.contextmanager
    def _damage_named(self, step: int | None) -> Iterator[None]:
        """Raise `UserError` where reading a checkpoint in this block shows that it is damaged."""
        try:
            yield
        except Exception as error:
            if not _is_damage(error):
                raise
            of_step = "" if step is None else f"step {step}: "
            why = f"{of_step}{_first_line(error)}"
            raise UserError(
                f"{self._checkpointer.directory}: cannot be read ({why}); train the run again,"
                " without its DONE"
            ) from None

    def wait(self) -> None:
        """Block until every started save is on disk. Raises `Failure` when the disk is full."""
        with self._full_disk_named():
            self._checkpointer.wait()

    def close(self) -> None:
        """Wait, then release Orbax's threads.

        Raises `Failure` when the disk is full, unless that was said before.
        """
        was_said = self._is_disk_full
        try:
            self.wait()
        except Failure:
            if not was_said:
                raise
        finally:
            with contextlib.suppress(Failure), self._full_disk_named():  # was said just now
                self._checkpointer.close()

    @contextlib.contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        """Raise `Failure` where a save in this block, or one before it, finds the disk full."""
        try:
            yield
        except Exception as error:
            if not _tells_of_a_full_disk(error):
                raise
            self._is_disk_full = True
            raise Failure(
                f"{self._checkpointer.directory}: the disk is full; free space, then run the same"
                " command: it continues from the newest whole checkpoint"
            ) from None


def _tells_of_a_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that no space is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(error) or "Disk quota exceeded" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_not_of_a_full_disk(record: standard_logging.LogRecord) -> bool:
    """A filter of log records: false for the tracebacks of a full disk."""
    return not (record.exc_info and _tells_of_a_full_disk(record.exc_info[1]))


def _parts(state: State) -> dict[str, Any]:
    return {"params": state["params"], "optimizer": state["opt_state"]}


def _joined(parts: dict[str, Any], step: int, abstract_state: State) -> State:
    device_step = jax.device_put(
        jax.numpy.asarray(step, abstract_state["step"].dtype), abstract_state["step"].sharding
    )
    return {"params": parts["params"], "opt_state": parts["optimizer"], "step": device_step}


def _is_damage(error: Exception) -> bool:
    """Whether a failed load tells of the files' content, and not of memory, rights or devices.

    TensorStore raises ValueError for every one of its status codes; JSON that is cut off is a
    ValueError too. For metadata of another form Orbax knows no reader: its NoEntryError, whatever
    the cause, where a plain KeyError says only that a load failed."""
    root = _root(error)
    if type(error).__name__ == "NoEntryError":
        return True
    if isinstance(root, ValueError):
        return not str(root).startswith(
            ("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED")
        )
    return isinstance(root, FileNotFoundError | KeyError | RecursionError)


def _root(error: BaseException) -> BaseException:
    """What Orbax wraps, whatever it is, in errors of its own."""
    return _root(error.__cause__) if error.__cause__ else error


def _first_line(error: Exception) -> str:
    root = _root(error)
    return (str(root).strip().splitlines() or [type(root).__name__])[0][:200]
