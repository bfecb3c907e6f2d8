"""What a run costs, estimated from its recipe alone (analytic; divsyn_jax.compile asks the
compiler).

FLOPs by the convention of MFU; bytes on a device: parameters, two AdamW moments and gradients in
float32 (16 a parameter, and 4 more where micro-batches are summed), what layers keep for the
backward pass and one chunk of logits, unsharded. Imports jax for the model's shapes."""

import dataclasses
import math

from divsyn_jax.model import decoder
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.training import metrics, recipe_file
from divsyn_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters, training tokens, FLOPs, bytes on one device and bytes on disk of a run's
    pre-training.
    """

    parameters: int
    tokens: int
    flops: float
    device_bytes: int
    disk_bytes: int

    def hours(self, peak_flops: float, mfu: float) -> float:
        """Accelerator-hours at that utilisation."""
        return self.flops / (peak_flops * mfu) / 3600


def estimate_run(study: Study, run: Run) -> Cost:
    """The cost of pre-training a run. Raises `UserError` for a recipe that does not stand."""
    keys = study.train_keys(run)
    recipe = Recipe.from_config(recipe_file.evaluate(keys))
    shape = recipe.model
    parameters = decoder.count_params(shape)
    rows = recipe.global_batch // recipe.accumulation_steps
    width = 2 if shape.dtype == "bfloat16" else 4
    # Arrays as wide as the hidden states that a layer keeps a token: its input; also its matrix
    # products; or everything.
    wide = math.ceil(shape.intermediate / shape.hidden)
    kept = {"full": 1, "none": 10 + 4 * wide}.get(shape.remat, 4 + 3 * wide)
    activations = rows * recipe.seq_len * shape.hidden * shape.layers * width * kept
    logits = 2 * 4 * rows * (recipe.loss.chunk or recipe.seq_len) * shape.vocab_size
    tokens = recipe.steps * recipe.global_batch * recipe.seq_len
    return Cost(
        parameters=parameters,
        tokens=tokens,
        flops=metrics.flops_per_token(shape, recipe.seq_len) * tokens,
        device_bytes=(20 if recipe.accumulation_steps > 1 else 16) * parameters
        + activations
        + logits,
        disk_bytes=12 * parameters * max(recipe.checkpoint.keep, 1),
    )
