"""Ladders as files hold them: corpora in increasing diversity, several in one JSON."""

import pathlib
from typing import Any, TypeGuard

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import named_corpora

_FORM = 'a list of {"ladder": name, "files_in_increasing_diversity": [file, ...]}'


def label_fields_of(given: str) -> dict[str | None, str]:
    """Ladder -> field, None -> the field of all others, of FIELD, LADDER=FIELD,... or both.

    Raises `UserError` for what is neither.
    """
    fields: dict[str | None, str] = {}
    for part in given.split(","):
        ladder, equals, field = part.strip().rpartition("=")
        if field:
            fields[ladder if equals else None] = field
        elif given:
            raise UserError(
                f"--label_field={given}: give FIELD or LADDER=FIELD, separated by commas"
            )
    return fields


def ladders_in_file(
    content: Any, path: pathlib.Path, label_fields: dict[str | None, str]
) -> list[tuple[str, dict[str, str], str | None, str | None]]:
    """(name, corpora by name, label field, unit) of every ladder of a file.

    Args:
      content: of the file.
      path: of the file; corpora lie beside it.
      label_fields: of `label_fields_of`.

    Raises `UserError` for what is no ladder, and for a label field of a ladder that there is not.
    """
    if not isinstance(content, list) or not content:
        raise UserError(f"{path}: not ladders; give {_FORM}, or corpora themselves")
    ladders = {}
    for place, entry in enumerate(content, start=1):
        name, rungs, unit = (
            map(entry.get, ("ladder", "files_in_increasing_diversity", "unit"))
            if isinstance(entry, dict)
            else [None] * 3
        )
        if not isinstance(name, str) or not _strings(rungs) or not isinstance(unit, str | None):
            raise UserError(f"{path}: entry {place} is not a ladder; give {_FORM}")
        if name in ladders:
            raise UserError(f"{path}: entry {place} is a second ladder named {name!r}; rename one")
        field = label_fields.get(name, label_fields.get(None))
        corpora = named_corpora([str(path.parent / file) for file in rungs])
        ladders[name] = (name, corpora, field, unit)
    for name in label_fields:
        if name is not None and name not in ladders:
            has = ", ".join(ladders)
            raise UserError(
                f"--label_field={name}={label_fields[name]}: {path} has no ladder {name!r} (it has:"
                f" {has})"
            )
    return list(ladders.values())


def _strings(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
