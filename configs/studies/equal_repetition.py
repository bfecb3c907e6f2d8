"""Control the paper lacked: topics x generations with every corpus read equally often, real text
filling the rest.

python launch/sweep.py plan --study=configs/studies/equal_repetition.py

Every run trains on the same T tokens, with real text at weight R (34): a corpus of u unique tokens
at weight w is read T w / (R + w) / u times. With w = R u / (R + U - u), U being the largest u, that
is T / (R + U) for every corpus, and the largest weighs U. Unique tokens still differ, and with them
the share of real text, (R + U - u) / (R + U): read it beside equal_unique_tokens.

u are the unique tokens of the paper's corpora, in billions. For corpora of other sizes put theirs
into UNIQUE_TOKENS_B, in any unit that gives the largest the weight it should have against 34; the
report says whether the epochs came out equal."""

from configs import diversity
from configs.studies import topics

UNIQUE_TOKENS_B = {name: diversity.LEVELS[name].unique_tokens_b for name in topics.LEVELS}


def get_config():
    """The study `topics`, weighted to equal repetition."""
    config = topics.get_config()
    config.name = "equal_repetition"
    real, largest = config.real_weight, max(UNIQUE_TOKENS_B.values())
    weights = {
        name: real * unique / (real + largest - unique) for name, unique in UNIQUE_TOKENS_B.items()
    }
    config.levels = [
        {**level, "synthetic_weight": weights[level["name"]]}
        for level in config.levels
        if level["name"] in weights
    ]
    return config
