"""Fine-tuning sets as levels: what the diversity of the conversations buys, all else shared.

Every level gives `sft_corpus`: a path of conversations, or 'grammar' for instructions of the
built-in grammar about its first `topics`. All models of a size and seed are fine-tuned from one
model, pre-trained once on `config.pretrain`, and the fine-tuning sets are what is scored.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth

SFT_CORPUS = "sft_corpus"
# The folders of the shared part, under corpora/, shards/ and runs/.
SHARED = "pretrain"
_KEYS = ("name", SFT_CORPUS, "family")
_GRAMMAR_KEYS = ("topics", "seed", "instructions")


def compares_sft_sets(recipe: Mapping[str, Any]) -> bool:
    """Whether the levels of a recipe are fine-tuning sets."""
    return SHARED in recipe


def pretraining_levels(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What pre-training reads, in the form of levels: the levels themselves, or the shared one."""
    return [recipe[SHARED]] if compares_sft_sets(recipe) else list(recipe["levels"])


def is_of_grammar(level: Mapping[str, Any]) -> bool:
    """Whether a level is instructions that the grammar writes."""
    return bool(level.get(SFT_CORPUS) == "grammar")


def check_sft_sets(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for a recipe of fine-tuning sets that does not stand."""
    given = [SFT_CORPUS in level for level in recipe["levels"]]
    if not any(given) and SHARED not in recipe:
        return
    if not all(given) or SHARED not in recipe:
        raise UserError(
            f"config.levels: {SFT_CORPUS} is for all levels or none, beside config.{SHARED}, the"
            " corpus that their one model is pre-trained on"
        )
    if SFT_CORPUS in recipe[SHARED]:
        raise UserError(f"config.{SHARED}.{SFT_CORPUS}: give a corpus to pre-train on")
    if "sft" not in recipe["stages"]:
        raise UserError(f"config.stages={tuple(recipe['stages'])}: {SFT_CORPUS} needs sft in it")
    if "data" in recipe["sft"]:
        raise UserError(f"config.sft.data: every level has its own {SFT_CORPUS}; leave it out")
    for key in ("equal_text", "factors"):
        if recipe.get(key):
            raise UserError(f"config.{key}: is for levels to pre-train on, not for {SFT_CORPUS}")
    for index, level in enumerate(recipe["levels"]):
        _check_level(level, f"config.levels[{index}]")


def _check_level(level: Mapping[str, Any], place: str) -> None:
    knobs = _GRAMMAR_KEYS if is_of_grammar(level) else ()
    if unknown := sorted(set(level) - {*_KEYS, *knobs}):
        raise UserError(
            f"{place}.{unknown[0]}: a level with {SFT_CORPUS} has {', '.join((*_KEYS, *knobs))}"
            f"{'' if knobs else f'; topics go with {SFT_CORPUS}=grammar'}"
        )
    if not isinstance(level[SFT_CORPUS], str) or not level[SFT_CORPUS]:
        raise UserError(f"{place}.{SFT_CORPUS}={level[SFT_CORPUS]!r}: give a path, or grammar")
    if not is_of_grammar(level):
        return
    for key in ("topics", "seed"):
        if key not in level:
            raise UserError(f"{place}.{key}: missing; instructions of the grammar need it")
    try:
        instructions_breadth(level)
    except ValueError as error:
        raise UserError(f"{place}.{error}") from None
    least = {"seed": 0, "instructions": 1}
    for key, at_least in least.items():
        value = level.get(key, at_least)
        if type(value) is not int or value < at_least:
            raise UserError(f"{place}.{key}={value!r}: give a whole number of {at_least} or more")


def instructions_breadth(level: Mapping[str, Any]) -> Breadth:
    """The topics that the instructions of a level ask about. Raises `ValueError` out of range."""
    return Breadth(level["topics"], 1, 1)


def instructions_path(workdir: pathlib.Path, level: Mapping[str, Any]) -> pathlib.Path:
    """Where the instructions of a level are written."""
    return workdir / "corpora" / level["name"] / "instructions.jsonl.zst"


def write_instructions(
    workdir: pathlib.Path, recipe: Mapping[str, Any], level: Mapping[str, Any]
) -> None:
    """Write the instructions of a level, unless they are there: as many as the level says, else as
    `sft.instructions`, else all.

    Raises `UserError` where its topics have fewer."""
    folder = instructions_path(workdir, level).parent
    if not (folder / "manifest.json").exists():
        count = level.get("instructions", recipe["sft"].get("instructions", 0))
        breadth = instructions_breadth(level)
        generate_corpus(breadth, count, level["seed"], folder, "instructions")
