"""Commands keep compiled programs in one place, whether JAX is imported before or after that."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SAY = "from divsyn_jax.training import compilation_cache; compilation_cache.keep_compiled()"
BEFORE = "import sys; assert 'jax' not in sys.modules"


@pytest.mark.long
@pytest.mark.parametrize("order", [[SAY, BEFORE, "import jax"], ["import jax", SAY]])
@pytest.mark.parametrize("given", [None, "mine"])
def test_the_cache_lies_where_the_environment_says_or_at_home(tmp_path, order, given):
    environment = {**os.environ, "HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if given:
        environment["JAX_COMPILATION_CACHE_DIR"] = given
    script = "; ".join([*order, "print(jax.config.jax_compilation_cache_dir)"])
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.stdout.strip() == (given or f"{tmp_path}/.cache/divsyn_jax/xla"), found.stderr
