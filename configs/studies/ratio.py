"""Ratio of synthetic to real text (section 3.6): one corpus weighted to 1 to 50B tokens against 34B real ones; 350M.

python launch/sweep.py plan --study=configs/studies/ratio.py

The diversity score is the same at every level, so no correlation with it is defined: the study answers the claim `ratio`.
"""

from configs.studies import paper

LEVELS = tuple(f"ratio_{tokens}b" for tokens in (1, 5, 10, 20, 34, 50))


def get_config():
    """Six weights of the Topic Styles Persona corpus and real text alone."""
    return paper.experiment("ratio", ("real_only", *LEVELS), sizes=("350m",))
