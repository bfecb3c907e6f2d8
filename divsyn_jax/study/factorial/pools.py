"""Factorial corpora selected from pools of text that is there: what a recipe says of it, and where
the corpora lie.

A recipe with `selection` takes the corpora it is given as pools. Its factors are facets, low and
high, and its levels are selected from the pools so that the facets take these values independently
of each other, with the same sources and the same lengths in every corpus
(divsyn_jax/study/factorial/select_corpora.py)."""

import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import named_corpora
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.study.local_runner import Job

SELECTION = {
    "candidates": 6000,  # documents to choose among, of all sources together
    "min_words": 100,  # of a document
    "max_words": 260,
    "length_bins": 4,  # of each source, by words; every corpus has as many documents of each
    "source_field": "",  # field that holds a document's source; '' for the pool's name
    "largest_r": 0.2,  # between two facets over the corpora, in absolute value
    "least_ratio": 1.25,  # of a facet's high value to its low one
    "seed": 0,
}
LOW, HIGH = LEVELS = ("low", "high")
# Held-out text of the pools, in no corpus: as the corpora are, or least like the pools in a facet.
LIKE_POOLS = "pools"
_UNLIKE = "unlike_"
HELDOUT_OF_POOLS = (LIKE_POOLS, *(_UNLIKE + name for name in FACET_NAMES))


def selects(recipe: Mapping[str, Any]) -> bool:
    """Whether the corpora of a recipe are selected from pools."""
    return "selection" in recipe


def is_selected(level: Mapping[str, Any]) -> bool:
    """Whether the corpus of a level is selected from pools."""
    return any(name in level for name in FACET_NAMES)


def selection_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The selection with its defaults."""
    return {**SELECTION, **recipe["selection"]}


def unlike_in(source: str) -> str | None:
    """The facet in which a held-out text of the pools is unlike them; None for `LIKE_POOLS`."""
    return None if source == LIKE_POOLS else source.removeprefix(_UNLIKE)


def check_selection(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for a selection, factors or held-out text that make none."""
    given = selects(recipe)
    factors, heldout = recipe.get("factors", {}), recipe.get("heldout", ())
    for name, values in factors.items():
        if given and (name not in FACET_NAMES or tuple(values) != LEVELS):
            raise UserError(
                f"config.factors.{name}={tuple(values)}: with config.selection factors are"
                f" {', '.join(FACET_NAMES)}, each {LEVELS}"
            )
    for index, level in enumerate(recipe.get("levels", ())):
        if is_selected(level) and not given:
            raise UserError(
                f"config.levels[{index}]: facets are for corpora selected from pools; give"
                " config.selection"
            )
        if given and not is_selected(level):
            raise UserError(
                f"config.levels[{index}]: with config.selection every corpus is selected from"
                " pools, by config.factors"
            )
    for entry in heldout:
        if entry not in HELDOUT_OF_POOLS:
            continue
        if not given:
            raise UserError(f"config.heldout: {entry} is text of pools; give config.selection")
        if (facet := unlike_in(entry)) is not None and facet not in factors:
            raise UserError(f"config.heldout: {entry}: {facet} is none of config.factors")
    if given:
        _check_settings(recipe["selection"])


def _check_settings(chosen: Mapping[str, Any]) -> None:
    if unknown := sorted(set(chosen) - set(SELECTION)):
        raise UserError(
            f"config.selection.{unknown[0]}: unknown key; known are {', '.join(SELECTION)}"
        )
    for key, default in SELECTION.items():
        value = chosen.get(key, default)
        least = 0 if key in ("seed", "largest_r") else 1
        fits = isinstance(value, str) if isinstance(default, str) else _is_number(value, default)
        if not fits or (not isinstance(value, str) and value < least):
            raise UserError(
                f"config.selection.{key}={value!r}: give"
                + (" the name of a field" if isinstance(default, str) else f" {least} or more")
            )


def _is_number(value: Any, default: Any) -> bool:
    kinds = (int,) if isinstance(default, int) else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool)


def bind_pools(
    recipe: dict[str, Any],
    corpora: Sequence[str],
    absolute: Callable[[str], str],
    fingerprint: Callable[[str], str] | None,
) -> None:
    """Put the pools into the recipe, with what identifies their text where it can be read.

    Raises `UserError` where there is none, or two have one name."""
    if not corpora:
        raise UserError(
            "config.corpora: corpora are selected from pools; give these as"
            " --corpora='NAME=CORPUS NAME=CORPUS'"
        )
    recipe["pools"] = []
    for name, path in named_corpora(corpora).items():
        pool = {"name": name, "path": absolute(path)}
        if fingerprint is not None:
            pool["fingerprint"] = fingerprint(pool["path"])
        recipe["pools"].append(pool)


def selected_folder(workdir: pathlib.Path) -> pathlib.Path:
    """Where the corpora selected from pools lie."""
    return workdir / "corpora" / "selected"


def selected_path(workdir: pathlib.Path, level: Mapping[str, Any]) -> pathlib.Path:
    """Where the corpus of a level lies."""
    return selected_folder(workdir) / f"{level['name']}.jsonl"


def heldout_path(workdir: pathlib.Path, source: str) -> pathlib.Path:
    """Where held-out text of the pools lies."""
    return selected_folder(workdir) / "heldout" / f"{source}.jsonl"


def design_path(workdir: pathlib.Path) -> pathlib.Path:
    """Where it stands what the selection reached; written last."""
    return selected_folder(workdir) / "design.json"


def selection_job(workdir: pathlib.Path) -> Job:
    """The process that selects the corpora: it embeds, so that the study's own need not load what
    does."""
    command = (sys.executable, "-m", "divsyn_jax.study.factorial.select_corpora", str(workdir))
    log = workdir / "logs" / "select.log"
    return Job("select corpora", command, log, design_path(workdir).exists)


def selection_lines(workdir: pathlib.Path) -> list[str]:
    """What the selection reached, for a person."""
    design = json.loads(design_path(workdir).read_text(encoding="utf-8"))
    lines = [
        f"  {name}: low {found['low'][1]:.3g} at most, high {found['high'][0]:.3g} at least"
        f" (at random {found['at_random']:.3g})"
        for name, found in design["facets"].items()
    ]
    words = [each["words"] for each in design["corpora"].values()]
    return [
        *lines,
        f"  |r| between facets at most {design['largest_r']:.3f}; {min(words):.0f} to"
        f" {max(words):.0f} words a document; every corpus has as many documents of each source and"
        " bin of length",
    ]
