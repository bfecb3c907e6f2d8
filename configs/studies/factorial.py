"""Which diversity buys which generalisation: topics, styles, personas and wordings of the built-in
grammar vary independently (2^4 in full), beside a sham factor and a twin, on a CPU.

  python -m divsyn_jax.study --config=configs/studies/factorial.py

Sixteen corpora and a twin, three seeds each, of the 0.9M-parameter model of the default study, on
five held-out texts: new on one axis alone, or on none. Half an hour on two slow cores, 17 minutes
measured on newer ones."""

from ml_collections import ConfigDict

from configs.studies import tiny


def get_config() -> ConfigDict:
    """The default study with its corpora crossed."""
    config = tiny.get_config()
    config.name = "factorial"
    # What all corpora have in common. Formats in use: lengths are dealt, so that none leaks.
    config.levels = [{"name": "common", "formats": 1, "seed": 0}]
    # Low and high. Some entries of every axis are left to the held-out text (of 32 topics, 9
    # styles, 17 personas and 6 wordings).
    config.factors = {
        "topics": (4, 24),
        "styles": (1, 7),
        "personas": (1, 13),
        "wordings": (1, 4),
    }
    config.resolution = "full"
    config.null_control = ()
    config.documents = 700
    config.heldout = ("seen", "unseen_topics", "unseen_styles", "unseen_personas")
    config.heldout += ("unseen_wordings",)
    config.heldout_documents = 100
    config.tasks, config.task_data, config.stages, config.sft = (), "", ("pretrain", "evaluate"), {}
    config.seeds = (0, 1, 2)
    config.score.max_documents = 300
    config.score.draws = 5000
    # A longer warm-up than the default study's: fewer seeds linger on a plateau, which is most of
    # the noise that effects are judged by.
    config.train.optimizer.warmup_steps = 60
    config.hypotheses = ("factors", "null_control")
    config.budget = {
        "corpora": 90,
        "score": 300,
        "tokenise": 40,
        "train": 950,
        "evaluate": 250,
        "report": 40,
    }
    return config
