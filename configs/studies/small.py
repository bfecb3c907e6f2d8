"""An hour on one GPU: eight breadths of the built-in grammar and a null control, three seeds of a
22M-parameter model.

  python -m divsyn_jax.study --config=configs/studies/small.py

Eight corpora: enough for tests with a control held fixed, which the default study's five are not.
33M training tokens a run; 27 runs, several at a time where they fit the GPU. The hour is an
estimate (40% MFU on an A100 would take a quarter of it), not a measurement."""

from configs.studies import tiny

BREADTHS = (
    (2, 1, 1),
    (4, 1, 2),
    (6, 2, 2),
    (8, 4, 4),
    (12, 4, 6),
    (16, 6, 8),
    (24, 8, 12),
    (32, 8, 16),
)


def get_config():
    """The default study, wider and with a larger model."""
    config = tiny.get_config()
    config.name = "small"
    config.levels = [
        {
            "name": f"breadth_{index}",
            "topics": topics,
            "styles": styles,
            "personas": personas,
            "seed": 0,
        }
        for index, (topics, styles, personas) in enumerate(BREADTHS, 1)
    ] + [{"name": "breadth_4_twin", "topics": 8, "styles": 4, "personas": 4, "seed": 1}]
    config.null_control = ("breadth_4", "breadth_4_twin")
    config.documents, config.heldout_documents, config.vocab_size = 20_000, 500, 8192
    model = {
        "vocab_size": 8192,
        "hidden": 384,
        "intermediate": 1024,
        "layers": 8,
        "heads": 6,
        "kv_heads": 6,
    }
    model |= {"dtype": "bfloat16", "scan": True}
    with config.unlocked():
        config.train = {
            "config": "configs/tiny.py",
            "steps": 2000,
            "global_batch": 64,
            "seq_len": 256,
            "model": model,
            "loss": {"chunk": 64},
            "optimizer": {"peak_lr": 1e-3, "warmup_steps": 200},
            "checkpoint": {"every_steps": 500},
        }
        config.sft = {
            "config": "configs/sft_tiny.py",
            "data": "grammar",
            "instructions": 0,
            "epochs": 3,
            "global_batch": 32,
            "seq_len": 256,
            "model": model,
            "loss": {"chunk": 64},
        }
    config.budget = {
        "corpora": 120,
        "score": 300,
        "tokenise": 120,
        "train": 2700,
        "evaluate": 240,
        "report": 30,
    }
    return config
