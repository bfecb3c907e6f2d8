"""Writing files so that a reader never sees half of one:

write under a temporary name, then rename.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from divsyn_jax.base import json_text, owned_folders
from divsyn_jax.base.errors import UserError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` (UTF-8) to `path` in one step.

    Raises `UserError` when `path` is a folder, or `text` holds half a surrogate pair.
    """
    path = pathlib.Path(path)
    check_no_folder(path)
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"{path}: cannot be written: {text[error.start]!a} is half a surrogate pair, which is"
            " not Unicode text; correct the input"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with owned_folders.replacing_file(path) as file:
        file.write(data)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON in one step.

    NaN and infinity are refused: they are not JSON.
    """
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; raises `UserError` naming the file when it is missing or not JSON."""
    try:
        return json_text.parse_json(pathlib.Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:
        raise UserError(
            f"{path}: not valid JSON ({error}); remove it and repeat the command that wrote it"
        ) from None


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """`read_json` of a file that must hold a JSON object; else raises `UserError` too."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: a JSON object is expected, not {type(value).__name__}")
    return value


def read_jsonl(path: str | os.PathLike[str]) -> list[Any]:
    """Every line of a JSONL file that the project wrote.

    A line ends at a line feed alone: JSON strings may hold the other line separators of Unicode.
    Raises `UserError` naming the line that is not JSON.
    """
    values = []
    lines = pathlib.Path(path).read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            values.append(json_text.parse_json(line))
        except ValueError as error:
            raise UserError(
                f"{path}:{number}: not valid JSON ({error}); remove the file and repeat the command"
                " that wrote it"
            ) from None
    return values


def check_no_folder(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` when `path`, where a file is to be written, is a folder."""
    if os.path.isdir(path):
        raise UserError(
            f"{path}: a folder where a file is to be written; move it away or name another output"
        )


def check_local(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` when `path`, where a folder is to be written, is a URL (perhaps with //
    made / by pathlib).
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise UserError(f"{path}: is a URL; write to a local folder and copy it there")


def check_replaceable(path: str | os.PathLike[str], patterns: Iterable[str] = ("*",)) -> None:
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
        foreign = owned_folders.foreign_entry(target, patterns)
        if foreign is not None:
            raise UserError(
                f"{path}: holds {foreign!r}, which this command did not write; name another folder"
            )


@contextlib.contextmanager
def kept_directory(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield `path` as a directory, made where it is missing and taken away again where the block
    fails and left it empty.

    Raises `UserError` where no directory can be made, and for a link.
    """
    check_local(path)
    path = pathlib.Path(path)
    owned_folders.check_no_link(path)
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
def new_directory(
    path: str | os.PathLike[str], written: Iterable[str] = ()
) -> Iterator[pathlib.Path]:
    """Yield a temporary directory that becomes `path` when the block ends, and vanishes when it
    fails.

    An existing `path` is replaced only then, and only if all it holds are files named like the
    patterns `written`. Raises `UserError` where it holds anything else, and where no directory can
    be made."""
    written = tuple(written)
    check_replaceable(path, written)
    path = pathlib.Path(path)
    temporary = owned_folders.temporary_name(path)
    with _named_errors(path):
        owned_folders.make_private(temporary)
    try:
        yield temporary
        check_replaceable(path, written)
        owned_folders.put_in_place(temporary, path, written)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def resumed_directory(
    path: str | os.PathLike[str], settings: Any, written: Iterable[str] = ()
) -> Iterator[pathlib.Path]:
    """Yield a directory that becomes `path` when the block ends, and is yielded again to who comes
    with equal `settings` before.

    It lies beside `path`, hidden, until the block ends regularly; left there by a stopped or killed
    process it is taken up again, unless `settings` (JSON) differ: then the files named like the
    patterns `written` are removed. An existing `path` is replaced only at the end, and only if it
    holds such files alone. Raises `UserError` where no directory can be made, where either folder
    holds anything else, where the hidden one is a link, another user's or without our mark, and
    while another process is in the block."""
    written = tuple(written)
    check_replaceable(path, written)
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with _named_errors(path):
        try:
            owned_folders.make_private(partial)
        except FileExistsError:
            owned_folders.check_taken_up(partial)
    lock_file = partial / owned_folders.LOCK
    with owned_folders.open_kept(lock_file, "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{path}: another process is writing it; wait for it or name another folder"
            ) from None
        mark = partial / owned_folders.SETTINGS
        if not mark.exists() or read_json(mark) != settings:
            owned_folders.remove_written(partial, written, keep=(owned_folders.LOCK,))
            write_json(mark, settings)
        yield partial
        check_replaceable(path, written)
        owned_folders.put_in_place(partial, path, written)
        for name in (owned_folders.SETTINGS, owned_folders.LOCK):
            (path / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _named_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made a folder ({error.strerror}); name another"
        ) from None
