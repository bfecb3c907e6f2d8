"""Where recipes (configs/*.py) are: in the current folder, else the package's own.

A clone has them in configs/ beside the package, a wheel in divsyn_jax/configs. Recipes import each
other as `from configs import base`; `provide` makes that work in either place.
"""

import difflib
import importlib.machinery
import os
import pathlib
import sys
import types

from divsyn_jax.base.errors import UserError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# The folder that holds the package: a clone's root, or site-packages.
ROOT = _PACKAGE.parent
# The folder that holds the package's own configs/.
HOME = _PACKAGE if (_PACKAGE / "configs").is_dir() else ROOT


def is_clone() -> bool:
    """Whether the package runs from a clone of its repository, not from an installed wheel."""
    return (ROOT / "pyproject.toml").is_file()


def find_recipe(path: str) -> str:
    """The absolute path of a recipe; an argument (`:level=...`) stays.

    Raises `UserError` for a file that is in neither place.
    """
    found = find_if_any(path)
    file = path.partition(":")[0]
    if os.path.isfile(found.partition(":")[0]):
        return found
    names = [str(own.relative_to(HOME)) for own in sorted((HOME / "configs").rglob("*.py"))]
    names = [name for name in names if not name.endswith("__init__.py")]
    close = difflib.get_close_matches(file, names, 1)
    meant = f"; did you mean {close[0]}?" if close else f"; {HOME} has {', '.join(names)}"
    raise UserError(f"{file}: no such config file, here or in the package{meant}")


def find_if_any(path: str) -> str:
    """As `find`, but a path that is in neither place comes back as it is."""
    file, colon, argument = path.partition(":")
    places = (pathlib.Path(file), HOME / file)
    found = next((place.resolve() for place in places if place.exists()), file)
    return f"{found}{colon}{argument}"


def provide() -> None:
    """Let recipes import one another as `configs`: those of the current folder, else the package's.

    A module `configs` that is imported already stays.
    """
    if "configs" in sys.modules:
        return
    places = dict.fromkeys(str(place / "configs") for place in (pathlib.Path.cwd(), HOME))
    folders = [place for place in places if os.path.isdir(place)]
    package = types.ModuleType("configs", "The recipes of the current folder and the package.")
    package.__path__ = folders
    package.__spec__ = importlib.machinery.ModuleSpec("configs", None, is_package=True)
    package.__spec__.submodule_search_locations = folders
    sys.modules["configs"] = package
