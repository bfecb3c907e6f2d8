"""A 1.6M-parameter model that trains in a minute or two on two CPU cores: for tests and tutorials.

python -m divsyn_jax.train --config=configs/tiny.py --workdir=runs/tiny --config.data.train=corpus
"""

from configs import base


def get_config(argument: str | None = None):
    """The tiny recipe; `level=NAME` binds a diversity level."""
    config = base.get_base()
    config.steps, config.global_batch, config.seq_len = 150, 16, 128
    config.model.update(
        vocab_size=2048, hidden=192, intermediate=448, layers=2, heads=3, kv_heads=3
    )
    config.model.update(dtype="float32", scan=False)
    config.loss.chunk = 32
    # A shorter warm-up leaves some seeds on a plateau for the whole run
    # (tools/benchmarks/NOTES.md).
    config.optimizer.update(peak_lr=3e-3, warmup_steps=50)
    config.checkpoint.update(every_steps=75, keep=1)
    config.log.tracker = "none"
    return base.bind_level(config, argument)
