"""A factorial study small enough for a test: two factors and the sham on eight corpora, a twin, two
seeds, four steps, scored with the true labels."""

from configs.studies import factorial
from tests.study.small_study import MODEL


def get_config():
    """The factorial study, shrunk."""
    config = factorial.get_config()
    config.name = "small_factorial"
    config.levels = [{"name": "common", "styles": 1, "personas": 1, "formats": 1, "seed": 0}]
    config.factors = {"topics": (2, 6), "wordings": (1, 3)}
    config.heldout = ("seen", "unseen_topics", "unseen_wordings")
    config.documents, config.heldout_documents, config.seeds = 60, 12, (0, 1)
    config.vocab_size = 500
    config.score = {"agent": "oracle", "label_field": "topic", "draws": 300, "sample_size": 10}
    config.train = {
        "config": "configs/tiny.py",
        "steps": 4,
        "global_batch": 4,
        "seq_len": 160,
        "optimizer": {"warmup_steps": 1},
        "model": MODEL | {"vocab_size": 504},
        "eval": {"batch": 8},
    }
    return config
