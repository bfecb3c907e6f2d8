"""What generate_corpus writes, by diversity level: one of the four prompt templates, or any level of configs/diversity.py.

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/topic_styles_persona

Templates, from the plainest to the most diverse: topic, topic_styles, topic_styles_persona, multi_topic_styles_persona.
"""

from ml_collections import ConfigDict

from configs import diversity
from divsyn_jax.commandline import UserError


def get_config(argument: str | None = None) -> ConfigDict:
    """The settings of a level: how many records, the seed, and what the built-in grammar draws on."""
    name = argument or "topic_styles_persona"
    level = diversity.level_of(f"level={name}")
    if not level.template:
        raise UserError(f"{name}: has no synthetic corpus")
    return ConfigDict(
        {
            "level": name,
            "seed": 0,
            "documents": level.grammar_documents(),
            # Of --kind=instructions and --kind=items; 0: all there are.
            "questions": 0,
            # Each a number from the front of its list; see divsyn_jax/synthesis/grammar.py.
            "grammar": level.grammar(),
        }
    )
