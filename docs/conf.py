"""How the pages are built: `make docs`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import divsyn_jax

project = "divsyn_jax"
author = "The divsyn_jax authors"
copyright = "The divsyn_jax authors, Apache-2.0"
release = divsyn_jax.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"divsyn_jax {release}"
# Docstrings are prose: a word in backticks is code.
default_role = "code"
autodoc_typehints = "description"
autodoc_member_order = "bysource"


def setup(app):
    """Docstrings write \|r\|, which is no substitution."""

    def bars(_app, _what, _name, _object, _options, lines):
        lines[:] = [line.replace("|", "\\|") for line in lines]

    app.connect("autodoc-process-docstring", bars)
