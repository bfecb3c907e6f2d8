"""Files that belong to a folder of a stranger: named without a path, and not led out of it."""

import os
import pathlib
import stat
from typing import Any

from divsyn_jax.base.commandline import UserError


def contained(folder: pathlib.Path, name: Any, said_by: str) -> pathlib.Path:
    """The path of the file `name` of `folder`, which need not be there.

    Args: said_by: the file that names it, for the message.

    Raises `UserError` when the name is none (it has separators, say), when the file is a link that
    leaves the folder, and when it is no regular file. Links of the Hugging Face hub's cache
    (`snapshots/REVISION/NAME` to `blobs/HASH`) stay inside it and are taken."""
    is_name = isinstance(name, str) and name not in ("", ".", "..")
    if not is_name or any(character in name for character in "/\\\0"):
        raise UserError(
            f"{said_by}: names the file {str(name)[:200]!r}, which is no name of a file beside it"
        )
    path = folder / name
    try:
        name.encode("utf-8")
        real = pathlib.Path(os.path.realpath(path))
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError(f"{path}: a link to a file that is not there; fetch it") from None
        return path
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    home = pathlib.Path(os.path.realpath(folder))
    cached = home.parent.parent / "blobs" if home.parent.name == "snapshots" else None
    if real.parent != home and (real.parent != cached or cached.is_symlink()):
        raise UserError(
            f"{path}: a link that leaves its folder (to {real}); put the file itself there if you"
            " trust it"
        )
    if not stat.S_ISREG(kind):
        raise UserError(f"{path}: is not a file; remove it")
    return path
