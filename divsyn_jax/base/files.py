"""Writing files so that a reader never sees half of one:

write under a temporary name, then rename.
"""

import contextlib
import fcntl
import fnmatch
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from divsyn_jax.base.errors import UserError


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` (UTF-8) to `path` in one step. Raises `UserError` when `path` is a folder."""
    path = pathlib.Path(path)
    check_no_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON in one step.

    NaN and infinity are refused: they are not JSON.
    """
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file; raises `UserError` naming the file when it is missing or not JSON."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: not valid JSON ({error}); remove it and repeat the command that wrote it"
        ) from None


def read_jsonl(path: str | os.PathLike) -> list[Any]:
    """Every line of a JSONL file that the project wrote."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def check_no_folder(path: str | os.PathLike) -> None:
    """Raise `UserError` when `path`, where a file is to be written, is a folder."""
    if os.path.isdir(path):
        raise UserError(
            f"{path}: a folder where a file is to be written; move it away or name another output"
        )


def check_local(path: str | os.PathLike) -> None:
    """Raise `UserError` when `path`, where a folder is to be written, is a URL (perhaps with //
    made / by pathlib).
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise UserError(f"{path}: is a URL; write to a local folder and copy it there")


def check_replaceable(path: str | os.PathLike, patterns: Iterable[str] = ("*",)) -> None:
    """Raise `UserError` unless `path` is free or a directory of nothing but files named like
    `patterns`.

    What a command replaces it removes: never the current directory, one around it, or what the
    command did not write."""
    check_local(path)
    target = pathlib.Path(os.path.abspath(path))
    if target in (pathlib.Path.cwd(), *pathlib.Path.cwd().parents):
        raise UserError(f"{path}: the current directory or one around it; name a new folder")
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
        raise UserError(f"{path}: exists and is not a folder; name another")
    patterns = tuple(patterns)
    if patterns != ("*",) and target.is_dir():
        for entry in sorted(target.iterdir()):
            if entry.is_dir() or not any(
                fnmatch.fnmatchcase(entry.name, pattern) for pattern in patterns
            ):
                raise UserError(
                    f"{path}: holds {entry.name!r}, which this command did not write; name another"
                    " folder"
                )


@contextlib.contextmanager
def kept_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield `path` as a directory, made where it is missing and taken away again where the block
    fails and left it empty.

    Raises `UserError` where no directory can be made.
    """
    check_local(path)
    path = pathlib.Path(path)
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made a folder ({error.strerror}); name another"
        ) from None
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: what is there was finished
            for made in missing:
                made.rmdir()
        raise


@contextlib.contextmanager
def new_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary directory that becomes `path` when the block ends, and vanishes when it
    fails.

    An existing `path` is replaced only then. Raises `UserError` where no directory can be made.
    """
    check_replaceable(path)
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made a folder ({error.strerror}); name another"
        ) from None
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def resumed_directory(path: str | os.PathLike, settings: Any) -> Iterator[pathlib.Path]:
    """Yield a directory that becomes `path` when the block ends, and is yielded again to who comes
    with equal `settings` before.

    It lies beside `path`, hidden, until the block ends regularly; left there by a stopped or killed
    process it is taken up again, unless `settings` (JSON) differ. An existing `path` is replaced
    only at the end. Raises `UserError` where no directory can be made, and while another process is
    in the block."""
    check_replaceable(path)
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made a folder ({error.strerror}); name another"
        ) from None
    with open(partial / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{path}: another process is writing it; wait for it or name another folder"
            ) from None
        mark = partial / ".settings.json"
        if not mark.exists() or read_json(mark) != settings:
            for entry in partial.iterdir():
                if entry.name != ".lock":
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write_json(mark, settings)
        yield partial
        mark.unlink()
        (partial / ".lock").unlink()
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
