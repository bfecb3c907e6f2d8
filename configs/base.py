"""Every key of a training recipe, with the paper's settings as defaults. Recipes start from here
and change what differs.

Settings not stated in the paper (warm-up length, clipping) are ours; README lists every deviation.
"""

from ml_collections import ConfigDict

from configs import diversity


def get_base() -> ConfigDict:
    """A complete recipe without a model shape: AdamW, linear warm-up and decay, context 2048 (Chen
    et al. 2024, A.1).
    """
    return ConfigDict(
        {
            "steps": 1000,
            "epochs": 0,
            "global_batch": 256,
            "accumulation_steps": 1,
            "seq_len": 2048,
            "seed": 0,
            "init_from": "",
            "model": {
                "vocab_size": 50304,
                "hidden": 0,
                "intermediate": 0,
                "layers": 0,
                "heads": 0,
                "kv_heads": 0,
                "rope_theta": 10000.0,
                "norm_eps": 1e-5,
                "tied": False,
                "dtype": "bfloat16",
                "attention": "auto",
                "remat": "none",
                "scan": True,
            },
            "optimizer": {
                "peak_lr": 3e-4,
                "schedule": "linear",
                "warmup_steps": 100,
                "final_lr_ratio": 0.0,
                "decay_share": 0.2,
                "b1": 0.9,
                "b2": 0.95,
                "eps": 1e-8,
                "weight_decay": 0.1,
                "clip_norm": 1.0,
            },
            "loss": {"chunk": 0, "z_loss": 0.0},
            "data": {"root": "shards", "train": "", "eval": ""},
            "mesh": {"replica": 1, "fsdp": -1, "tensor": 1},
            "checkpoint": {"every_steps": 1000, "keep": 2, "keep_every_steps": 0},
            "eval": {"every_steps": 0, "batch": 32},
            "log": {"every_steps": 1, "tensorboard": True, "wandb": ""},
            "profile": {"first_step": 0, "steps": 0},
            "debug": {"deterministic": False, "nans": False, "repeat_every_steps": 0},
            "level": {},
        }
    )


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
