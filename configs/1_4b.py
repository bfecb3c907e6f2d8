"""The paper's "1.4B" model (its printed shape has 1.28B parameters): 150B tokens in sequences of
2048, 128 a step.

  python -m divsyn_jax.train --config=configs/1_4b.py:level=topic_styles_persona \\
      --workdir=runs/1_4b_persona

A step is 128 sequences at once; choose accumulation_steps so that a device holds 16 (one GPU of 80
GB: 8, eight: 1; TPUs: divsyn_jax.compile tells what fits). Parts of a layer that are cheap to
compute are computed again (remat 'minimal').

To try the shape on a CPU with 24 GB (22.3 GB at the peak of a step): --config.steps=2
--config.optimizer.warmup_steps=1 --config.global_batch=1 --config.eval.batch=1 --config.seq_len=64
--config.loss.chunk=64 --config.model.dtype=float32 --config.optimizer.clip_norm=0.0
--config.checkpoint.keep=0 (clipping holds all gradients and their updates at once)."""

from configs import base


def get_config(argument: str | None = None):
    """The 1.4B recipe; `level=NAME` binds a diversity level."""
    config = base.get_base()
    config.model.update(hidden=2048, intermediate=8192, layers=16, heads=32, kv_heads=32)
    config.steps, config.global_batch = 572_205, 128  # 150B tokens
    config.optimizer.warmup_steps = 2000
    config.loss.chunk, config.model.remat = 512, "minimal"
    return base.bind_level(config, argument)
