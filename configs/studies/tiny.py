"""The default study (`make study`): six breadths of the built-in grammar, a null control, three
seeds, on a CPU.

  python -m divsyn_jax.study --config=configs/studies/tiny.py

A 0.9M-parameter model a run, pre-trained on 204,800 tokens, a quarter of them real text (CPython's
documentation topics), then fine-tuned on instructions. A quarter of an hour on two slow cores. With
corpora of your own use configs/studies/corpora.py."""

from ml_collections import ConfigDict

_MODEL = {"hidden": 128, "intermediate": 320, "heads": 2, "kv_heads": 2}


def get_config() -> ConfigDict:
    """The study recipe; every key is explained in divsyn_jax/study/recipe.py."""
    return ConfigDict(
        {
            "name": "tiny",
            "kind": "positive_control",
            # Narrow to broad: topics, styles and personas are nested, so every level contains the
            # one before.
            "levels": [
                {"name": "breadth_1", "topics": 1, "styles": 1, "personas": 1, "seed": 0},
                {"name": "breadth_2", "topics": 2, "styles": 1, "personas": 1, "seed": 0},
                {"name": "breadth_3", "topics": 4, "styles": 2, "personas": 2, "seed": 0},
                {"name": "breadth_4", "topics": 8, "styles": 4, "personas": 4, "seed": 0},
                {"name": "breadth_5", "topics": 16, "styles": 6, "personas": 8, "seed": 0},
                {"name": "breadth_6", "topics": 32, "styles": 8, "personas": 16, "seed": 0},
                {"name": "breadth_4_twin", "topics": 8, "styles": 4, "personas": 4, "seed": 1},
            ],
            "documents": 1500,
            # Two corpora that differ in nothing but the seed: what the whole chain shows when there
            # is nothing to show.
            "null_control": ("breadth_4", "breadth_4_twin"),
            "corpora": (),
            "equal_text": False,
            "text_field": "text",
            "real": "pydoc",
            "real_weight": 1.0,
            "synthetic_weight": 3.0,
            "heldout": ("grammar", "pydoc"),
            "heldout_documents": 150,
            # The grammar's own questions, which no document and no instruction asks: with its four
            # choices, chance is 0.25.
            "tasks": ("items",),
            "task_data": "grammar",
            # A model of this size hardly answers questions; what it says about text is the sharper
            # measure.
            "primary": "heldout",
            "seeds": (0, 1, 2),
            "sizes": (),
            "stages": ("pretrain", "evaluate", "sft", "evaluate"),
            "vocab_size": 2048,
            "score": {
                "agent": "embedding",
                "draws": 20_000,
                "sample_size": 10,
                "threshold": 0.5,
                "max_documents": 400,
            },
            "train": {
                "config": "configs/tiny.py",
                "steps": 100,
                "global_batch": 16,
                # Four sequences at a time stay in a core's cache: a third faster, the same
                # mathematics.
                "accumulation_steps": 4,
                "seq_len": 128,
                "model": _MODEL,
                "optimizer": {"warmup_steps": 40},
                "eval": {"batch": 8},
            },
            "sft": {
                "config": "configs/sft_tiny.py",
                "data": "grammar",
                "instructions": 512,
                "epochs": 1,
                "model": _MODEL,
            },
            # What the results are asked: divsyn_jax/study/hypotheses/listed.py says what there is.
            "hypotheses": ("predicts", "null_control", "paper"),
            # Seconds on two cores of a 2021 server, set-up excluded; printed beside what each stage
            # took.
            "budget": (
                {"corpora": 15, "score": 135, "tokenise": 20, "train": 385, "evaluate": 95}
                | {"sft": 210, "sft evaluate": 95, "report": 15}
            ),
        }
    )
