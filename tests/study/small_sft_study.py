"""A study of fine-tuning sets, small enough for a test: three sets, two seeds, six steps."""

from configs.studies import sft_diversity
from tests.study import small_study


def get_config():
    """The study of fine-tuning sets, shrunk."""
    small, config = small_study.get_config(), sft_diversity.get_config()
    config.levels = [
        {"name": "asked_3", "sft_corpus": "grammar", "topics": 3, "seed": 0},
        {"name": "asked_8", "sft_corpus": "grammar", "topics": 8, "seed": 0},
        {"name": "asked_20", "sft_corpus": "grammar", "topics": 20, "seed": 0},
    ]
    config.pretrain = {"topics": 20, "styles": 2, "personas": 2, "seed": 0}
    config.documents, config.heldout_documents, config.vocab_size = 150, 20, 600
    config.seeds, config.score, config.train = (0, 1), small.score, small.train
    del small.sft.data
    config.sft = small.sft
    config.sft.instructions, config.sft.epochs, config.sft.steps = 60, 0, 4
    return config
