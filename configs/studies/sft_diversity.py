"""What the diversity of a fine-tuning set buys: twelve sets of instructions, three seeds, one
pre-training for all, on a CPU.

  python -m divsyn_jax.study --config=configs/studies/sft_diversity.py

Every set has 192 instructions of the built-in grammar, about 3 to 32 topics. Three models, one a
seed, are pre-trained on one corpus of all 32 topics; each is fine-tuned on each set, and asked
what no document and no instruction asks. A set of your own is --corpora=NAME=CONVERSATIONS."""

from ml_collections import ConfigDict

from configs.studies import tiny

TOPICS_ASKED = (3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 28, 32)
INSTRUCTIONS = 192


def get_config() -> ConfigDict:
    """The default study with fine-tuning sets in place of corpora."""
    config = tiny.get_config()
    config.name = "sft_diversity"
    config.levels = [
        {"name": f"asked_{topics}", "sft_corpus": "grammar", "topics": topics, "seed": 0}
        for topics in TOPICS_ASKED
    ]
    config.null_control = ()
    config.pretrain = {"topics": 32, "styles": 8, "personas": 16, "seed": 0}
    # Pre-training is done once a seed, so that it can be longer than the default study's.
    config.train.steps = 400
    config.heldout = ("grammar",)
    config.primary = "tasks"
    config.outcomes = ("probability", "minus_bits_per_byte", "margin", "above_chance")
    del config.sft.data
    config.sft.instructions = INSTRUCTIONS
    # Equal steps for all sets: their instructions fill nearly, not exactly, as many windows.
    config.sft.epochs, config.sft.steps = 0, 24
    config.score.max_documents = INSTRUCTIONS
    config.hypotheses = ("predicts",)
    config.budget = {"corpora": 15, "score": 60, "tokenise": 20, "train": 400, "evaluate": 30}
    config.budget.update({"sft": 300, "sft evaluate": 200, "report": 20})
    return config
