"""Runs:

interrupted equals uninterrupted bit for bit, and a run that cannot go on says why in one line.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.training import run_directory, trained_run
from divsyn_jax.training.recipe import Recipe
from tests.conftest import ROOT, fails_with_one_line
from tests.trained_runs import make_run

STEPS = 14
# What the machine decides, not the computation.
TIMINGS = ("seconds", "tokens_per_second", "mfu", "goodput", "memory_peak_bytes")


def arguments(shards, workdir, *overrides) -> list[str]:
    model = {
        "vocab_size": 400,
        "hidden": 32,
        "intermediate": 48,
        "layers": 2,
        "heads": 2,
        "kv_heads": 1,
    }
    return [
        "--config=configs/tiny.py",
        f"--workdir={workdir}",
        f"--config.data.train=a={shards}/a:3,b={shards}/b:1",
        f"--config.data.eval=held={shards}/held",
        *(f"--config.model.{key}={value}" for key, value in model.items()),
        f"--config.steps={STEPS}",
        "--config.global_batch=4",
        "--config.seq_len=16",
        "--config.loss.chunk=8",
        "--config.optimizer.warmup_steps=2",
        "--config.checkpoint.every_steps=3",
        "--config.checkpoint.keep=2",
        "--config.eval.every_steps=5",
        "--config.eval.batch=4",
        *overrides,
    ]


def metrics_of(workdir) -> list[dict]:
    lines = [
        json.loads(line)
        for line in (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines()
    ]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(shards, tmp_path_factory, command):
    workdir = tmp_path_factory.mktemp("run") / "whole"
    result = command("divsyn_jax.train", *arguments(shards, workdir))
    assert result.returncode == 0, result.stderr
    return workdir


def start(shards, workdir, *overrides) -> subprocess.Popen:
    return start_with(arguments(shards, workdir, *overrides))


def start_with(given: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "divsyn_jax.train", *given],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_step(process, workdir, step) -> None:
    path = pathlib.Path(workdir) / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= step:
            return
        time.sleep(0.002)


def test_a_run_writes_what_it_promises(uninterrupted):
    lines = metrics_of(uninterrupted)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert [line["step"] for line in lines if "eval/held/bits_per_byte" in line] == [5, 10, STEPS]
    assert lines[-1]["share/a"] + lines[-1]["share/b"] == pytest.approx(1)
    assert abs(lines[-1]["share/a"] - 0.75) < 0.05
    assert json.loads((uninterrupted / "DONE").read_text())["step"] == STEPS
    assert json.loads((uninterrupted / "config.json").read_text())["model"]["hidden"] == 32
    assert list(json.loads((uninterrupted / "level.json").read_text())["sources"]) == ["a", "b"]
    assert lines[-1]["epochs/a"] > lines[0]["epochs/a"] > 0
    assert {"sharding.json", "environment.json", "tokenizer"} <= {
        path.name for path in uninterrupted.iterdir()
    }


def test_the_learning_rate_is_the_schedule(uninterrupted):
    rates = [line["learning_rate"] for line in metrics_of(uninterrupted)]
    assert rates[0] == pytest.approx(1.5e-3)
    assert rates[1] == pytest.approx(3e-3)
    assert rates[2] == pytest.approx(3e-3)
    assert rates[-1] == pytest.approx(3e-3 / 12)


@pytest.mark.runs
def test_killed_anywhere_equals_uninterrupted(shards, tmp_path, uninterrupted):
    workdir = tmp_path / "killed"
    for step in (2, 6, 11):  # before the first checkpoint, and after later ones
        process = start(shards, workdir)
        wait_for_step(process, workdir, step)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(shards, workdir)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "continuing from step" in output
    assert metrics_of(workdir) == metrics_of(uninterrupted)


@pytest.mark.long
def test_sigterm_saves_and_leaves_with_75(shards, tmp_path, uninterrupted):
    workdir = tmp_path / "stopped"
    process = start(shards, workdir, "--config.checkpoint.every_steps=0")
    wait_for_step(process, workdir, 1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 75, output
    assert "run the same command to continue" in output
    assert not (workdir / "DONE").exists()
    done = len(metrics_of(workdir))
    process = start(shards, workdir)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert f"continuing from step {done}" in output
    assert metrics_of(workdir) == metrics_of(uninterrupted)


@pytest.mark.long
@pytest.mark.parametrize("every", ["checkpoint", "eval"])
def test_sigterm_is_obeyed_where_every_step_saves_or_evaluates(shards, tmp_path, every):
    workdir = tmp_path / "stopped"
    other = (
        "--config.checkpoint.every_steps=0" if every == "eval" else "--config.eval.every_steps=0"
    )
    process = start(shards, workdir, f"--config.{every}.every_steps=1", other, "--config.steps=400")
    wait_for_step(process, workdir, 2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 75, output
    done = metrics_of(workdir)[-1]["step"]
    assert f"saved at step {done} of 400" in output
    assert (workdir / "checkpoints" / str(done)).exists()


@pytest.mark.long
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_used(
    shards, tmp_path, uninterrupted
):
    workdir = tmp_path / "damaged"
    process = start(shards, workdir)
    wait_for_step(process, workdir, 8)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    steps = sorted(
        int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()
    )
    assert len(steps) == 2
    damage(workdir / "checkpoints" / str(steps[-1]))
    left = workdir / "checkpoints" / "13.orbax-checkpoint-tmp"  # by a kill while saving
    left.mkdir()
    process = start(shards, workdir)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert f"checkpoint of step {steps[-1]} cannot be read" in output
    assert f"continuing from step {steps[0]}" in output
    assert metrics_of(workdir) == metrics_of(uninterrupted)
    assert not left.exists()


def damage(checkpoint) -> None:
    for path in checkpoint.rglob("*"):
        if path.is_file() and path.parent.name == "d":  # the array data
            os.truncate(path, path.stat().st_size // 2)


def test_a_damaged_last_checkpoint_is_written_again(shards, tmp_path, uninterrupted, command):
    workdir = _unfinished_copy(uninterrupted, tmp_path)
    damage(workdir / "checkpoints" / str(STEPS))
    result = command("divsyn_jax.train", *arguments(shards, workdir))
    assert result.returncode == 0, result.stderr
    assert metrics_of(workdir) == metrics_of(uninterrupted)
    assert (workdir / "DONE").exists()
    result = command("divsyn_jax.evaluate", f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    assert f"step {STEPS}: held: " in result.stdout


def test_a_finished_run_is_left_alone(shards, uninterrupted, command):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    result = command("divsyn_jax.train", *arguments(shards, uninterrupted))
    assert result.returncode == 0
    assert "finished before" in result.stdout
    assert before == {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.optimizer.peak_lr=0.1", "config.optimizer was"),
        ("--config.seed=5", "config.seed was 0, now 5"),
        ("--config.global_batch=8", "config.global_batch was 4, now 8"),
    ],
)
def test_another_recipe_does_not_continue_a_run(
    shards, tmp_path, uninterrupted, command, override, message
):
    workdir = _unfinished_copy(uninterrupted, tmp_path)
    fails_with_one_line(
        command("divsyn_jax.train", *arguments(shards, workdir, override)), message, "--workdir"
    )


def test_other_data_do_not_continue_a_run(shards, tmp_path, uninterrupted, command):
    workdir = _unfinished_copy(uninterrupted, tmp_path)
    changed = f"--config.data.train=a={shards}/b:3,b={shards}/b:1"
    fails_with_one_line(
        command("divsyn_jax.train", *arguments(shards, workdir, changed)),
        "data source 'a'",
        "fingerprint changed",
    )


def test_sources_in_another_order_do_not_continue_a_run(shards, tmp_path, uninterrupted, command):
    workdir = _unfinished_copy(uninterrupted, tmp_path)
    swapped = f"--config.data.train=b={shards}/b:1,a={shards}/a:3"
    fails_with_one_line(
        command("divsyn_jax.train", *arguments(shards, workdir, swapped)),
        "source_order was ['a', 'b'], now ['b', 'a']",
    )


def _unfinished_copy(run, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(run, workdir)
    (workdir / "DONE").unlink()
    return workdir


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--config.modle.hidden=3"], "unknown config key 'modle' Did you mean \"model\""),
        (["--config.model.hidden=wide"], "hidden"),
        (
            ["--config=configs/tiny.py:level=topics"],
            "level='topics' is unknown; known levels: real_only",
        ),
        (["--config=configs/none.py"], "none.py"),
        (["--config=configs/studies/tiny.py"], "unknown config key 'data'"),
        (["--config=README.md"], "README.md:"),
        (["--config.data.train=nowhere"], "nowhere: no shards here"),
        (["--config.data.train="], "data.train is empty"),
        (["--config.model.vocab_size=300"], "smaller than the tokenizer's 400"),
        (["--config.model.attention=flash9"], "model.attention='flash9' is unknown"),
        (["--config.seq_len=32"], "--seq_len=32"),
        (["--config.model.heads=5"], "does not split into"),
        (["--config.optimizer.schedule=sawtooth"], "sawtooth"),
        (["--config.mesh.tensor=3"], "mesh sizes"),
        (["--config.init_from=nowhere"], "init_from=nowhere"),
        (["--config.data.eval=held=held@500"], "held-out held: @500 is for training data"),
        (["--config.profile.steps=2"], "config.profile.first_step=0: steps count from 1"),
        (["--workdir=gs://bucket/run"], "gs://bucket/run: is a URL; write to a local folder"),
        (["--nonsense=1"], "nonsense"),
    ],
)
def test_bad_settings_give_one_line(shards, tmp_path, command, changes, message):
    given = {change.split("=")[0] for change in changes}
    kept = [
        argument
        for argument in arguments(shards, tmp_path / "run")
        if argument.split("=")[0] not in given
    ]
    fails_with_one_line(
        (
            command("divsyn_jax.train", *changes, *kept)
            if changes[0].startswith("--config=")
            else command("divsyn_jax.train", *kept, *changes)
        ),
        message,
    )
    assert not (tmp_path / "run" / "checkpoints").exists() or not any(
        (tmp_path / "run" / "checkpoints").iterdir()
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, "config.seed=-1 must be at least 0"),
        ("seed", 1 << 32, "config.seed=4294967296 must be less"),
        ("log.every_steps", 0, "config.log.every_steps=0 must be at least 1"),
        ("model.heads", 0, "config.model.heads=0 must be at least 1"),
        ("checkpoint.keep", -1, "config.checkpoint.keep=-1 must be at least 0"),
        ("optimizer.peak_lr", float("nan"), "config.optimizer.peak_lr=nan must be at least 0"),
        ("model.dtype", "float8", "model.dtype='float8' is unknown"),
        ("model", 3, "config.model=3: keys and values expected"),
        ("level", [], "config.level=.*: keys and values expected"),
    ],
)
def test_recipes_out_of_range_are_refused_by_key(key, value, message):
    from configs import tiny

    config = tiny.get_config().to_dict()
    config["model"]["attention"] = "reference"
    assert Recipe.from_config(config).steps == config["steps"]
    *path, last = key.split(".")
    (config[path[0]] if path else config)[last] = value
    with pytest.raises(UserError, match=message):
        Recipe.from_config(config)


def test_missing_arguments_are_named(command):
    fails_with_one_line(command("divsyn_jax.train"), "--config is required")
    fails_with_one_line(
        command("divsyn_jax.train", "--config=configs/tiny.py"), "--workdir is required"
    )


def test_a_workdir_that_is_a_file_is_named(shards, tmp_path, command):
    (tmp_path / "file").touch()
    fails_with_one_line(
        command("divsyn_jax.train", *arguments(shards, tmp_path / "file")), f"{tmp_path / 'file'}: "
    )


def test_evaluate_names_what_is_damaged(shards, uninterrupted, tmp_path, command):
    workdir = tmp_path / "run"
    shutil.copytree(uninterrupted, workdir)
    (workdir / "eval.json").unlink(missing_ok=True)
    fails_with_one_line(
        command("divsyn_jax.evaluate", f"--workdir={workdir}", "--data=,"), "--data=,: no domain"
    )
    for file in (workdir / "checkpoints").rglob("*"):
        if file.is_file():
            file.write_text("junk")
    result = command("divsyn_jax.evaluate", f"--workdir={workdir}")
    assert result.returncode == 2, result.stderr
    assert f"{workdir}/checkpoints: cannot be read" in result.stderr
    (workdir / "config.json").write_text("[]")
    fails_with_one_line(
        command("divsyn_jax.evaluate", f"--workdir={workdir}"),
        "config.json: config=[]: keys and values expected",
    )
    assert not (workdir / "eval.json").exists()


def test_help_shows_an_example(command):
    result = command("divsyn_jax.train", "--help")
    assert result.returncode == 0
    assert "python -m divsyn_jax.train --config=configs/350m.py" in result.stdout
    assert "--workdir" in result.stdout


def test_init_from_takes_the_weights_of_another_run(shards, tmp_path, uninterrupted, command):
    result = command(
        "divsyn_jax.train",
        *arguments(
            shards, tmp_path / "next", f"--config.init_from={uninterrupted}", "--config.steps=3"
        ),
    )
    assert result.returncode == 0, result.stderr
    first = metrics_of(tmp_path / "next")[0]["loss"]
    assert first < metrics_of(uninterrupted)[0]["loss"] - 0.5


def test_a_start_brings_its_model_unless_the_command_line_says_another(tmp_path, tokenizer_dir):
    from divsyn_jax.model.config import ModelConfig

    source = make_run(tmp_path / "run", tokenizer_dir, rope_theta=5000.0, norm_eps=1e-4)
    theirs = trained_run.read_recipe(source)
    plain = dataclasses.replace(theirs.model, rope_theta=1e4, norm_eps=1e-5, remat="full")
    ours = dataclasses.replace(theirs, init_from=str(source), model=plain)
    filled = run_directory.with_model_of_start(ours, tmp_path / "new").model
    assert filled == dataclasses.replace(theirs.model, remat="full")
    assert isinstance(filled, ModelConfig)
    tokenizer = tokenizers.load_tokenizer(str(tokenizer_dir))
    named = "config.model.rope_theta is 5000.0 there and 10000.0 here, config.model.norm_eps"
    with pytest.raises(UserError, match=named):
        run_directory.initial_weights(source, {}, tokenizer, plain)
    with pytest.raises(UserError, match="no run there"):
        run_directory.with_model_of_start(
            dataclasses.replace(ours, init_from="nowhere"), tmp_path / "new"
        )


def test_init_from_names_a_damaged_checkpoint_and_another_shape(
    shards, tmp_path, uninterrupted, command
):
    source = tmp_path / "source"
    shutil.copytree(uninterrupted, source)
    given = arguments(shards, tmp_path / "next", f"--config.init_from={source}")
    fails_with_one_line(
        command("divsyn_jax.train", *given, "--config.model.hidden=16"),
        f"init_from={source}: config.model.hidden is 32 there and 16 here",
    )
    damage(source / "checkpoints" / str(STEPS))
    result = command("divsyn_jax.train", *given)
    assert result.returncode == 2, result.stderr
    assert f"train: {source}/checkpoints: cannot be read (step {STEPS}: " in result.stderr


def test_evaluate_agrees_with_the_run_itself(uninterrupted, command):
    result = command("divsyn_jax.evaluate", f"--workdir={uninterrupted}")
    assert result.returncode == 0, result.stderr
    evaluation = json.loads((uninterrupted / "eval.json").read_text())
    last = metrics_of(uninterrupted)[-1]
    domain = evaluation["domains"]["held"]
    assert domain["bits_per_byte"] == pytest.approx(last["eval/held/bits_per_byte"], rel=1e-6)
    documents = [
        json.loads(line)
        for line in (uninterrupted / "eval" / "held.jsonl").read_text().splitlines()
    ]
    assert len(documents) == domain["documents"] == 60
    assert sum(d["nll"] for d in documents) / sum(d["targets"] for d in documents) == pytest.approx(
        domain["loss"]
    )
