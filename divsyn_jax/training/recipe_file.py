"""Run recipes as files (configs/*.py):

found, evaluated and overridden as `train` does it, without importing JAX.
"""

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base import recipes
from divsyn_jax.base.errors import UserError

# Keys that may differ when a run is continued: where things lie, how they are watched, and how what
# is computed is laid out on the devices at hand, perhaps others than before.
_FREE_TO_CHANGE = (
    *("data", "mesh", "checkpoint", "eval", "log", "accumulation_steps", "profile", "debug"),
    *("model.attention", "model.remat", "model.scan", "loss.chunk"),
)


def computed(content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run recipe's content decides what is computed:

    all but the keys that may differ when a run is continued.
    """
    kept = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in content.items()
    }
    for key in _FREE_TO_CHANGE:
        section, _, name = key.partition(".")
        if name:
            kept.get(section, {}).pop(name, None)
        else:
            kept.pop(section, None)
    return kept


def evaluate(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The run recipe that `keys["config"]` names, with the other keys as overrides.

    Raises `UserError` for a file that is missing or no recipe, and for an override of a key or type
    that it does not have."""
    path, _, argument = recipes.find_if_any(keys["config"]).partition(":")
    recipes.provide()
    if not os.path.isfile(path):
        raise UserError(f"config {keys['config']!r}: no such file")
    spec = importlib.util.spec_from_file_location("run_recipe", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a run recipe (no Python file); see configs/tiny.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config(argument) if argument else module.get_config()
    except (SyntaxError, ImportError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not a run recipe ({error}); see configs/tiny.py") from None
    try:
        config.lock().update({key: value for key, value in keys.items() if key != "config"})
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be overridden so ({' '.join(str(error.args[0]).split())})"
        ) from None
    return config.to_dict()
