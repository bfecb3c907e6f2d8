"""Prompt templates (section 3.4): from Topic to Multi-Topic Styles Persona, all weighted to 20B
tokens.

python launch/sweep.py plan --study=configs/studies/templates.py
"""

from configs.studies import paper

LEVELS = ("topic", "topic_styles", "topic_styles_persona", "multi_topic_styles_persona")
# Cosmopedia is downloaded, not generated: no level of configs/diversity.py.
COSMOPEDIA = tuple(
    {"name": name, "corpus": f"corpora/{name}.jsonl.zst", "synthetic_weight": 20.0}
    for name in ("cosmopedia_v01", "cosmopedia_v02")
)


def get_config():
    """Four templates, both Cosmopedias and real text alone."""
    config = paper.experiment("templates", ("real_only", *LEVELS))
    config.levels = [*config.levels, *COSMOPEDIA]
    return config
