"""The process that serves: llama.cpp by the wheel `xllamacpp`, as long as its standard input is
open.

Run as a file, so that it needs no package of ours: reads one line of JSON (`model`, `slots`,
`threads`, `context_tokens` of a slot, `port`), prints one line of JSON ({"address": ...}) and
serves until standard input ends, which it does when the process that started this one is gone."""

import json
import os
import sys
from typing import Any


def serve(asked: dict[str, Any]) -> None:
    """Serve as `asked` until standard input ends."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = asked["model"]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = asked["port"]
    parameters.n_parallel = asked["slots"]
    parameters.n_ctx = asked["slots"] * asked["context_tokens"]
    parameters.kv_unified = False
    for cpu in (parameters.cpuparams, parameters.cpuparams_batch):
        cpu.n_threads = asked["threads"]
        cpu.poll = 0  # threads that wait for work sleep: the cores are others' too
    parameters.n_gpu_layers = 0
    parameters.cache_ram_mib = 0  # prompts of other slots are not kept aside
    parameters.ctx_shift = False  # an answer that does not fit ends, and says so
    parameters.ui = False
    parameters.warmup = False
    parameters.verbosity = -1
    # Kept by this name: the server stops when it is collected.
    server = xllamacpp.Server(parameters)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()
    # llama.cpp's own end waits for calls that nobody waits for any more.
    os._exit(0)


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))
