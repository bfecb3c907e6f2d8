"""Checkpoints of a run: parameters, optimizer and data position in one Orbax (v1) step, saved asynchronously."""

import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from orbax.checkpoint.experimental import v1 as ocp

from divsyn_jax import distributed
from divsyn_jax.commandline import UserError

State = dict[str, Any]


class Checkpoints:
    """The checkpoints of one run directory.

    A step holds `params` and `optimizer` (pytrees of arrays) and `progress` (JSON: step, next data row, data identity).
    """

    def __init__(self, workdir: pathlib.Path, keep: int, keep_every_steps: int) -> None:
        """Open (or begin) the checkpoints of `workdir`: the newest `keep` stay, and every multiple of `keep_every_steps`."""
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(max(1, keep))]
        if keep_every_steps:
            kept.append(policies.EveryNSteps(keep_every_steps))
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / "checkpoints").absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=True,
        )

    def save(self, state: State, progress: dict[str, Any]) -> None:
        """Start saving; returns once the arrays are copied off the device. Call only when the loss is known to be finite."""
        step = progress["step"]
        if step in [checkpoint.step for checkpoint in self._checkpointer.checkpoints]:
            return
        self._checkpointer.save_checkpointables_async(step, {**_parts(state), "progress": progress})

    def restore_latest(self, abstract_state: State) -> tuple[State, dict[str, Any]] | None:
        """The newest readable checkpoint as (state, progress), on the shardings of `abstract_state`; None when there is none.

        A checkpoint that cannot be read is reported, and the one before it is tried. Raises `UserError` when none can be.
        """
        steps = sorted((checkpoint.step for checkpoint in self._checkpointer.checkpoints), reverse=True)
        for step in steps:
            try:
                parts = self._checkpointer.load_checkpointables(step, {**_parts(abstract_state), "progress": None})
            except Exception as error:  # truncated or half-written files surface as many types in Orbax and TensorStore
                distributed.say(
                    f"checkpoint of step {step} cannot be read ({_first_line(error)}); trying the one before"
                )
                continue
            progress = parts["progress"]
            return _joined(parts, progress["step"], abstract_state), progress
        if steps:
            raise UserError(
                f"{self._checkpointer.directory}: none of the checkpoints {steps} can be read; start again in another --workdir"
            )
        return None

    def restore_params(self, abstract_params: Any, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Parameters and progress of the checkpoint of `step` (default: the newest), without the optimizer.

        Raises `UserError` when there is none, or its shapes are not those of `abstract_params`.
        """
        step = self._step(step)
        try:
            parts = self._checkpointer.load_checkpointables(step, {"params": abstract_params, "progress": None})
        except ValueError as error:
            raise UserError(f"{self._checkpointer.directory}: does not fit this model ({_first_line(error)})") from None
        return parts["params"], parts["progress"]

    def read_progress(self, step: int | None = None) -> dict[str, Any]:
        """Progress of the checkpoint of `step` (default: the newest). Raises `UserError` when there is none."""
        return self._checkpointer.load_checkpointables(self._step(step), {"progress": None})["progress"]

    def stream_params(
        self, abstract_params: Any, step: int | None = None
    ) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        """Path and value of every parameter, one in memory at a time. Raises `UserError` when there is no checkpoint."""
        step = self._step(step)
        for path, leaf in jax.tree_util.tree_leaves_with_path(abstract_params):
            keys = tuple(entry.key for entry in path)
            wanted = np.empty((), leaf.dtype)
            for key in reversed(keys):
                wanted = {key: wanted}
            reading = ocp.Context()
            reading.pytree.loading.partial_load = True
            with reading:
                value = self._checkpointer.load_checkpointables(step, {"params": wanted})["params"]
            for key in keys:
                value = value[key]
            yield keys, value
            del value

    def save_params(self, params: Any, progress: dict[str, Any]) -> None:
        """Save parameters alone, as a run that can be read and started from but not continued; returns when they are on disk."""
        writing = ocp.Context()
        # One parameter in flight at a time: what is compressed and not yet on disk is held in memory.
        writing.memory.write_concurrent_bytes = 1 + max(leaf.nbytes for leaf in jax.tree.leaves(params))
        with writing:
            self._checkpointer.save_checkpointables(progress["step"], {"params": params, "progress": progress})

    def _step(self, step: int | None) -> int:
        steps = sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)
        if not steps:
            raise UserError(f"{self._checkpointer.directory}: no checkpoint here; train the run first")
        if step is not None and step not in steps:
            raise UserError(f"{self._checkpointer.directory}: no checkpoint of step {step}; there are {steps}")
        return steps[-1] if step is None else step

    def wait(self) -> None:
        """Block until every started save is on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Wait, then release Orbax's threads."""
        self._checkpointer.wait()
        self._checkpointer.close()


def _parts(state: State) -> dict[str, Any]:
    return {"params": state["params"], "optimizer": state["opt_state"]}


def _joined(parts: dict[str, Any], step: int, abstract_state: State) -> State:
    device_step = jax.device_put(jax.numpy.asarray(step, abstract_state["step"].dtype), abstract_state["step"].sharding)
    return {"params": parts["params"], "opt_state": parts["optimizer"], "step": device_step}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
