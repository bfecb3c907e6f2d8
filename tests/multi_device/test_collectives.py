"""What travels between devices in the compiled step:

weights and their gradients, once; never activations.
"""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, virtual_devices

pytestmark = pytest.mark.devices

# Bytes of all collectives of a step on eight virtual devices, by layout and change.
SCRIPT = """
import json
import jax
from configs import tiny
from divsyn_jax.model import decoder
from divsyn_jax.training.compiler import ahead_of_time
from divsyn_jax.training.recipe import Recipe

def traffic(layout, rows=16, chunk=16):
    config = tiny.get_config()
    config.model.update(vocab_size=512, hidden=64, intermediate=128, layers=3, heads=4, kv_heads=4)
    config.model.scan = True
    config.model.attention, config.loss.chunk, config.mesh = "blocked", chunk, layout
    config.update(global_batch=rows, seq_len=64)
    recipe = Recipe.from_config(config.to_dict())
    found = ahead_of_time.compile_step(recipe, jax.devices()).collectives
    return {"bytes": sum(kind.bytes for kind in found.values()),
            "count": sum(kind.count for kind in found.values()),
            "weights": 4 * decoder.count_params(recipe.model)}

layouts = {"fsdp": dict(replica=1, fsdp=8, tensor=1),
           "replica x fsdp": dict(replica=2, fsdp=4, tensor=1)}
changes = {"base": {}, "twice the rows": {"rows": 32}, "a quarter of the chunks": {"chunk": 64}}
print(json.dumps({name: {change: traffic(layout, **kwargs) for change, kwargs in changes.items()}
                  for name, layout in layouts.items()}))
"""


@pytest.fixture(scope="module")
def found() -> dict:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=virtual_devices(8),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("layout", ["fsdp", "replica x fsdp"])
def test_traffic_does_not_grow_with_rows_or_chunks(found, layout):
    base = found[layout]["base"]
    for change in ("twice the rows", "a quarter of the chunks"):
        assert found[layout][change] == base, change
    # Gathered forward and backward, gradients reduced once (twice where replicas sum what fsdp has
    # reduced).
    assert base["bytes"] < 4 * base["weights"]
