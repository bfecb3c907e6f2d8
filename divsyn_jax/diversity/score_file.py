"""score.json and draws.jsonl: what a scored corpus leaves on disk, its one writer and reader."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity.pairs.records import GroupLine
from divsyn_jax.diversity.redundancy.clusters_file import CLUSTERS_FILE, MAP_FILE
from divsyn_jax.diversity.score_records import DrawRecord, Identity, Score

SCORE_VERSION = 6  # of score.json: a score written under another version is made anew
READ_VERSIONS = (4, 5, SCORE_VERSION)  # 4 is that of release 0.1.0
_SCORE, _DRAWS, _GROUPS = "score.json", "draws.jsonl", "groups.jsonl"
# What the folder of one corpus consists of.
SCORE_FILES = (_SCORE, _DRAWS, _GROUPS, CLUSTERS_FILE, MAP_FILE)


def write_score(
    folder: pathlib.Path,
    score: Score,
    draws: Sequence[DrawRecord],
    groups: Sequence[GroupLine] | None = None,
) -> None:
    """Write a corpus's folder whole, in place of an earlier score; `groups` where there are any."""
    with files.new_directory(folder, SCORE_FILES) as made:
        files.write_text(made / _DRAWS, "".join(json.dumps(draw) + "\n" for draw in draws))
        if groups is not None:
            lines = [json.dumps(group, ensure_ascii=False) + "\n" for group in groups]
            files.write_text(made / _GROUPS, "".join(lines))
        files.write_json(made / _SCORE, score)


def holds_score(folder: pathlib.Path) -> bool:
    """Whether there is a score in `folder`, of whatever version."""
    return (folder / _SCORE).exists()


def read_score(folder: str | os.PathLike) -> Score:
    """The score in `folder`.

    Raises `UserError` naming the file when it is missing, damaged or of a version that is none of
    `READABLE_VERSIONS`.
    """
    path = pathlib.Path(folder) / _SCORE
    content = files.read_json(path)
    version = content.get("version") if isinstance(content, Mapping) else None
    if version is not None and version not in READ_VERSIONS:
        raise UserError(
            f"{path}: of version {version!r}, not {SCORE_VERSION}; score the corpus again with"
            " score_corpus"
        )
    return _typed(Score, content, path)


def finished_score(folder: pathlib.Path, identity: Identity) -> Score | None:
    """The score in `folder` when it was made from the same content with the same settings.

    Raises `UserError` naming the file when it is damaged."""
    if not holds_score(folder):
        return None
    path = folder / _SCORE
    content = files.read_json(path)
    if not isinstance(content, dict) or any(
        content.get(key) != value for key, value in identity.items() if key != "corpus"
    ):
        return None
    score = _typed(Score, content, path)
    corpus = identity["corpus"]
    same = score["corpus"]["fingerprint"] == corpus["fingerprint"]
    same_labels = score["corpus"]["label_fingerprint"] == corpus["label_fingerprint"]
    return score if same and same_labels else None


def read_draws(folder: str | os.PathLike) -> list[DrawRecord]:
    """The draws beside a score. Raises `UserError` naming file and line of a damaged one."""
    path = pathlib.Path(folder) / _DRAWS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {_why(error)}; {_REMEDY}") from None
    draws = []
    for number, line in enumerate(lines, start=1):
        try:
            draws.append(as_typed(DrawRecord, json.loads(line)))
        except ValueError as error:  # of json, too
            raise UserError(f"{path}:{number}: damaged ({error}); {_REMEDY}") from None
    return draws


_REMEDY = "remove its folder and score the corpus again with score_corpus"


def _typed(kind: type[Score], content: Any, path: pathlib.Path) -> Score:
    try:
        return as_typed(kind, content)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); {_REMEDY}") from None


def _why(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else "not UTF-8"
