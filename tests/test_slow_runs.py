"""Runs that take minutes:

ten random kills, fine-tuning on real instructions, and the paper's shapes on this machine's CPU.
"""

import collections
import gzip
import itertools
import json
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.tokenizer_trainer import train_tokenizer
from tests.conftest import ROOT, small_texts, write_conversations, write_jsonl
from tests.test_train import STEPS, metrics_of, start, uninterrupted  # noqa: F401

pytestmark = pytest.mark.slow
GIB = 1 << 30


def test_ten_random_kills_change_nothing(shards, tmp_path, uninterrupted):  # noqa: F811
    workdir = tmp_path / "killed"
    generator = random.Random(0)
    for _ in range(10):
        process = start(shards, workdir)
        # Anywhere: while importing, compiling, stepping, saving or just after the end.
        time.sleep(generator.uniform(2, 9))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(shards, workdir)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert len(metrics_of(workdir)) == STEPS
    assert metrics_of(workdir) == metrics_of(uninterrupted)


def test_a_350m_step_fits_16_gib(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", small_texts(200))
    build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "shards"), seq_len=512)
    command = [
        *(
            sys.executable,
            "-m",
            "divsyn_jax.train",
            "--config=configs/350m.py",
            f"--workdir={tmp_path / 'run'}",
        ),
        *(
            f"--config.data.train=a={tmp_path / 'shards'}",
            "--config.steps=2",
            "--config.optimizer.warmup_steps=1",
        ),
        *(
            "--config.global_batch=1",
            "--config.eval.batch=1",
            "--config.seq_len=512",
            "--config.model.dtype=float32",
        ),
        *("--config.checkpoint.keep=0", "--config.log.tracker=none"),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 16 * GIB


FORWARD = """
import resource, runpy
import jax, jax.numpy as jnp
from divsyn_jax.model import decoder
from divsyn_jax.training.recipe import Recipe
config = runpy.run_path("configs/1_4b.py")["get_config"]()
config.model.update(attention="blocked", dtype="float32")
shape = Recipe.from_config(config.to_dict()).model
params = jax.jit(lambda: decoder.init_params(shape, 0))()
logits = jax.jit(lambda p, t: decoder.logits(shape, p, t))(params, jnp.zeros((1, 128), jnp.int32))
assert logits.shape == (1, 128, 50304) and bool(jnp.all(jnp.isfinite(logits)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_a_1_4b_forward_pass_fits_16_gib():
    result = subprocess.run(
        [sys.executable, "-c", FORWARD], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout.split()[-1]) < 16 * GIB


def test_fine_tuning_lowers_the_loss_of_held_out_responses(shared_data, tmp_path, command):
    """A little Wikipedia, then human-written instructions of 20 kinds:

    the last tenth of each kind is held out.
    """
    instructions = shared_data / "sft_t0_human.jsonl.gz"
    with gzip.open(shared_data / "real_wiki.jsonl.gz", "rt") as stream:
        texts = [json.loads(line)["text"] for line in itertools.islice(stream, 400)]
    wiki = write_jsonl(tmp_path / "wiki.jsonl", texts)
    kinds = collections.defaultdict(list)
    with gzip.open(instructions, "rt") as stream:
        for record in map(json.loads, stream):
            if len(record["text"]) < 700:
                kinds[record["category"]].append(
                    {key: record[key] for key in ("prompt", "response")}
                )
    split = {"train": [], "held": []}
    for records in kinds.values():
        split["train"] += records[: len(records) * 9 // 10]
        split["held"] += records[len(records) * 9 // 10 :]
    tokenizer = str(tmp_path / "tokenizer")
    train_tokenizer([str(wiki), str(instructions)], tokenizer, 2048, max_bytes=2_000_000)
    build_shards([str(wiki)], tokenizer, str(tmp_path / "wiki"), 256)
    for name, records in split.items():
        corpus = write_conversations(tmp_path / f"{name}.jsonl", records)
        build_shards(
            [corpus],
            tokenizer,
            str(tmp_path / name),
            256,
            "best_fit",
            system_prompt="Answer the request.",
        )

    def run(name, *flags):
        common = (
            f"--workdir={tmp_path / name}",
            f"--config.data.root={tmp_path}",
            "--config.data.eval=held",
        )
        result = command("divsyn_jax.train", *flags, *common, "--config.seq_len=256", timeout=1500)
        assert result.returncode == 0, result.stderr[-2000:]
        return [
            json.loads(line)
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        ][-1]

    base = run(
        "base", "--config=configs/tiny.py", "--config.data.train=wiki", "--config.global_batch=8"
    )
    tuned = run(
        "tuned",
        "--config=configs/sft_tiny.py",
        "--config.data.train=train",
        f"--config.init_from={tmp_path / 'base'}",
    )
    # Fmt: skip
    print(
        {
            name: {key: line[key] for key in line if key.startswith("eval/")}
            for name, line in (("base", base), ("tuned", tuned))
        },
        tuned["step"],
    )
    assert tuned["epochs/train"] == 3.0
    assert tuned["eval/held/loss"] < base["eval/held/loss"] - 0.5
