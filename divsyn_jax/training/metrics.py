"""What a run writes about itself:

metrics.jsonl, trackers, throughput and model FLOPs utilisation.
"""

import contextlib
import io
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from divsyn_jax.base import files, owned_folders
from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.data.pipeline import Mixture
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.training.recipe import LogConfig, Recipe
from divsyn_jax.training.trackers import start_trackers

MFU_CONVENTION = (
    "model FLOPs without recompute, causal half of attention, output projection counted, over dense"
    " bf16 peak"
)

# Dense bf16 peak in FLOP/s by JAX device kind (vendors' data sheets; sparse figures are twice these
# and do not apply).
PEAK_FLOPS = {
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 80GB HBM3": 989.5e12,
    "NVIDIA H200": 989.5e12,
    "NVIDIA B200": 2250e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}


def flops_per_token(config: ModelConfig, seq_len: float) -> float:
    """Forward and backward model FLOPs for one token: 6 per weight that multiplies, plus the causal
    half of attention.

    The embedding gather and the norms are not counted; the output projection is. Attention: scores
    and weighted sum take 12 N L D forward and backward over the full square (PaLM, Chowdhery et al.
    2022, appendix B), half of it under a causal mask."""
    c = config
    layer = c.hidden * c.head_dim * (2 * c.heads + 2 * c.kv_heads) + 3 * c.hidden * c.intermediate
    return (
        6.0 * (c.layers * layer + c.hidden * c.vocab_size)
        + 6.0 * c.layers * seq_len * c.heads * c.head_dim
    )


class MetricsLog:
    """Appends one JSON object a step to `metrics.jsonl`, and tells the same scalars to the trackers
    asked for.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        restored_step: int,
        config: LogConfig,
        recipe: Mapping[str, Any],
    ) -> None:
        """Open the log, cut back to `restored_step`: the steps after it will be taken, and written,
        again.

        Trackers are told the plain `recipe`. Raises `UserError` when one cannot be had.
        """
        path = workdir / "metrics.jsonl"
        if path.exists():
            kept = [
                line
                for line in path.read_text().splitlines(keepends=True)
                if _step_of(line) <= restored_step
            ]
            files.write_text(path, "".join(kept))
        self._file = io.TextIOWrapper(owned_folders.open_kept(path, "ab"), encoding="utf-8")
        self._trackers = start_trackers(
            config.trackers(), config.project, workdir, restored_step, recipe
        )

    def write(self, step: int, scalars: dict[str, Any]) -> None:
        """Write the scalars of one step; values that are None are left out."""
        present = {name: value for name, value in scalars.items() if value is not None}
        self._file.write(json.dumps({"step": step, **present}) + "\n")
        self._file.flush()
        for tracker in self._trackers:
            tracker.log(present, step)

    def close(self) -> None:
        """Flush to disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        for tracker in self._trackers:
            tracker.close()


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"] if line.endswith("\n") else float("inf")
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")  # half a line, left by a kill


class Reporter:
    """Turns the device scalars of a settled step into a line of metrics, a progress bar and the
    run's running totals.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        recipe: Recipe,
        mixture: Mixture,
        progress: Mapping[str, Any],
        enabled: bool,
    ) -> None:
        self._recipe, self._mixture = recipe, mixture
        self._rows_S = np.array(progress["rows"], np.int64)
        self._in_steps, self._started = progress["in_steps"], progress["started"]
        self._log = (
            MetricsLog(workdir, progress["step"], recipe.log, recipe.to_dict()) if enabled else None
        )
        self._flops = (
            flops_per_token(recipe.model, recipe.seq_len) * recipe.global_batch * recipe.seq_len
        )
        self._peak = PEAK_FLOPS.get(jax.devices()[0].device_kind)
        self._last, self._paused = time.perf_counter(), 0.0
        self._not_finite = 0  # steps in a row
        interval = 1 if sys.stderr.isatty() else 15
        self._bar = tqdm(
            total=recipe.steps,
            initial=progress["step"],
            desc=workdir.name,
            unit="step",
            mininterval=interval,
            disable=not enabled,
        )

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Time in this block is evaluation or saving, not a step."""
        started = time.perf_counter()
        yield
        self._paused += time.perf_counter() - started

    def settle(
        self,
        number: int,
        scalars: Mapping[str, jax.Array],
        extra: Mapping[str, float] | None = None,
    ) -> bool:
        """Read a dispatched step's scalars (this waits for it), check and log them. Returns whether
        a stop was asked for.

        Raises `Failure` when the loss or the gradient is not finite; where such steps are skipped,
        when as many in a row as the window of spikes holds are not.
        """
        host = jax.device_get(dict(scalars))
        now = time.perf_counter()
        seconds = max(now - self._last - self._paused, 1e-9)
        self._last, self._paused = now, 0.0
        self._in_steps += seconds
        self._rows_S += host["rows_S"]
        loss, grad_norm = float(host["loss"]), float(host["grad_norm"])
        is_finite = math.isfinite(loss) and math.isfinite(grad_norm)
        self._not_finite = 0 if is_finite else self._not_finite + 1
        allowed = self._recipe.optimizer.spike_window if "skipped_steps" in host else 1
        if self._not_finite >= allowed:
            raise Failure(f"step {number}: loss {loss}, gradient norm {grad_norm}; the run stops")
        self._bar.update()
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if self._log and (
            extra or number % self._recipe.log.every_steps == 0 or number == self._recipe.steps
        ):
            names = [source.name for source in self._mixture.sources]
            sizes = [len(windows) for windows in self._mixture.windows]
            self._log.write(
                number,
                {
                    # JSON has no number for what is not finite; such a step was skipped.
                    "loss": loss if math.isfinite(loss) else None,
                    "grad_norm": grad_norm if math.isfinite(grad_norm) else None,
                    "learning_rate": float(host["learning_rate"]),
                    **{
                        f"share/{n}": float(rows / self._rows_S.sum())
                        for n, rows in zip(names, self._rows_S, strict=True)
                    },
                    **{
                        f"epochs/{n}": float(rows / size)
                        for n, rows, size in zip(names, self._rows_S, sizes, strict=True)
                    },
                    **(extra or {}),
                    "skipped_steps": (
                        int(host["skipped_steps"]) if "skipped_steps" in host else None
                    ),
                    "seconds": seconds,
                    **self._throughput(host, seconds),
                    "goodput": min(1.0, self._in_steps / max(time.time() - self._started, 1e-9)),
                    "memory_peak_bytes": (
                        (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
                    ),
                },
            )
        return bool(host["stop"])

    def _throughput(self, host: Mapping[str, Any], seconds: float) -> dict[str, float | None]:
        """Tokens a second and MFU; of packed conversations without padding, and with attention
        within a conversation.
        """
        tokens, flops, packed = float(host["targets"]), self._flops, {}
        if "inputs" in host:
            positions = self._recipe.global_batch * self._recipe.seq_len
            packed = {
                "targets": int(host["targets"]),
                "padding_share": 1 - float(host["inputs"]) / positions,
            }
            tokens = float(host["inputs"])
            flops = flops_per_token(self._recipe.model, float(host["context"])) * tokens
        mfu = flops / seconds / (self._peak * jax.device_count()) if self._peak else None
        return {**packed, "tokens_per_second": tokens / seconds, "mfu": mfu}

    def progress(self) -> dict[str, Any]:
        """Running totals, for the checkpoint:

        rows taken from each source, seconds in steps, start of the run.
        """
        return {"rows": self._rows_S.tolist(), "in_steps": self._in_steps, "started": self._started}

    def close(self) -> None:
        """Close log and progress bar."""
        self._bar.close()
        if self._log:
            self._log.close()


class Profiler:
    """A trace of a window of steps, whole ones and no others, for TensorBoard's or Perfetto's
    viewer.
    """

    def __init__(self, folder: pathlib.Path, first_step: int, steps: int) -> None:
        """Raises `UserError` for a window that begins before step 1, the first."""
        if steps and first_step < 1:
            raise UserError(f"config.profile.first_step={first_step}: steps count from 1")
        self._folder, self._first, self._end, self._running = (
            folder,
            first_step,
            first_step + steps,
            False,
        )

    def before_step(self, number: int, in_flight: Any) -> None:
        """Start or stop the trace where `number` says so, once the device has finished what is
        `in_flight`.
        """
        if self._first <= number < self._end and not self._running:
            jax.block_until_ready(in_flight)
            options = jax.profiler.ProfileOptions()
            # Steps are on the device and in the runtime. Hooks in every Python thread, those that
            # read and save among them, make steps slower and were there in the one run that
            # crashed when a trace ended.
            options.python_tracer_level = 0
            jax.profiler.start_trace(str(self._folder), profiler_options=options)
            self._running = True
        elif number >= self._end and self._running:
            jax.block_until_ready(in_flight)
            self.close()

    def close(self) -> None:
        """Write the trace, if one is running."""
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
