"""A run's recipe: what a config file says, checked once and frozen; readable without JAX.

Config files (configs/*.py) hold ml_collections ConfigDicts. They end here: `Recipe.from_config`
refuses unknown keys and wrong types by name, and everything behind it takes frozen dataclasses.

A key's default stands in its dataclass. It is what runs did before the key existed, so that their
directories open; a key without a default is one that every run has to say. The numbers of the paper
are in configs/base.py."""

import dataclasses
import difflib
import math
import sys
import typing
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model.config import MeshConfig, ModelConfig

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("constant", "linear", "cosine", "wsd")
_LARGEST_INT = (1 << 63) - 1  # what numpy and XLA count with
TRACKERS = ("tensorboard", "wandb", "trackio")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Settings of the optimizer: AdamW, or Muon for the matrices of layers and AdamW for the rest.

    Attributes: peak_lr: learning rate after warm-up. schedule: after the linear warm-up:
      'constant'; 'linear' (the paper's) or 'cosine' down to `final_lr_ratio`; 'wsd': constant, then
      linear over the last `decay_share` of the steps. warmup_steps: steps of linear warm-up from
      zero. final_lr_ratio: final learning rate over `peak_lr`. decay_share: share of all steps that
      'wsd' decays over. b1, b2, eps, weight_decay: as in AdamW (Loshchilov & Hutter 2019); norm
      scales are not decayed. clip_norm: global gradient norm is clipped to this; 0 means no
      clipping. name: 'adamw', or 'muon' (Jordan et al. 2024): momentum made orthogonal by
      Newton-Schulz steps. momentum: of Muon's matrices. matrix_rms: root mean square of what Muon
      adds to a matrix over the learning rate; 0.2 is AdamW's, so that both take one learning rate
      and decay (Liu et al. 2025, arXiv 2502.16982). skip_spikes: a step is skipped whose loss or
      gradient norm is more than so many standard deviations above its mean over the last
      `spike_window` steps, or is not finite; 0: never, and what is not finite stops the run.
    """

    peak_lr: float
    schedule: str = "linear"
    warmup_steps: int = 0
    final_lr_ratio: float = 0.0
    decay_share: float = 0.2
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    name: str = "adamw"
    momentum: float = 0.95
    matrix_rms: float = 0.2
    skip_spikes: float = 0.0
    spike_window: int = 128

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(
                f"optimizer.name={self.name!r} is unknown; use one of {', '.join(OPTIMIZERS)}"
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"optimizer.schedule={self.schedule!r} is unknown; use one of"
                f" {', '.join(SCHEDULES)}"
            )
        for name in ("b1", "b2", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"optimizer.{name}={getattr(self, name)} must be at least 0 and below 1"
                )
        for name in ("decay_share", "final_lr_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"optimizer.{name}={getattr(self, name)} must be at least 0 and at most 1"
                )
        for name in ("eps", "matrix_rms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name}={getattr(self, name)} must be above 0")
        if self.spike_window < 4:
            raise ValueError(f"optimizer.spike_window={self.spike_window} must be at least 4")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the data lie.

    Attributes:
      train: `folder` or `name=folder:weight,...` (shards packed `concat`, or for fine-tuning
        `best_fit`).
      eval: the same, one entry a domain (shards packed `document` or `best_fit`); may be empty.
      root: folder that relative shards folders are under.
    """

    train: str
    eval: str = ""
    root: str = "shards"


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Loss settings:

    `chunk` positions whose logits exist at one time (0: all); `z_loss` weight of mean(logz^2).
    """

    chunk: int = 0
    z_loss: float = 0.0


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When checkpoints are saved and which stay.

    Attributes:
      every_steps: one every so many steps (0: only the last), and one at the end.
      keep: the newest so many stay; 0: nothing is saved at all, for benchmarks.
      keep_every_steps: so do all at multiples of this; 0: none.
    """

    every_steps: int = 1000
    keep: int = 2
    keep_every_steps: int = 0


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Held-out evaluation every `every_steps` (0: only at the end), `batch` windows at a time."""

    every_steps: int = 0
    batch: int = 32


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """What a run writes about itself.

    `every_steps`: cadence of metrics.jsonl. `tracker`: who is told the same scalars, one or more of
    `TRACKERS`, comma-separated, or none. `project`: whose run it is to W&B and Trackio.
    """

    every_steps: int = 1
    tracker: str = "tensorboard"
    project: str = "divsyn_jax"

    def __post_init__(self) -> None:
        for name in self.trackers():
            if name not in TRACKERS:
                raise ValueError(
                    f"log.tracker={self.tracker!r}: {name!r} is unknown; use {', '.join(TRACKERS)},"
                    " several of them, or none"
                )
        if self.trackers() and not self.project:
            raise ValueError("log.project is empty; name the project")

    def trackers(self) -> tuple[str, ...]:
        """The names in `tracker`; empty for none."""
        names = (name.strip() for name in self.tracker.split(","))
        return tuple(dict.fromkeys(name for name in names if name not in ("", "none")))


def _log_of_today(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of `log` in a recipe of 0.1.0, which named TensorBoard and W&B apart, as today's."""
    if "tensorboard" not in values and "wandb" not in values:
        return values
    kept = {key: value for key, value in values.items() if key not in ("tensorboard", "wandb")}
    names = ["tensorboard"] * bool(values.get("tensorboard", True))
    if values.get("wandb"):
        names.append("wandb")
        kept["project"] = values["wandb"]
    return {**kept, "tracker": ",".join(names) or "none"}


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
    """A profiler trace of `steps` steps from `first_step` on, into the run directory's profile/; 0
    steps: none.
    """

    first_step: int = 0
    steps: int = 0


@dataclasses.dataclass(frozen=True)
class DebugConfig:
    """Checks that cost time.

    Attributes:
      deterministic: make XLA choose deterministic GPU kernels, for bit-exact resume there.
      nans: stop inside the operation that makes the first NaN (jax_debug_nans).
      repeat_every_steps: compute every so many steps twice and stop when a bit differs; 0: never.
    """

    deterministic: bool = False
    nans: bool = False
    repeat_every_steps: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
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

    steps: int = 0
    epochs: int = 0
    global_batch: int
    accumulation_steps: int = 1
    seq_len: int
    seed: int = 0
    init_from: str = ""
    model: ModelConfig
    optimizer: OptimizerConfig
    loss: LossConfig = LossConfig()
    data: DataConfig
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    checkpoint: CheckpointConfig = CheckpointConfig()
    eval: EvalConfig = EvalConfig()
    log: LogConfig = LogConfig()
    profile: ProfileConfig = ProfileConfig()
    debug: DebugConfig = DebugConfig()
    level: Mapping[str, Any] = dataclasses.field(default_factory=dict)

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
                f"optimizer.warmup_steps={self.optimizer.warmup_steps} is not less than"
                f" steps={self.steps}; lower it with --config.optimizer.warmup_steps"
            )
        if self.loss.chunk and self.seq_len % self.loss.chunk:
            raise ValueError(f"loss.chunk={self.loss.chunk} does not divide seq_len={self.seq_len}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Recipe":
        """Build from a ConfigDict or plain dict.

        A key that is missing takes its default. Raises `UserError` naming one that is unknown or
        wrong, or missing where it has no default.
        """
        return _build(cls, config, "config")

    @staticmethod
    def blank() -> dict[str, Any]:
        """Every key of a recipe as a nested dict: its default, or 0 or '' where it has none."""
        return _blank(Recipe)

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
    if cls is LogConfig:
        values = _log_of_today(values)
    types = typing.get_type_hints(cls)
    for name in sorted(set(values) - set(types)):
        close = difflib.get_close_matches(name, types, 1)
        meant = f"did you mean {close[0]!r}? Known" if close else "known"
        raise UserError(f"{place}.{name}: unknown key; {meant} are {', '.join(types)}")
    arguments = {}
    for field in dataclasses.fields(cls):
        kind, key = types[field.name], f"{place}.{field.name}"
        if field.name in values:
            arguments[field.name] = _convert(kind, values[field.name], key)
        elif _has_no_default(field):
            if not dataclasses.is_dataclass(kind):
                raise UserError(f"{key}: missing, and it has no default; add it")
            arguments[field.name] = _convert(kind, {}, key)  # names what the section lacks
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None


def _has_no_default(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _blank(cls: type) -> dict[str, Any]:
    types = typing.get_type_hints(cls)
    content: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        kind = types[field.name]
        if dataclasses.is_dataclass(kind):
            content[field.name] = _blank(typing.cast(type, kind))
        elif field.default_factory is not dataclasses.MISSING:
            content[field.name] = field.default_factory()
        else:
            content[field.name] = kind() if _has_no_default(field) else field.default
    return content


def _convert(kind: Any, value: Any, place: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type, kind), value, place)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) > (_LARGEST_INT if kind is int else sys.float_info.max):
        raise UserError(f"{place}={value}: larger than any number of a recipe")
    if is_number and kind is float:
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
