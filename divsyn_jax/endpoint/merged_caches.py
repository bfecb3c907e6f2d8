"""One cache of answers made of several: those of the parts of a run."""

import contextlib
import os
import pathlib
import sqlite3
import stat
from collections.abc import Sequence

from divsyn_jax.base.errors import UserError
from divsyn_jax.endpoint.cache import Cache


def merge_caches(target: pathlib.Path, sources: Sequence[pathlib.Path]) -> None:
    """Copy what the caches `sources` hold into `target`, made where it is missing; what is there
    stays.

    A row is checked when it is used, as in any cache. Raises `UserError` naming a file that cannot
    be used."""
    Cache(target).close()
    for source in sources:
        _check(source)
        connection = sqlite3.connect(target.absolute().as_uri(), uri=True, isolation_level=None)
        with contextlib.closing(connection):
            try:
                connection.execute(
                    "ATTACH DATABASE ? AS part", (f"{source.absolute().as_uri()}?mode=ro",)
                )
                for table in ("answers", "facts"):
                    connection.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM part.{table}")
            except sqlite3.Error as error:
                raise UserError(
                    f"{source}: the answers in it cannot be read ({error}); repeat the command that"
                    " wrote it"
                ) from None


def _check(source: pathlib.Path) -> None:
    try:
        info = os.lstat(source)
    except OSError as error:
        raise UserError(f"{source}: the answers cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(info.st_mode):
        raise UserError(f"{source}: the answers cannot be read (a link, or no file)")
    if info.st_uid != os.geteuid():
        raise UserError(
            f"{source}: belongs to another user (uid {info.st_uid}), whose answers are not taken"
        )
