"""Fine-tuning of the paper's "1.4B" model on conversations: 3 epochs, peak 2e-5, no weight decay
(Chen et al. 2024, A.1).

  python -m divsyn_jax.train --config=configs/sft_1_4b.py --config.init_from=runs/1_4b_persona
  --config.data.train=instructions --workdir=runs/1_4b_persona_sft

The shards are made with build_shards --format=chat. The argument `:level=NAME` stores the level of
the run fine-tuned with this one; the data are always those of --config.data.train. Batch (in packed
windows), warm-up and clipping are ours."""

import importlib

from configs import base


def get_config(argument: str | None = None):
    """The fine-tuning recipe for `configs/1_4b.py`."""
    return base.fine_tune(importlib.import_module("configs.1_4b").get_config(argument))
