"""Generators (section 3.5): GPT-4o, GPT-3.5, Llama-3.1-8B, Mistral-7B and a mixture, weighted to 5B
tokens; 350M.

python launch/sweep.py plan --study=configs/studies/generators.py
"""

from configs.studies import paper

LEVELS = tuple(
    f"generator_{name}" for name in ("gpt4o", "gpt35", "llama31_8b", "mistral_7b", "mixed")
)


def get_config():
    """Five corpora and real text alone."""
    return paper.experiment("generators", ("real_only", *LEVELS), sizes=("350m",))
