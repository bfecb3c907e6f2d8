"""Ratio of synthetic to real text (section 3.6): one corpus weighted to 1 to 50B tokens against 34B
real ones; 350M.

python launch/sweep.py plan --study=configs/studies/ratio.py

All weights are of one corpus, so beside that of real text alone there is one diversity score and no
correlation with it is
taken (its unit is the corpus): the study answers the claim `ratio`."""

from configs.studies import paper

LEVELS = tuple(f"ratio_{tokens}b" for tokens in (1, 5, 10, 20, 34, 50))


def get_config():
    """Six weights of the Topic Styles Persona corpus and real text alone."""
    return paper.experiment("ratio", ("real_only", *LEVELS), sizes=("350m",))
