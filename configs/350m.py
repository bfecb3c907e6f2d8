"""The paper's 350M model (406M parameters with untied embeddings): 50B tokens in sequences of 2048,
256 a step.

  python -m divsyn_jax.train --config=configs/350m.py:level=topic_styles_persona \\
      --workdir=runs/350m_persona

A step is 256 sequences at once; choose accumulation_steps so that a device holds 16 (one GPU of 80
GB: 16, eight: 2; TPUs: divsyn_jax.compile tells what fits). Parts of a layer that are cheap to
compute are computed again (remat 'minimal').

To try the shape on a CPU: --config.steps=2 --config.optimizer.warmup_steps=1
--config.global_batch=1 --config.seq_len=512 --config.model.dtype=float32, with shards of
--seq_len=512."""

from configs import base


def get_config(argument: str | None = None):
    """The 350M recipe; `level=NAME` binds a diversity level."""
    config = base.get_base()
    config.model.update(hidden=960, intermediate=2560, layers=28, heads=15, kv_heads=15)
    config.steps, config.global_batch = 95_367, 256  # 50B tokens
    config.optimizer.warmup_steps = 1000
    config.loss.chunk, config.model.remat = 512, "minimal"
    return base.bind_level(config, argument)
