"""The paper's settings of a training recipe. Recipes start from here and change what differs.

Every key, with its meaning and its default, is in divsyn_jax/training/recipe.py (`model.*` and
`mesh.*` in divsyn_jax/model/config.py).

Settings not stated in the paper (warm-up length, clipping) are ours; README lists every deviation.
"""

from ml_collections import ConfigDict

from configs import diversity
from divsyn_jax.training.recipe import Recipe


def get_base() -> ConfigDict:
    """A complete recipe without a model shape: AdamW, linear warm-up and decay, context 2048 (Chen
    et al. 2024, A.1).
    """
    config = ConfigDict(Recipe.blank())
    config.update(steps=1000, global_batch=256, seq_len=2048)
    config.model.vocab_size = 50304
    config.optimizer.update(
        peak_lr=3e-4,
        schedule="linear",
        warmup_steps=100,
        b1=0.9,
        b2=0.95,
        weight_decay=0.1,
        clip_norm=1.0,
    )
    return config


def bind_level(config: ConfigDict, argument: str | None) -> ConfigDict:
    """Apply the config argument (`level=NAME[,control=CONTROL]` or nothing):

    data.train, steps and the stored level follow.
    """
    level = diversity.level_of(argument)
    if level:
        config.data.train = level.data_train()
        config.steps = round(config.steps * level.steps_ratio)
        config.level = ConfigDict(level.to_dict())
    return config


def fine_tune(config: ConfigDict) -> ConfigDict:
    """Turn a pre-training recipe into that of its fine-tuning on conversations (Chen et al. 2024,
    A.1).

    The paper does not state batch, warm-up and schedule.
    """
    config.steps, config.epochs, config.global_batch = 0, 3, 32
    config.optimizer.update(peak_lr=2e-5, weight_decay=0.0, warmup_steps=20)
    config.data.train = config.data.eval = ""
    config.checkpoint.every_steps = 200
    return config
