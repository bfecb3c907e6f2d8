"""Model size: every template at 350M and 1.4B, without the corpora that were not ours.

python launch/sweep.py plan --study=configs/studies/model_size.py
"""

from configs.studies import paper, templates


def get_config():
    """Four templates at both sizes."""
    return paper.experiment("model_size", templates.LEVELS)
