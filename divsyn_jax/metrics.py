"""What a run writes about itself: metrics.jsonl, TensorBoard events, throughput and model FLOPs utilisation."""

import json
import os
import pathlib
import time
from typing import Any

from divsyn_jax import files
from divsyn_jax.model import ModelConfig

MFU_CONVENTION = (
    "model FLOPs without recompute, causal half of attention, output projection counted, over dense bf16 peak"
)

# Dense bf16 peak in FLOP/s by JAX device kind (vendors' data sheets; sparse figures are twice these and do not apply).
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


def flops_per_token(config: ModelConfig, seq_len: int) -> float:
    """Forward and backward model FLOPs for one token: 6 per weight that multiplies, plus the causal half of attention.

    The embedding gather and the norms are not counted; the output projection is. Attention: scores and weighted sum take
    12 N L D forward and backward over the full square (PaLM, Chowdhery et al. 2022, appendix B), half of it under a causal mask.
    """
    c = config
    layer = c.hidden * c.head_dim * (2 * c.heads + 2 * c.kv_heads) + 3 * c.hidden * c.intermediate
    return 6.0 * (c.layers * layer + c.hidden * c.vocab_size) + 6.0 * c.layers * seq_len * c.heads * c.head_dim


class MetricsLog:
    """Appends one JSON object a step to `metrics.jsonl`, and the same scalars to TensorBoard."""

    def __init__(self, workdir: pathlib.Path, restored_step: int, tensorboard: bool) -> None:
        """Open the log, cut back to `restored_step`: the steps after it will be taken, and written, again."""
        path = workdir / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines(keepends=True) if _step_of(line) <= restored_step]
            files.write_text(path, "".join(kept))
        self._file = open(path, "a", encoding="utf-8")
        self._events = None
        if tensorboard:
            import tensorboardX

            self._events = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=restored_step + 1)

    def write(self, step: int, scalars: dict[str, Any]) -> None:
        """Write the scalars of one step; values that are None are left out."""
        present = {name: value for name, value in scalars.items() if value is not None}
        self._file.write(json.dumps({"step": step, **present}) + "\n")
        self._file.flush()
        if self._events:
            for name, value in present.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush to disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._events:
            self._events.close()


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"] if line.endswith("\n") else float("inf")
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")  # half a line, left by a kill


class StepClock:
    """Wall time of steps, leaving out evaluation and checkpoint pauses."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._paused = 0.0

    def pause(self, seconds: float) -> None:
        """Do not count `seconds` towards the current step."""
        self._paused += seconds

    def lap(self) -> float:
        """Seconds since the last lap, pauses excluded."""
        now = time.perf_counter()
        elapsed, self._last, self._paused = now - self._last - self._paused, now, 0.0
        return max(elapsed, 1e-9)
