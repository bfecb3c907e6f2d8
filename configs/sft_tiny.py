"""Fine-tuning of configs/tiny.py on a CPU: for tests and tutorials.

  python -m divsyn_jax.train --config=configs/sft_tiny.py --config.init_from=runs/tiny \\
      --config.data.train=instructions --workdir=runs/tiny_sft
"""

from configs import base, tiny


def get_config(argument: str | None = None):
    """The tiny fine-tuning recipe."""
    config = base.fine_tune(tiny.get_config(argument))
    config.global_batch = 8
    # A model of this size learns nothing at the rate of the large ones.
    config.optimizer.update(peak_lr=5e-4, warmup_steps=5)
    return config
