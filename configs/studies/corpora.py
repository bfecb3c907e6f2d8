"""The study of your own corpora: one level a corpus, three seeds, the small model of the default
study trained longer.

  python -m divsyn_jax.study --config=configs/studies/corpora.py \\
      --corpora='a.jsonl.gz b.jsonl.gz c.jsonl.gz' --eval='news=heldout.jsonl'

1.8 million training tokens a run, none of them from elsewhere. A run takes about three minutes of a
core. """

from configs.studies import tiny


def get_config():
    """The default study without its corpora; --corpora and --eval fill them in."""
    config = tiny.get_config()
    config.name, config.kind = "corpora", "observation"
    config.levels, config.null_control, config.documents = [], (), 0
    config.real, config.heldout = "", ()
    config.tasks, config.task_data, config.stages, config.sft = (), "", ("pretrain", "evaluate"), {}
    config.seeds = (0, 1, 2)
    config.score.max_documents = 2000
    config.train.steps = 900
    del config.budget["sft"], config.budget["sft evaluate"]
    config.budget.update(corpora=30, score=180, tokenise=60, train=1800, evaluate=90)
    return config
