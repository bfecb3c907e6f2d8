"""Level corpora that a language model writes: what is asked of it, where the corpus lies, and how
it comes there.

A level with a `temperature` is written by the endpoint of the recipe's `writer`, in prose: topics,
styles and personas say about what, as of a grammar level. Such a corpus costs far more than all
else of a study, so it lies beside the studies, under the name of what determines it: another study
with that level takes it as it is, and writing that was stopped goes on."""

import hashlib
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base import recipes
from divsyn_jax.base.commandline import UserError
from divsyn_jax.study.local_runner import Job

# Of the recipe's `writer`; the rest of what determines a corpus stands in its level.
WRITER = {
    "base_url": "local",  # --base_url of generate_corpus
    "model": "",  # --model; '' for the packaged one of a local server
    "min_words": 50,  # of a document
    "max_words": 150,
    "candidates": 4,  # documents that may be asked for one accepted
}
_KNOBS = ("topics", "styles", "personas", "seed", "temperature")
# Personas are the writers of a document, one each; near-duplicates are what a study of decoding is
# about.
_ENDPOINT = {"personas_shown": 1_000_000, "near_duplicate": 2.0}


def is_written(level: Mapping[str, Any]) -> bool:
    """Whether a language model writes the corpus of a level."""
    return "temperature" in level


def check_writer(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for a writer or a level that cannot be written as it stands."""
    writer = recipe.get("writer", {})
    if unknown := sorted(set(writer) - set(WRITER)):
        raise UserError(f"config.writer.{unknown[0]}: unknown key; known are {', '.join(WRITER)}")
    for index, level in enumerate(recipe["levels"]):
        if not is_written(level):
            continue
        place, heat = f"config.levels[{index}]", level["temperature"]
        if "corpus" in level:
            raise UserError(f"{place}: has a corpus; leave corpus or temperature out")
        if isinstance(heat, bool) or not isinstance(heat, int | float) or not 0 <= heat <= 2:
            raise UserError(f"{place}.temperature={heat!r}: give a number in [0, 2]")
        cells = _cells(level)
        if recipe["documents"] % cells:
            raise UserError(
                f"config.documents={recipe['documents']} cannot be shared out equally over the"
                f" {cells} topics x styles of {place}"
            )


def folder_of(workdir: pathlib.Path, recipe: Mapping[str, Any], level: Mapping[str, Any]) -> Any:
    """Where the corpus of a written level lies: beside the study, for all studies."""
    determines = {
        "writer": {**WRITER, **recipe.get("writer", {})},
        "documents": recipe["documents"],
        "level": {key: level[key] for key in _KNOBS},
    }
    digest = hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()
    return workdir.parent / "written" / f"{level['name']}-{digest[:12]}"


def jobs(workdir: pathlib.Path, recipe: Mapping[str, Any]) -> list[Job]:
    """One process a level that writes its corpus, each with a server of its own where it is
    local."""
    found = []
    writer = {**WRITER, **recipe.get("writer", {})}
    for level in filter(is_written, recipe["levels"]):
        folder = folder_of(workdir, recipe, level)
        settings = {
            "seed": level["seed"],
            **{f"grammar.{key}": level[key] for key in ("topics", "styles", "personas")},
            "endpoint.generations": recipe["documents"] // _cells(level),
            **{f"endpoint.{key}": writer[key] for key in ("min_words", "max_words", "candidates")},
            **{f"endpoint.{key}": value for key, value in _ENDPOINT.items()},
        }
        command = (
            *(sys.executable, "-m", "divsyn_jax", "generate", "--form=plain"),
            f"--config={recipes.find_recipe('configs/synthesis.py')}:topic",
            *(f"--config.{key}={value}" for key, value in settings.items()),
            f"--base_url={writer['base_url']}",
            *((f"--model={writer['model']}",) if writer["model"] else ()),
            f"--temperature={level['temperature']}",
            f"--output={folder}",
        )
        log = workdir / "logs" / f"write_{level['name']}.log"
        done = (folder / "manifest.json").exists
        found.append(Job(f"write {level['name']}", command, log, done))
    return found


def _cells(level: Mapping[str, Any]) -> int:
    return int(level["topics"] * level["styles"])
