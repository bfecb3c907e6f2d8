"""A study small enough for a test:

three breadths and a null twin, one seed, six steps, scored with the true labels.
"""

from configs.studies import tiny

MODEL = {"vocab_size": 600, "hidden": 32, "intermediate": 48, "heads": 2, "kv_heads": 2}


def get_config():
    """The default study, shrunk."""
    config = tiny.get_config()
    config.name = "test"
    config.levels = [
        {"name": "narrow", "topics": 2, "styles": 1, "personas": 1, "seed": 0},
        {"name": "middle", "topics": 6, "styles": 2, "personas": 2, "seed": 0},
        {"name": "middle_twin", "topics": 6, "styles": 2, "personas": 2, "seed": 1},
        {"name": "broad", "topics": 20, "styles": 4, "personas": 4, "seed": 0},
    ]
    config.null_control = ("middle", "middle_twin")
    config.documents, config.heldout_documents, config.seeds, config.vocab_size = 150, 20, (0,), 600
    config.score = {"agent": "oracle", "label_field": "topic", "draws": 500, "sample_size": 10}
    config.train = {
        "config": "configs/tiny.py",
        "steps": 6,
        "global_batch": 4,
        "seq_len": 160,
        "optimizer": {"warmup_steps": 1},
        "model": MODEL,
        "eval": {"batch": 8},
        "checkpoint": {"every_steps": 2},
    }
    config.sft = {
        "config": "configs/sft_tiny.py",
        "data": "grammar",
        "instructions": 40,
        "epochs": 1,
        "optimizer": {"warmup_steps": 1},
        "seq_len": 160,
        "model": MODEL,
        "checkpoint": {"every_steps": 2},
    }
    return config
