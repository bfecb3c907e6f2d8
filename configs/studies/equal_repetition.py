"""Control the paper lacked: topics x generations with every corpus read equally often, real text filling the rest.

python launch/sweep.py plan --study=configs/studies/equal_repetition.py

A corpus weighs what it holds (its unique tokens) instead of 4.5B, so a pass over the mixture reads each document once.
Unique tokens still differ, and so does the share of real text: read it beside equal_unique_tokens.
"""

from configs import diversity
from configs.studies import topics


def get_config():
    """The study `topics`, weighted by unique tokens."""
    config = topics.get_config()
    config.name = "equal_repetition"
    config.levels = [
        {**level, "synthetic_weight": diversity.LEVELS[level["name"]].unique_tokens_b}
        for level in config.levels
        if level["name"] != "real_only"
    ]
    return config
