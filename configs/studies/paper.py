"""What the studies of the paper's experiments share (Chen et al. 2024); not a study itself. On
clusters: launch/sweep.py.

Corpora lie in corpora/<level>.jsonl.zst (made by generate_corpus or brought), real text in
corpora/real.jsonl.zst, conversations in corpora/instructions.jsonl. Levels and token weights are
those of configs/diversity.py. Three seeds a level, which the paper did not have."""

from ml_collections import ConfigDict

from configs import diversity
from configs.studies import tiny

TASKS = (
    "arc_challenge",
    "arc_easy",
    "boolq",
    "social_iqa",
    "winogrande",
    "piqa",
    "copa",
    "hellaswag",
)
SIZES = {
    "350m": {
        "config": "configs/350m.py",
        "steps": 95_367,
        "global_batch": 256,
        "sft": {"config": "configs/sft_350m.py"},
    },
    "1_4b": {
        "config": "configs/1_4b.py",
        "steps": 572_205,
        "global_batch": 128,
        "sft": {"config": "configs/sft_1_4b.py"},
    },
}


def experiment(
    name: str, levels: tuple[str, ...], sizes: tuple[str, ...] = ("350m", "1_4b")
) -> ConfigDict:
    """A study of levels of configs/diversity.py, pre-trained and fine-tuned at both sizes."""
    config = tiny.get_config()
    with config.unlocked():
        config.update(
            name=name,
            kind="observation",
            levels=[level(name) for name in levels],
            null_control=(),
            documents=0,
        )
        config.update(real="corpora/real.jsonl.zst", real_weight=diversity.REAL_TOKENS_B)
        config.update(heldout=("pydoc",), heldout_documents=2000, vocab_size=50_257)
        config.update(tasks=TASKS, task_data="", primary="tasks")
        config.stages = ("pretrain", "evaluate", "sft", "evaluate")
        config.train = {"config": "configs/350m.py", "seq_len": 2048}
        config.sft = {"data": "corpora/instructions.jsonl", "config": "configs/sft_350m.py"}
        config.sizes = tuple({"name": size, **SIZES[size]} for size in sizes)
        config.score.max_documents, config.budget = 1_000_000, {}
    return config


def level(name: str) -> dict:
    """A level of configs/diversity.py as a level of a study."""
    arm = diversity.LEVELS[name]
    corpus = f"corpora/{arm.corpus or 'real'}.jsonl.zst"
    return {"name": name, "corpus": corpus, "synthetic_weight": arm.effective_tokens_b}
