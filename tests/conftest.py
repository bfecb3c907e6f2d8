"""Settings every test shares:

eight virtual CPU devices are for tests/multi_device, which start processes of their own.
"""

import gzip
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests import warm_process

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
# Compiled steps are shared by the many processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Where there is a GPU, tests and the commands they start share it.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# Tests run side by side (make test): torch's threads would only spin against each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    """Files that take minutes come first:

    the last to start decides when the other core is done too (make test).
    """
    long = {
        item.path
        for item in items
        if any(map(item.get_closest_marker, ("devices", "ladders", "runs")))
    }
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The developers' real corpora; tests that use them are skipped where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the developers' corpora are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def command():
    """Run a module as a command:

    `command("divsyn_jax.train", "--config=...")` -> CompletedProcess with text output.
    """

    def run(
        module: str, *arguments: str, env=None, cwd=ROOT, timeout=300
    ) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", module, *map(str, arguments)]
        if env is None and importlib.util.find_spec("jax"):
            return warm_process.run(module, line[3:], cwd, timeout)
        return subprocess.run(
            line, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout
        )

    return run


def virtual_devices(count: int) -> dict[str, str]:
    """Environment of a process that sees `count` CPU devices.

    Its programs run once: LLVM need not polish them.
    """
    flags = (
        f"--xla_force_host_platform_device_count={count}",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
    )
    return {**os.environ, "XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}


def fails_with_one_line(result: subprocess.CompletedProcess, *fragments: str) -> None:
    """Assert the contract of bad input:

    exit code 2, one line on stderr holding the fragments, no traceback.
    """
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 2, f"exit {result.returncode}: {result.stderr}"
    assert "Traceback" not in result.stderr
    assert len(lines) == 1, lines
    for fragment in fragments:
        assert fragment in lines[0], lines[0]


def write_jsonl(path: pathlib.Path, texts, **fields) -> pathlib.Path:
    """Write texts as JSONL, gzipped when the name says so."""
    data = "".join(json.dumps({"text": text, **fields}) + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


WORDS = [
    "the",
    "river",
    "bank",
    "holds",
    "clay",
    "and",
    "sand",
    "while",
    "boats",
    "drift",
    "past",
    "under",
    "a",
    "grey",
    "sky",
    "toward",
    "old",
    "mills",
]


def small_texts(count: int, seed: int = 0, words: int = 60) -> list[str]:
    """Deterministic little documents that differ."""
    import random

    generator = random.Random(seed)
    return [
        " ".join(generator.choice(WORDS) for _ in range(words)) + f" number {seed}-{index}."
        for index in range(count)
    ]


def conversations(count: int, seed: int = 0) -> list[dict]:
    """Deterministic little questions and answers of different lengths, some of two turns."""
    import random

    generator = random.Random(seed)
    records = []
    for index, text in enumerate(small_texts(count, seed, words=30)):
        middle = generator.randrange(10, 60)
        prompt, response = (
            f"{index}: {text[:middle]}",
            text[middle : middle + generator.randrange(5, 60)],
        )
        turns = [("user", prompt), ("assistant", response), ("user", "why"), ("assistant", "so")]
        talk = {"messages": [{"role": role, "content": content} for role, content in turns]}
        records.append({"prompt": prompt, "response": response} if index % 5 else talk)
    return records


def write_conversations(path: pathlib.Path, records: list[dict]) -> str:
    """Write records as JSONL and return the path as text."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory) -> pathlib.Path:
    """A tokenizer of 400 ids for the little documents of `small_texts`."""
    from divsyn_jax.data.tokenizer_trainer import train_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    corpus = write_jsonl(folder / "corpus.jsonl", small_texts(300))
    train_tokenizer([str(corpus)], str(folder / "tokenizer"), 400)
    return folder / "tokenizer"


@pytest.fixture(scope="session")
def shards(tmp_path_factory, tokenizer_dir) -> pathlib.Path:
    """Folders `a` and `b` to train on and `held` to evaluate on, of sequence length 16."""
    from divsyn_jax.data.shard_builder import build_shards

    root = tmp_path_factory.mktemp("shards")
    for index, (name, packing) in enumerate(
        (("a", "concat"), ("b", "concat"), ("held", "document"))
    ):
        corpus = write_jsonl(root / f"{name}.jsonl", small_texts(60, seed=index, words=25))
        build_shards(
            [str(corpus)], str(tokenizer_dir), str(root / name), seq_len=16, packing=packing
        )
    return root
