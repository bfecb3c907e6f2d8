"""What diversity is worth in unique text: four budgets of unique tokens x four breadths of the
built-in grammar, three seeds, at a fixed number of training tokens, on a CPU.

  python -m divsyn_jax.study --config=configs/studies/repetition.py

Every model reads 204,800 tokens: a budget of 12,800 is read 16 times, one of 102,400 twice."""

import itertools

from ml_collections import ConfigDict

from configs.studies import tiny

BUDGETS = (12_800, 25_600, 51_200, 102_400)
TOPICS = (2, 6, 16, 32)


def get_config() -> ConfigDict:
    """The default study with breadth and unique text crossed."""
    config = tiny.get_config()
    config.name = "repetition"
    common = {"styles": 4, "personas": 4, "formats": 1}
    # A seed a level: the level is the unit of the interval, and budgets cut from one corpus would
    # all be off together (tools/benchmarks/simulate_exchange.md).
    config.levels = [
        {
            "name": f"u{budget}_t{topics}",
            "topics": topics,
            "unique_tokens": budget,
            "seed": seed,
            **common,
        }
        for seed, (budget, topics) in enumerate(itertools.product(BUDGETS, TOPICS))
    ]
    config.null_control = ()
    # Enough for the largest budget: a document has over 150 tokens.
    config.documents = 700
    config.real, config.heldout = "", ("grammar",)
    config.tasks, config.task_data, config.stages, config.sft = (), "", ("pretrain", "evaluate"), {}
    config.seeds = (0, 1, 2)
    config.score.max_documents = 300
    config.score.draws = 5000
    config.train.optimizer.warmup_steps = 60
    config.hypotheses = ()
    config.budget = {
        "corpora": 100,
        "score": 250,
        "tokenise": 40,
        "train": 900,
        "evaluate": 90,
        "report": 30,
    }
    return config
