"""A run directory as training leaves it, made without training:

random weights large enough that everything matters.
"""

import contextlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from configs import tiny
from divsyn_jax.base import files
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.model import decoder
from divsyn_jax.training.checkpointing import Checkpoints
from divsyn_jax.training.recipe import Recipe


def make_run(
    workdir: pathlib.Path, tokenizer_dir: pathlib.Path, seq_len: int = 64, step: int = 3, **shape
) -> pathlib.Path:
    """Write a run of a small model (`shape` overrides keys of `model.*`) and return its folder."""
    tokenizer = tokenizers.load_tokenizer(str(tokenizer_dir))
    config = tiny.get_config()
    config.model.update(
        vocab_size=tokenizer.vocab_size + 8,
        hidden=48,
        intermediate=80,
        layers=3,
        heads=4,
        kv_heads=2,
        attention="blocked",
    )
    config.model.update(shape)
    config.update(seq_len=seq_len, steps=60)
    recipe = Recipe.from_config(config.to_dict())
    generator = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: x + 0.1 * jnp.asarray(generator.standard_normal(x.shape), jnp.float32),
        decoder.init_params(recipe.model, seed=0),
    )
    # Bytes alone are hardly ever text, and libraries differ in how they show what is not: make them
    # unlikely.
    if not recipe.model.tied:
        params["head"] = params["head"].at[3:259].set(0.0)
    files.write_json(workdir / "config.json", recipe.to_dict())
    (workdir / "tokenizer").mkdir(parents=True)
    tokenizer.copy_to(workdir / "tokenizer")
    with contextlib.closing(Checkpoints(workdir, 2, 0)) as checkpoints:
        checkpoints.save_params(params, {"step": step, "data": {"seed": 0}})
    return workdir
