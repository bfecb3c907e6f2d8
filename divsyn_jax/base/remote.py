"""Corpora and shards on object stores: any URL that fsspec knows (gs:// with gcsfs, s3:// with
s3fs, memory:// in tests).

Corpora are streamed. Shards are read at random by a library that knows local files only, so a
remote shards folder is copied to $DIVSYN_CACHE (default ~/.cache/divsyn_jax) once; every use checks
the copy by content, as it does any shards."""

import contextlib
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import IO, Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained


def is_remote(path: str | os.PathLike) -> bool:
    """Whether `path` is a URL."""
    return "://" in str(path)


def join_url(root: str, path: str) -> str:
    """`path` under `root`, unless it is absolute or a URL."""
    if is_remote(path):
        return path
    return (
        f"{root.rstrip('/')}/{path}"
        if is_remote(root) and not os.path.isabs(path)
        else str(pathlib.Path(root, path))
    )


def open_file(url: str) -> IO[bytes]:
    """The file at `url`, for reading bytes as a stream."""
    filesystem = _filesystem(url)
    with _one_line(url):
        stream: IO[bytes] = filesystem.open(url, "rb")
    return stream


def find_urls(url: str) -> list[str] | None:
    """The files a URL stands for, sorted:

    itself, those under it, or those a pattern matches; None where there is nothing.
    """
    filesystem = _filesystem(url)
    with _one_line(url):
        if any(character in url for character in "*?["):
            found = filesystem.glob(url)
        elif filesystem.isfile(url):
            found = [url]
        else:
            found = filesystem.find(url)
    return sorted(filesystem.unstrip_protocol(path) for path in found) or None


def local_copy(url: str) -> pathlib.Path:
    """The folder at `url`, which has a manifest.json, on this machine; copied unless a copy of the
    same manifest is there.
    """
    filesystem = _filesystem(url)
    with _one_line(f"{url}: no shards there: manifest.json"):
        manifest = filesystem.cat_file(f"{url.rstrip('/')}/manifest.json")
    cache = pathlib.Path(
        os.environ.get("DIVSYN_CACHE") or pathlib.Path.home() / ".cache" / "divsyn_jax"
    )
    folder = cache / "shards" / hashlib.sha256(manifest).hexdigest()[:32]
    if not folder.is_dir():
        with files.new_directory(folder) as partial:
            for path in filesystem.find(url):
                name = contained(partial, path.rpartition("/")[2], url)
                with filesystem.open(path, "rb") as source, open(name, "xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    return folder


def _filesystem(url: str) -> Any:
    if "::" in url:  # fsspec would open one address by way of another, files of this machine too
        raise UserError(f"{url}: a chain of addresses is not read; give the file's own")
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{url}: needs fsspec: pip install 'divsyn-jax[corpora]'") from None
    try:
        with _one_line(url):
            return fsspec.core.url_to_fs(url)[0]
    except ImportError as error:  # the store's own package is missing, which fsspec says
        raise UserError(f"{url}: {error}") from None


@contextlib.contextmanager
def _one_line(place: str) -> Iterator[None]:
    """Say in one line what a store's package raises, which may be of any type."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:
        why = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        known = "; known are gs://, s3:// and others of fsspec"
        hint = known if isinstance(error, ValueError) else ""
        raise UserError(f"{place}: cannot be read ({why}){hint}") from None
