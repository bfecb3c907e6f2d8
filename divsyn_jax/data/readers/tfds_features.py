"""What a prepared TFDS folder may name: the feature classes of tensorflow_datasets and no others.

`features.json` names the class of every feature, and tfds imports the module of each name: a folder
of data would run code. So the names are read here first."""

import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError

_FILE = "features.json"
_ALLOWED = re.compile(r"tensorflow_datasets\.core\.features\.(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*")
# Keys under which tfds looks for a class: those of its protocol buffer, and `type` in files of
# before 2022.
_KEYS = ("pythonClassName", "python_class_name", "type")


def check_prepared(name: str, data_dirs: Sequence[str]) -> None:
    """Raise `UserError` when a prepared TFDS dataset names a class that is not tfds' own.

    Args: name: the folder of a prepared dataset, or the name (with config) of one in `data_dirs`.
      Call this before tfds sees either."""
    found = [pathlib.Path(name, _FILE)]
    if not os.path.isdir(name):
        dataset = name.split("/")[0]
        if not re.fullmatch(r"\w[\w.-]*", dataset):
            raise UserError(f"{name}: neither the folder nor the name of a TFDS dataset")
        # data_dir/name[/config]/version
        found = [
            path
            for data_dir in data_dirs
            for depth in ("*", "*/*")
            for path in pathlib.Path(data_dir, dataset).glob(f"{depth}/{_FILE}")
        ]
    for path in found:
        if path.exists():
            check_file(path)


def check_file(path: pathlib.Path) -> None:
    """Raise `UserError` when the `features.json` at `path` names a class that is not tfds' own."""
    try:
        value = json.loads(path.read_bytes(), object_pairs_hook=_Pairs)
        for class_name in _class_names(value):
            if not _ALLOWED.fullmatch(class_name):
                raise UserError(
                    f"{path}: names the feature class {class_name[:200]!r}, which is not of"
                    " tensorflow_datasets: opening the folder would import it; take the data in"
                    " another form"
                )
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UserError(f"{path}: not the features of a TFDS dataset ({why})") from None


class _Pairs(list):
    """An object as its pairs: a key that is given twice hides nothing."""


def _class_names(value: Any) -> Iterator[str]:
    if isinstance(value, _Pairs):
        for key, inner in value:
            if key in _KEYS and isinstance(inner, str):
                yield inner
            yield from _class_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _class_names(inner)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        # A feature's content may be JSON within JSON, which tfds parses in its turn.
        try:
            inner = json.loads(value, object_pairs_hook=_Pairs)
        except ValueError:
            return
        yield from _class_names(inner)
