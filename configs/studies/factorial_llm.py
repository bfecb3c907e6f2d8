"""Which diversity of real text buys which generalisation: the factorial study of topic, style,
structure and wording, its corpora selected from pools of text that is there, on a CPU.

  python -m divsyn_jax.study --config=configs/studies/factorial_llm.py \\
      --corpora='NAME=pool.jsonl.gz NAME=pool.jsonl.gz' [--eval='news=heldout.jsonl']

Sixteen corpora and a twin, each facet low or high as divsyn_jax measures it, independently of the
others; every corpus has as many documents of each source (a pool, or a value of
config.selection.source_field) and of each length, and no document is in two. Beside text as the
corpora are, held-out text is what the pools hold of least like them in each facet. Two pools have
to hold some 2,000 documents of 100 to 260 words each, or config.documents be smaller. With few
documents leave a factor out: three take eight corpora and a twin."""

from ml_collections import ConfigDict

from configs.studies import factorial

FACETS = ("topic", "style", "structure", "wording")


def get_config() -> ConfigDict:
    """The factorial study with facets of given text in place of knobs of the grammar."""
    config = factorial.get_config()
    config.name, config.kind = "factorial_llm", "observation"
    config.levels = [{"name": "common", "seed": 0}]
    with config.unlocked():
        config.factors = dict.fromkeys(FACETS, ("low", "high"))
        # More keys, and what they mean: divsyn_jax/study/factorial/pools.py.
        config.selection = {"candidates": 6000, "min_words": 100, "max_words": 260}
    config.documents = 160
    config.real = ""
    config.heldout = ("pools", *(f"unlike_{facet}" for facet in FACETS))
    config.heldout_documents = 96
    # All of a corpus is looked at, so that the facets scored are those selected by.
    config.score.max_documents = config.documents
    config.budget.update(corpora=240, score=200, evaluate=300)
    return config
