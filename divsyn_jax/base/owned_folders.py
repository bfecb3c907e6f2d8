"""What is ours in folders that others can write to: we delete and overwrite only what we wrote.

Nothing here follows a link that somebody may have put where we are about to write, temporary names
cannot be foreseen, and what is removed is removed by the names that a command writes."""

import contextlib
import errno
import fnmatch
import os
import pathlib
import secrets
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal

from divsyn_jax.base.commandline import UserError

# Marks of a folder in the making: whose settings it has, who is writing it, files half written.
SETTINGS, LOCK, TEMPORARY = ".settings.json", ".lock", ".*.tmp"


def temporary_name(path: pathlib.Path) -> pathlib.Path:
    """A hidden name beside `path` that nobody can foresee."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")


@contextlib.contextmanager
def replacing_file(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends, and vanishes when it
    fails.

    A link at `path` is replaced itself; what it leads to stays."""
    temporary = temporary_name(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def open_kept(path: pathlib.Path, mode: Literal["ab", "r+b"], private: bool = False) -> BinaryIO:
    """Open a file that a command goes on writing, made where it is missing; with `private` for its
    owner's eyes alone.

    Raises `UserError` for a link and for what is no file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    flags |= os.O_APPEND if mode == "ab" else 0
    try:
        descriptor = os.open(path, flags, 0o600 if private else 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(
                f"{path}: is a link, through which nothing is written; remove it or name another"
            ) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError(f"{path}: is not a file; remove it or name another")
        if private:
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def check_no_link(path: pathlib.Path) -> None:
    """Raise `UserError` when `path`, a folder to write into, is a link."""
    if path.is_symlink():
        raise UserError(
            f"{path}: is a link; name the folder that it leads to, {os.path.realpath(path)}"
        )


def check_own(path: pathlib.Path) -> None:
    """Raise `UserError` unless `path` is a real folder that this user made."""
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode):
        raise UserError(
            f"{path}: is not a folder (a link?); nothing is written through it; remove it"
        )
    if info.st_uid != os.geteuid():
        raise UserError(
            f"{path}: belongs to another user (uid {info.st_uid}); remove it or name another folder"
        )


def make_private(path: pathlib.Path) -> None:
    """Make the folder `path` for this user alone; raises `FileExistsError` where something is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkdir(path, 0o700)


def check_taken_up(partial: pathlib.Path) -> None:
    """Raise `UserError` unless the folder `partial` is this user's own, bears the mark of
    `files.resumed_directory` or is empty.
    """
    check_own(partial)
    os.chmod(partial, 0o700)
    if not (partial / SETTINGS).is_file() or (partial / SETTINGS).is_symlink():
        for name in sorted(os.listdir(partial)):
            if name != LOCK and not fnmatch.fnmatchcase(name, TEMPORARY):
                raise UserError(
                    f"{partial}: holds {name!r} and no mark of this command; move it away"
                )


def foreign_entry(folder: pathlib.Path, written: Iterable[str]) -> str | None:
    """The first name in `folder` that is no file named like one of the patterns `written`."""
    patterns = (*written, SETTINGS, LOCK, TEMPORARY)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        is_ours = any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in patterns)
        if not is_ours or entry.is_dir(follow_symlinks=False):
            return entry.name
    return None


def remove_written(folder: pathlib.Path, written: Iterable[str], keep: Iterable[str] = ()) -> None:
    """Remove from `folder` the files named like the patterns `written`, links as such, but those
    named in `keep`.

    Raises `UserError`, and removes nothing, where it holds anything else."""
    if (foreign := foreign_entry(folder, written)) is not None:
        raise UserError(
            f"{folder}: holds {foreign!r}, which this command did not write; move it away"
        )
    for name in os.listdir(folder):
        if name not in keep:
            os.unlink(folder / name)


def put_in_place(made: pathlib.Path, path: pathlib.Path, written: Iterable[str]) -> None:
    """Rename the folder `made` to `path`, removing what a command wrote there before.

    The caller has checked `path`; what came into it since then is kept in a hidden folder beside
    it.
    """
    aside = None
    if os.path.lexists(path):
        aside = temporary_name(path)
        os.rename(path, aside)
    mask = os.umask(0o077)
    os.umask(mask)
    os.chmod(made, 0o777 & ~mask)
    os.rename(made, path)
    if aside is not None:
        with contextlib.suppress(OSError):
            remove_written(aside, written)
            os.rmdir(aside)
