"""clusters.jsonl and map.jsonl beside a score: their one writer and reader."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity.redundancy.records import (
    KindLine,
    MapPoint,
    NearDuplicateLine,
    Redundancy,
    SummaryLine,
    TemplateLine,
)

CLUSTERS_FILE, MAP_FILE = "clusters.jsonl", "map.jsonl"
_TEMPLATES = ("opening", "skeleton", "heading", "phrase")
_FORMS: Mapping[str, type] = {
    "summary": SummaryLine,
    "kind": KindLine,
    "near_duplicate": NearDuplicateLine,
    **dict.fromkeys(_TEMPLATES, TemplateLine),
}


def write_redundancy(folder: pathlib.Path, found: Redundancy) -> None:
    """Write both files into the folder of a score; clusters.jsonl last, so that with it all is
    there.
    """
    _write(folder / MAP_FILE, found.points)
    _write(folder / CLUSTERS_FILE, found.lines())


def holds_redundancy(folder: pathlib.Path) -> bool:
    """Whether `write_redundancy` has been there."""
    return (folder / CLUSTERS_FILE).exists()


def read_redundancy(folder: pathlib.Path) -> Redundancy | None:
    """What is beside the score in `folder`; None where nothing is, as before version 0.2.

    Raises:
      UserError: a file is missing or damaged; it names file and line.
    """
    if not holds_redundancy(folder):
        return None
    lines: dict[str, list[Any]] = {form: [] for form in _FORMS}
    templates = []
    for place, line in _read(folder / CLUSTERS_FILE):
        form = line.get("type") if isinstance(line, dict) else None
        if not isinstance(form, str) or form not in _FORMS:
            raise _damaged(place, f"no line of type {', '.join(_FORMS)}")
        lines[form].append(_typed(_FORMS[form], line, place))
        if form in _TEMPLATES:
            templates.append(lines[form][-1])
    if len(lines["summary"]) != 1:
        raise _damaged(str(folder / CLUSTERS_FILE), "no summary, or more than one")
    points = [_typed(MapPoint, line, place) for place, line in _read(folder / MAP_FILE)]
    return Redundancy(
        lines["summary"][0], lines["kind"], lines["near_duplicate"], templates, points
    )


def _write(path: pathlib.Path, lines: Sequence[Any]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    files.write_text(path, text)


def _read(path: pathlib.Path) -> list[tuple[str, Any]]:
    try:
        lines = files.read_jsonl(path)
    except FileNotFoundError:
        raise _damaged(str(path), "missing") from None
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]


def _typed(kind: type, line: Any, place: str) -> Any:
    try:
        return as_typed(kind, line)
    except ValueError as error:
        raise _damaged(place, f"damaged ({error})") from None


def _damaged(place: str, what: str) -> UserError:
    return UserError(
        f"{place}: {what}; remove the folder and score the corpus again with score_corpus"
    )
