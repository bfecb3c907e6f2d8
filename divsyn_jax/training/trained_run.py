"""A finished or imported run, opened for reading: its recipe, tokenizer and parameters."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
from typing import Any

import jax
from jax.sharding import Mesh

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import stop_tokens
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.config import MeshConfig, ModelConfig
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run directory that holds a recipe, a tokenizer and checkpoints."""

    workdir: pathlib.Path
    recipe: Recipe
    tokenizer: tokenizers.Tokenizer

    @functools.cached_property
    def stops(self) -> list[int]:
        """The token ids that end a text, EOS first."""
        return stop_tokens.named_stops(self.workdir / "tokenizer", self.tokenizer)

    @functools.cached_property
    def inference_model(self) -> ModelConfig:
        """The model as it is scored and sampled: float32 and portable attention, whatever it was
        trained with, so that numbers do not move with batch size, devices or platform."""
        return dataclasses.replace(
            self.recipe.model, dtype="float32", attention="blocked", remat="none"
        )

    def inference_mesh(self) -> Mesh:
        """All devices here, whatever the run was trained on:

        parameters split over as many as divide them.
        """
        fsdp = math.gcd(jax.device_count(), self.recipe.model.hidden)
        return sharding.make_mesh(MeshConfig(replica=-1, fsdp=fsdp, tensor=1))

    def checkpoints(self) -> Checkpoints:
        """The checkpoints, to be closed by the caller."""
        return Checkpoints(
            self.workdir, self.recipe.checkpoint.keep, self.recipe.checkpoint.keep_every_steps
        )

    def abstract_params(self, mesh: Mesh | None = None) -> Any:
        """Shapes and dtypes of the parameters, with their shardings when a mesh is given."""
        shapes = jax.eval_shape(lambda: decoder.init_params(self.recipe.model, 0))
        if mesh is None:
            return shapes
        return jax.tree.map(
            lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
            shapes,
            sharding.state_shardings(shapes, mesh),
        )

    def load_params(self, mesh: Mesh, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Parameters and progress of the checkpoint of `step` (default: the newest).

        Raises `UserError` if unreadable.
        """
        with contextlib.closing(self.checkpoints()) as checkpoints:
            return checkpoints.restore_params(self.abstract_params(mesh), step)


def open_run(workdir: pathlib.Path) -> TrainedRun:
    """Open a run directory.

    Raises `UserError` where there is none or its recipe or tokenizer is unusable.
    """
    if not (workdir / "config.json").is_file():
        raise UserError(
            f"{workdir}: no run here (config.json is missing); train it with python -m"
            " divsyn_jax.train"
        )
    return TrainedRun(workdir, read_recipe(workdir), tokenizers.load_copy(workdir / "tokenizer"))


def read_recipe(workdir: pathlib.Path) -> Recipe:
    """The recipe in the config.json of a run directory; keys that it was written without take their
    defaults.

    Raises `UserError` naming what is wrong in it.
    """
    path = workdir / "config.json"
    try:
        return Recipe.from_config(files.read_json(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def checkpoint_identity(progress: dict[str, Any]) -> str:
    """A name for the weights of a checkpoint:

    equal for the same step of the same training, different after retraining.
    """
    return hashlib.sha256(json.dumps(progress, sort_keys=True).encode()).hexdigest()[:16]
