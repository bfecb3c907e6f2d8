"""A run's recipe: what a config file says, checked once and frozen.

Config files (configs/*.py) hold ml_collections ConfigDicts. They end here: `Recipe.from_config`
refuses unknown and missing keys and wrong types by name, and everything behind it takes frozen
dataclasses."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model.decoder import ModelConfig
from divsyn_jax.model.sharding import MeshConfig
from divsyn_jax.training.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the data lie.

    Attributes: root: folder that relative shards folders are under. train: `folder` or
      `name=folder:weight,...` (shards packed `concat`, or for fine-tuning `best_fit`). eval: the
      same, one entry a domain (shards packed `document` or `best_fit`); may be empty.
    """

    root: str
    train: str
    eval: str


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Loss settings:

    `chunk` positions whose logits exist at one time (0: all); `z_loss` weight of mean(logz^2).
    """

    chunk: int
    z_loss: float


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When checkpoints are saved and which stay.

    Attributes:
      every_steps: one every so many steps (0: only the last), and one at the end.
      keep: the newest so many stay; 0: nothing is saved at all, for benchmarks.
      keep_every_steps: so do all at multiples of this; 0: none.
    """

    every_steps: int
    keep: int
    keep_every_steps: int


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Held-out evaluation every `every_steps` (0: only at the end), `batch` windows at a time."""

    every_steps: int
    batch: int


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """`every_steps`:

    cadence of metrics.jsonl; `tensorboard`: write event files; `wandb`: project to log to, or ''.
    """

    every_steps: int
    tensorboard: bool
    wandb: str


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
    """A profiler trace of `steps` steps from `first_step` on, into the run directory's profile/; 0
    steps: none.
    """

    first_step: int
    steps: int


@dataclasses.dataclass(frozen=True)
class DebugConfig:
    """Checks that cost time.

    Attributes:
      deterministic: make XLA choose deterministic GPU kernels, for bit-exact resume there.
      nans: stop inside the operation that makes the first NaN (jax_debug_nans).
      repeat_every_steps: compute every so many steps twice and stop when a bit differs; 0: never.
    """

    deterministic: bool
    nans: bool
    repeat_every_steps: int


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One training run.

    Attributes: steps: optimizer steps; 0 until `of_length` where `epochs` says how long the run is.
      epochs: passes over every source of data.train; 0 where `steps` says how long the run is.
      global_batch: windows in a step, over all devices and accumulation steps. accumulation_steps:
      micro-batches a step is computed in. seq_len: inputs in a window. seed: of the initial
      parameters and of the data order. init_from: run directory to take initial weights from, or
      ''. level: the diversity level this run is bound to (see configs/diversity.py), stored with
      the run; {} when none.
    """

    steps: int
    epochs: int
    global_batch: int
    accumulation_steps: int
    seq_len: int
    seed: int
    init_from: str
    model: ModelConfig
    optimizer: OptimizerConfig
    loss: LossConfig
    data: DataConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig
    eval: EvalConfig
    log: LogConfig
    profile: ProfileConfig
    debug: DebugConfig
    level: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.model.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"model.dtype={self.model.dtype!r} is unknown; use float32 or bfloat16"
            )
        if self.global_batch % self.accumulation_steps:
            raise ValueError(
                f"accumulation_steps={self.accumulation_steps} does not divide"
                f" global_batch={self.global_batch}"
            )
        if not self.steps and not self.epochs:
            raise ValueError("steps=0 and epochs=0; give one of them")
        if self.steps and self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"optimizer.warmup_steps={self.optimizer.warmup_steps} leaves nothing of"
                f" steps={self.steps}"
            )
        if self.loss.chunk and self.seq_len % self.loss.chunk:
            raise ValueError(f"loss.chunk={self.loss.chunk} does not divide seq_len={self.seq_len}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Recipe":
        """Build from a ConfigDict or plain dict.

        Raises `UserError` naming the key that is unknown, missing or wrong.
        """
        return _build(cls, config, "config")

    def of_length(self, rows: int) -> "Recipe":
        """The recipe with the `steps` that take `rows` windows, which are those of its `epochs`.

        Raises `UserError` when steps are given too, or are no more than the warm-up's.
        """
        if self.steps:
            raise UserError(
                f"config.steps={self.steps} and config.epochs={self.epochs}: give one, and 0 for"
                " the other"
            )
        try:
            return dataclasses.replace(self, steps=math.ceil(rows / self.global_batch))
        except ValueError as error:
            raise UserError(
                f"config: {error} ({self.epochs} epochs of {rows // self.epochs} windows)"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, the inverse of `from_config`."""
        return dataclasses.asdict(self)


# Counts that a run cannot do without; every other number may be 0 as well.
_POSITIVE = {
    *("config.global_batch", "config.accumulation_steps", "config.seq_len", "config.eval.batch"),
    "config.log.every_steps",
    *(
        f"config.model.{size}"
        for size in ("vocab_size", "hidden", "intermediate", "layers", "heads", "kv_heads")
    ),
}


def _build(cls: type, values: Mapping[str, Any], place: str) -> Any:
    if not hasattr(values, "keys"):
        raise UserError(
            f"{place}={values!r}: keys and values expected, not {type(values).__name__}"
        )
    types = typing.get_type_hints(cls)
    unknown, missing = sorted(set(values) - set(types)), sorted(set(types) - set(values))
    if unknown:
        raise UserError(f"{place}.{unknown[0]}: unknown key; known are {', '.join(types)}")
    if missing:
        raise UserError(f"{place}.{missing[0]}: missing; configs/base.py shows every key")
    arguments = {name: _convert(types[name], values[name], f"{place}.{name}") for name in types}
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None


def _convert(kind: Any, value: Any, place: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, place)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind in (int, float, str, bool):
        if type(value) is not kind:
            raise UserError(
                f"{place}={value!r}: {kind.__name__} expected, not {type(value).__name__}"
            )
        _check_range(value, place)
        return value
    if not hasattr(value, "keys"):
        raise UserError(f"{place}={value!r}: keys and values expected, not {type(value).__name__}")
    return value.to_dict() if hasattr(value, "to_dict") else dict(value)


def _check_range(value: Any, place: str) -> None:
    if isinstance(value, str | bool) or place.startswith(
        "config.mesh."
    ):  # make_mesh checks those, where -1 has a meaning
        return
    least = 1 if place in _POSITIVE else 0
    if not (math.isfinite(value) and value >= least):
        raise UserError(f"{place}={value} must be at least {least}")
    if place == "config.seed" and value >= 1 << 32:
        raise UserError(f"{place}={value} must be less than {1 << 32}")
