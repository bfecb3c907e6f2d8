"""The commands of the project by name: `divsyn COMMAND`, and how each was called before.

The table holds names only, so that `divsyn --help` imports none of the commands.
"""

import dataclasses
import re

UMBRELLA = "divsyn"


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      name: what follows `divsyn`.
      module: the module whose `run()` is the command.
      alone: how the command is started without `divsyn`.
      summary: what it does, for the list of commands.
    """

    name: str
    module: str
    alone: str
    summary: str

    @property
    def full_name(self) -> str:
        """The command as a user types it."""
        return f"{UMBRELLA} {self.name}"


def _command(name: str, module: str, summary: str, script: str = "") -> Command:
    path = f"divsyn_jax.{module}"
    alone = script or f"python -m {path.removesuffix('.__main__')}"
    return Command(name, path, alone, summary)


COMMAND_GROUPS: dict[str, tuple[Command, ...]] = {
    "Diversity": (
        _command(
            "score",
            "diversity.score_corpus",
            "measure and compare the diversity of corpora",
            "score_corpus",
        ),
        _command(
            "compare",
            "diversity.comparing.compare_scores",
            "is a new corpus less diverse than the old one? an exit code for CI",
        ),
        _command(
            "calibrate",
            "diversity.calibration.calibrate_agent",
            "show how far a judge of diversity can be trusted",
            "calibrate_agent",
        ),
        _command(
            "grade_metric",
            "grading.grade_metric",
            "show what a metric of diversity sees, yours or a published one",
            "grade_metric",
        ),
    ),
    "Corpora": (
        _command(
            "generate",
            "synthesis.generate_corpus",
            "write a synthetic corpus of a chosen diversity",
            "generate_corpus",
        ),
        _command(
            "curate",
            "curation.curate",
            "drop duplicates and evaluation items, keep the more diverse part",
        ),
        _command(
            "tokenizer",
            "data.train_tokenizer",
            "train a tokenizer on corpora",
            "train_tokenizer",
        ),
        _command(
            "shards",
            "data.build_shards",
            "tokenise corpora into shards to train on",
            "build_shards",
        ),
        _command(
            "serve",
            "endpoint.local_server.serve",
            "serve a language model on this machine, offline",
        ),
        _command("tfds", "data.tfds_builder", "turn a corpus into a TensorFlow dataset"),
    ),
    "Models": (
        _command("train", "train", "train a language model from a recipe"),
        _command("evaluate", "evaluate", "held-out loss and tasks of trained models"),
        _command(
            "compare_items",
            "evaluation.compare_items",
            "compare two evaluations of lm-evaluation-harness item by item",
        ),
        _command("complete", "generate", "let a trained model continue prompts"),
        _command("export", "export", "exchange models with Hugging Face transformers"),
        _command("compile", "compile", "see whether a recipe fits a TPU slice, without one"),
    ),
    "Studies": (
        _command("study", "study.__main__", "what diversity buys: corpora in, one report out"),
    ),
}
COMMANDS: dict[str, Command] = {
    command.name: command for group in COMMAND_GROUPS.values() for command in group
}


def in_words_of(program: str, text: str, are_names_words: bool = True) -> str:
    """`text` with the commands that it names spelled as the user spells this one, `program`.

    Args:
      program: the command as it was started.
      text: a help text or a message.
      are_names_words: whether `score_corpus` in the text is always the command; in a message it may
        be a user's file, and then only `python -m divsyn_jax...` is respelled.
    """
    if not program.startswith(f"{UMBRELLA} "):
        return text
    for command in COMMANDS.values():
        if are_names_words or command.alone.startswith("python "):
            alone = rf"(?<![\w./-]){re.escape(command.alone)}(?![\w/]|\.\w)"
            text = re.sub(alone, command.full_name, text)
    return text
