"""Where compiled programs are kept between runs, said once for every command."""

import os
import sys

_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_DEFAULT = "~/.cache/divsyn_jax/xla"


def keep_compiled() -> None:
    """Keep compiled programs on disk, where a second start of the same program finds them.

    JAX_COMPILATION_CACHE_DIR is heeded. JAX reads it when it is imported: where that has happened,
    JAX is told; before, the environment is enough, and commands need not import JAX for it.
    """
    if _VARIABLE in os.environ:
        return
    folder = os.path.expanduser(_DEFAULT)
    if "jax" in sys.modules:
        sys.modules["jax"].config.update(_VARIABLE.lower(), folder)
    else:
        os.environ[_VARIABLE] = folder
