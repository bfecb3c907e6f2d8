"""Runs in a process of its own with eight virtual CPU devices; prints the scores and greedy texts
of every layout as JSON.
"""

import json
import pathlib
import sys

import jax

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import dataclasses

from divsyn_jax.model import continuation_scores as scoring
from divsyn_jax.model import decode, decoder, sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.model.decode import Sampling
from tests.model.test_continuation_scores import requests
from tests.model.test_decoder import TINY, larger_weights

LAYOUTS = {
    "one": MeshConfig(replica=1, fsdp=1, tensor=1),
    "replica": MeshConfig(replica=8, fsdp=1, tensor=1),
    "fsdp": MeshConfig(replica=1, fsdp=8, tensor=1),
    "fsdp x tensor": MeshConfig(replica=1, fsdp=4, tensor=2),
}


def measure(layout: MeshConfig) -> dict:
    devices = jax.devices()[: layout.replica * layout.fsdp * layout.tensor]
    mesh = sharding.make_mesh(layout, devices)
    config = dataclasses.replace(TINY, vocab_size=104)
    with jax.set_mesh(mesh):
        params = larger_weights(decoder.init_params(config, seed=0))
        params = jax.device_put(params, sharding.state_shardings(params, mesh))
        found: dict = {}
        for batch in scoring.score_continuations(config, params, mesh, requests(), 512):
            found.update(batch)
        texts = decode.generate(
            config, params, mesh, [[5], [7, 8, 9] * 5, [1, 2]], 20, [200], 104, Sampling()
        )
    return {"scores": [found[index][0] for index in range(len(found))], "texts": texts}


if __name__ == "__main__":
    print(json.dumps({name: measure(layout) for name, layout in LAYOUTS.items()}))
