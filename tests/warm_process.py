"""Runs the project's modules as commands in processes forked from one that has imported JAX and its
company.

`python -m MODULE` spends most of a short test importing. A fork starts where the imports end,
before any backend exists,
and is otherwise the same: a process of its own, with its own arguments, output and exit code, that
runs the module as
`__main__`. JAX reads its variables when it is imported: a test that changes one of them gives
`env`, and gets an interpreter."""

import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence

_LIBRARIES = [
    "jax",
    "flax.linen",
    "optax",
    "orbax.checkpoint",
    "grain",
    "tensorboardX",
    "sentencepiece",
    "ml_collections",
    "scipy.stats",
    "openai",
    "jsonschema",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_LIBRARIES)


def run(
    module: str, arguments: Sequence[str], cwd: pathlib.Path, timeout: float
) -> subprocess.CompletedProcess:
    """Run a module to its end. Raises `subprocess.TimeoutExpired`."""
    line = [sys.executable, "-m", module, *arguments]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        process = _context.Process(
            target=_command, args=(module, line[3:], str(cwd), dict(os.environ), outputs)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(line, timeout)
        stdout, stderr = (pathlib.Path(path).read_text() for path in outputs)
        return subprocess.CompletedProcess(line, process.exitcode, stdout, stderr)


def _command(
    module: str, arguments: list[str], cwd: str, environment: dict[str, str], outputs: list[str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = [module, *arguments]  # runpy puts the file's path first
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
