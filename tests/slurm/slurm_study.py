"""A very small study for the test on a real Slurm: two breadths and a null twin, one seed, long enough to be killed."""

from configs.studies import tiny


def get_config():
    """The default study, shrunk."""
    config = tiny.get_config()
    config.name = "slurm"
    config.levels = [
        {"name": "narrow", "topics": 2, "styles": 1, "personas": 1, "seed": 0},
        {"name": "twin", "topics": 2, "styles": 1, "personas": 1, "seed": 1},
        {"name": "broad", "topics": 20, "styles": 4, "personas": 4, "seed": 0},
    ]
    config.null_control = ("narrow", "twin")
    config.documents, config.heldout_documents, config.seeds, config.vocab_size = 150, 20, (0,), 600
    config.score = {"agent": "oracle", "label_field": "topic", "draws": 500, "sample_size": 10}
    config.tasks, config.stages = (), ("pretrain", "evaluate")
    config.train = {
        "config": "configs/tiny.py",
        "steps": 60,
        "global_batch": 4,
        "seq_len": 32,
        "optimizer": {"warmup_steps": 1},
        "model": {"vocab_size": 600, "hidden": 32, "intermediate": 48, "heads": 2, "kv_heads": 2},
        "eval": {"batch": 8},
        "checkpoint": {"every_steps": 10},
    }
    return config
