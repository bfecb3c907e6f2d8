"""Corpora that a real language model writes on this machine, offline (`make study-llm`): few topics
against many, and three decoding temperatures.

  python -m divsyn_jax.study --config=configs/studies/llm.py

SmolLM2-135M-Instruct by llama.cpp writes five corpora (the fewest that give an interval of a
correlation) of 250 documents of some 100 words, once: they are kept beside the study, and writing
that was stopped goes on. They are then scored, trained on and evaluated as the default study's are.
What the writer's settings do to what the corpora teach is an observation: nothing here is built
in."""

from ml_collections import ConfigDict

from configs.studies import tiny

_MANY, _SOME, _FEW = 25, 10, 2  # of the grammar's 32 topics


def _level(name: str, topics: int, temperature: float) -> dict:
    """A level in one style, by one writer."""
    axes = {"topics": topics, "styles": 1, "personas": 1}
    return {"name": name, **axes, "temperature": temperature, "seed": 0}


def get_config() -> ConfigDict:
    """The default study with other corpora, without the questions that only the grammar asks."""
    config = tiny.get_config()
    config.name, config.kind = "llm", "observation"
    config.levels = [
        _level("few_topics", _FEW, 0.7),
        _level("some_topics", _SOME, 0.7),
        _level("many_topics_cool", _MANY, 0.3),
        _level("many_topics", _MANY, 0.7),
        _level("many_topics_hot", _MANY, 1.0),
    ]
    config.null_control, config.documents = (), 250
    with config.unlocked():
        config.writer = {"base_url": "local", "min_words": 50, "max_words": 150, "candidates": 8}
    config.tasks, config.task_data, config.stages, config.sft = (), "", ("pretrain", "evaluate"), {}
    del config.budget["sft"], config.budget["sft evaluate"]
    # Two cores write some 40 documents a minute.
    config.budget.update(corpora=1800, score=120, train=240)
    return config
