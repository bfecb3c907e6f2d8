"""What is refused in a study recipe before anything is computed:

keys, values and names that would only fail hours later.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.study import texts, written
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES
from divsyn_jax.study.factorial import cells, pools
from divsyn_jax.study.finetuning import sets as finetuning_sets

_STAGES = ("pretrain", "evaluate", "sft", "evaluate")
_KEYS = (
    "name", "kind", "levels", "corpora", "equal_text", "null_control", "documents", "text_field",
    "real", "real_weight", "synthetic_weight", "heldout", "heldout_documents", "tasks", "task_data",
    "primary", "seeds", "sizes", "stages", "vocab_size", "score", "train", "sft", "budget",
)  # fmt: skip
# That recipes written for 0.1.0 lack.
_OPTIONAL_KEYS = (
    *("hypotheses", "factors", "resolution", "outcomes", "pilot_seeds", "num_fewshot", "writer"),
    "selection",
    finetuning_sets.SHARED,
)
# Of `sft`, without and with fine-tuning sets as levels.
_SFT_KEYS = (frozenset({"config", "data"}), frozenset({"config"}))
# A level has a corpus, or all that the grammar writes one from, and perhaps more knobs of it.
_GRAMMAR_KEYS = ("topics", "styles", "personas", "seed")
_GRAMMAR_KNOBS = ("wordings", "formats", "generators", "topics_per_document", "documents")
_LEVEL_KEYS = (
    *("name", "corpus", "synthetic_weight", "family", "at", cells.SHAM, "unique_tokens"),
    "temperature",
    *FACET_NAMES,
    *_GRAMMAR_KEYS,
    *_GRAMMAR_KNOBS,
)


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for what would only fail hours later."""
    pools.check_selection(recipe)
    _check_keys(recipe)
    finetuning_sets.check_sft_sets(recipe)
    shares = finetuning_sets.compares_sft_sets(recipe)
    pretraining = finetuning_sets.pretraining_levels(recipe)
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
    generated = any("corpus" not in level for level in pretraining)
    if recipe["heldout_documents"] < 1 or (generated and recipe["documents"] < 1):
        raise UserError("config.documents and config.heldout_documents must be at least 1")
    if tuple(recipe["stages"]) not in (_STAGES[:2], _STAGES):
        known = " or ".join(str(stages) for stages in (_STAGES[:2], _STAGES))
        raise UserError(f"config.stages={tuple(recipe['stages'])}: a run goes through {known}")
    if "sft" in recipe["stages"] and not _SFT_KEYS[shares] <= set(recipe["sft"]):
        raise UserError(
            "config.sft: give sft.config (a run recipe) and sft.data (conversations), or leave sft"
            " out of stages"
        )
    if recipe["primary"] not in ("tasks", "heldout", "pilot") or (
        recipe["primary"] == "tasks" and not recipe["tasks"]
    ):
        raise UserError(
            f"config.primary={recipe['primary']!r}: give 'heldout', 'pilot' (chosen on"
            " config.pilot_seeds), or 'tasks' where config.tasks names some"
        )
    _check_outcomes(recipe)
    questions = [recipe["sft"].get("data")] if "sft" in recipe["stages"] else []
    questions += [recipe["task_data"]] if recipe["tasks"] else []
    if "grammar" in questions and not any("topics" in level for level in pretraining):
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


def _check_outcomes(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for outcomes that are none, and pilot seeds that cannot choose one."""
    asked, pilot = recipe.get("outcomes", ()), recipe.get("pilot_seeds", ())
    for key in asked:
        if key not in OUTCOME_MEASURES:
            known = ", ".join(OUTCOME_MEASURES)
            raise UserError(f"config.outcomes: {key!r} is none of {known}")
    if asked and not recipe["tasks"]:
        raise UserError("config.outcomes are measures of answers: name config.tasks beside them")
    if recipe.get("num_fewshot") is not None and not recipe["tasks"]:
        raise UserError("config.num_fewshot: there are no config.tasks to ask")
    if (recipe["primary"] == "pilot") != bool(pilot):
        raise UserError(
            "config.pilot_seeds choose the outcome of config.primary='pilot': give both or neither"
        )
    if pilot and (len(set(pilot)) < 2 or set(pilot) & set(recipe["seeds"])):
        raise UserError(
            f"config.pilot_seeds={tuple(pilot)}: give two or more, none of them of config.seeds, so"
            " that the result is not looked at"
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
    places = {f"config.levels[{index}]": level for index, level in enumerate(recipe["levels"])}
    if finetuning_sets.SHARED in recipe:
        places[f"config.{finetuning_sets.SHARED}"] = {"name": "", **recipe[finetuning_sets.SHARED]}
    for place, level in places.items():
        if finetuning_sets.SFT_CORPUS in level:  # another form: `check_sft_sets`
            continue
        if unknown := sorted(set(level) - set(_LEVEL_KEYS)):
            raise UserError(
                f"{place}.{unknown[0]}: unknown key; known are {', '.join(_LEVEL_KEYS)}"
            )
        is_there = "corpus" in level or pools.is_selected(level)
        for key in ("name", *(() if is_there else _GRAMMAR_KEYS)):
            if key not in level:
                raise UserError(
                    f"{place}.{key}: missing; give name and corpus, or name,"
                    f" {', '.join(_GRAMMAR_KEYS)}"
                )
        _check_knobs(place, level)
        unique = level.get("unique_tokens", 1)
        if type(unique) is not int or unique < 1:
            raise UserError(f"{place}.unique_tokens={unique!r}: give a whole number of at least 1")
    for key in ("config", "seq_len"):
        if key not in recipe["train"]:
            raise UserError(
                f"config.train.{key}: missing; give train.config (a run recipe) and train.seq_len"
            )


def _check_knobs(place: str, level: Mapping[str, Any]) -> None:
    """Raise `UserError` for knobs of the grammar that it cannot turn so."""
    if pools.is_selected(level):
        if given := [key for key in ("corpus", "topics", *_GRAMMAR_KNOBS) if key in level]:
            raise UserError(f"{place}.{given[0]}: this level's corpus is selected from pools")
        return
    if "corpus" in level:
        if given := [key for key in _GRAMMAR_KNOBS if key in level]:
            raise UserError(
                f"{place}.{given[0]}: a knob of the built-in grammar; this level has a corpus"
                " of its own"
            )
        return
    try:
        texts.breadth_of(level)
    except ValueError as error:
        raise UserError(f"{place}.{error}") from None
    documents = level.get("documents", 1)
    if type(documents) is not int or documents < 1:
        raise UserError(f"{place}.documents={documents!r}: give a whole number of at least 1")


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
        taken = {"heldout", "embeddings", "ordered", "selected"} | (
            {"real"} if recipe["real"] else set()
        )
        taken |= {"sft"} if "sft" in recipe["stages"] else set()
        taken |= {finetuning_sets.SHARED} & set(recipe)
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
