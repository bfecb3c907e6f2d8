"""What is refused in a study recipe before anything is computed:

keys, values and names that would only fail hours later.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.study import written

_STAGES = ("pretrain", "evaluate", "sft", "evaluate")
_KEYS = (
    "name", "kind", "levels", "corpora", "equal_text", "null_control", "documents", "text_field",
    "real", "real_weight", "synthetic_weight", "heldout", "heldout_documents", "tasks", "task_data",
    "primary", "seeds", "sizes", "stages", "vocab_size", "score", "train", "sft", "budget",
)  # fmt: skip
_OPTIONAL_KEYS = ("hypotheses", "writer")  # that recipes written for 0.1.0 lack
# A level has a corpus, or all that the grammar writes one from.
_GRAMMAR_KEYS = ("topics", "styles", "personas", "seed")
_LEVEL_KEYS = ("name", "corpus", "synthetic_weight", "family", "temperature", *_GRAMMAR_KEYS)


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for what would only fail hours later."""
    _check_keys(recipe)
    written.check_writer(recipe)
    seeds = recipe["seeds"]
    if (
        not seeds
        or len(set(seeds)) < len(seeds)
        or any(type(seed) is not int or seed < 0 for seed in seeds)
    ):
        raise UserError(
            f"config.seeds={seeds}: give at least one whole number of 0 or more, each once"
        )
    if len(recipe["null_control"]) not in (0, 2):
        raise UserError(f"config.null_control={recipe['null_control']}: name two levels, or none")
    generated = any("corpus" not in level for level in recipe["levels"])
    if recipe["heldout_documents"] < 1 or (generated and recipe["documents"] < 1):
        raise UserError("config.documents and config.heldout_documents must be at least 1")
    if tuple(recipe["stages"]) not in (_STAGES[:2], _STAGES):
        known = " or ".join(str(stages) for stages in (_STAGES[:2], _STAGES))
        raise UserError(f"config.stages={tuple(recipe['stages'])}: a run goes through {known}")
    if "sft" in recipe["stages"] and not {"config", "data"} <= set(recipe["sft"]):
        raise UserError(
            "config.sft: give sft.config (a run recipe) and sft.data (conversations), or leave sft"
            " out of stages"
        )
    if recipe["primary"] not in ("tasks", "heldout") or (
        recipe["primary"] == "tasks" and not recipe["tasks"]
    ):
        raise UserError(
            f"config.primary={recipe['primary']!r}: give 'heldout', or 'tasks' where config.tasks"
            " names some"
        )
    questions = [recipe["sft"].get("data")] if "sft" in recipe["stages"] else []
    questions += [recipe["task_data"]] if recipe["tasks"] else []
    if "grammar" in questions and not any("topics" in level for level in recipe["levels"]):
        raise UserError(
            "config.sft.data, config.task_data: 'grammar' asks about the topics of grammar levels;"
            " give files"
        )
    if recipe["tasks"] and recipe["task_data"] == "grammar" and list(recipe["tasks"]) != ["items"]:
        raise UserError(
            f"config.tasks={tuple(recipe['tasks'])}: with config.task_data='grammar' there is the"
            " task 'items' alone"
        )
    if any(level.get("synthetic_weight") == 0 for level in recipe["levels"]) and not recipe["real"]:
        raise UserError(
            "a level with synthetic_weight 0 trains on real text alone; name it in config.real"
        )


def _check_keys(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for keys that lack or that nobody reads."""
    for key in _KEYS:
        if key not in recipe:
            raise UserError(
                f"config.{key}: missing; a study recipe looks like configs/studies/tiny.py"
            )
    if unknown := sorted(set(recipe) - {*_KEYS, *_OPTIONAL_KEYS}):
        known = ", ".join((*_KEYS, *_OPTIONAL_KEYS))
        raise UserError(f"config.{unknown[0]}: unknown key; known are {known}")
    for index, level in enumerate(recipe["levels"]):
        place = f"config.levels[{index}]"
        if unknown := sorted(set(level) - set(_LEVEL_KEYS)):
            raise UserError(
                f"{place}.{unknown[0]}: unknown key; known are {', '.join(_LEVEL_KEYS)}"
            )
        for key in ("name", *(() if "corpus" in level else _GRAMMAR_KEYS)):
            if key not in level:
                raise UserError(
                    f"{place}.{key}: missing; give name and corpus, or name,"
                    f" {', '.join(_GRAMMAR_KEYS)}"
                )
    for key in ("config", "seq_len"):
        if key not in recipe["train"]:
            raise UserError(
                f"config.train.{key}: missing; give train.config (a run recipe) and train.seq_len"
            )


def check_names(recipe: Mapping[str, Any], domains: Sequence[str]) -> None:
    """Raise `UserError` for names of levels and held-out domains that cannot be, or that something
    else of the study bears.
    """
    levels = [level["name"] for level in recipe["levels"]]
    names = [*levels, *domains]
    for name in recipe["null_control"]:
        if name not in levels:
            raise UserError(
                f"null_control names {name!r}, which is no level; levels are {', '.join(levels)}"
            )
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two corpora or domains are called {name!r}; write name=path")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise UserError(
                f"{name!r} cannot be a name; write name=path with letters, digits, '.', '_' and"
                " '-', a letter or digit first"
            )
    for level in recipe["levels"]:
        # Folders beside the level's own: under shards/ and scores/, and under corpora/ where the
        # study writes its corpus.
        taken = {"heldout", "embeddings"} | ({"real"} if recipe["real"] else set())
        taken |= {"sft"} if "sft" in recipe["stages"] else set()
        taken |= {"equal", "instructions", "items"} if "corpus" not in level else set()
        if level["name"] in taken:
            raise UserError(
                f"a level cannot be called {level['name']!r}: the study has a folder of that name;"
                " write another NAME=path"
            )
    for name in domains:
        if name in recipe["tasks"]:
            raise UserError(
                f"a held-out domain cannot be called {name!r}, as a task is; write another"
                " NAME=path"
            )
