"""Control the paper lacked: run-to-run variance. The two extreme templates at 350M, ten seeds each.

python launch/sweep.py plan --study=configs/studies/seeds.py
"""

from configs.studies import paper


def get_config():
    """Two corpora, ten seeds."""
    config = paper.experiment("seeds", ("topic", "topic_styles_persona"), sizes=("350m",))
    config.seeds = tuple(range(10))
    return config
