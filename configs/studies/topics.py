"""Topics x generations (section 3.3): 100K and 300K topics, 10, 20 and 30 generations of each, all
weighted to 4.5B tokens.

python launch/sweep.py plan --study=configs/studies/topics.py
"""

from configs.studies import paper

LEVELS = tuple(
    f"topics_{topics}k_x{generations}" for topics in (100, 300) for generations in (10, 20, 30)
)


def get_config():
    """Six corpora and real text alone."""
    return paper.experiment("topics", ("real_only", *LEVELS))
