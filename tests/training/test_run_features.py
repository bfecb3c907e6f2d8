"""What a run offers beside training:

which checkpoints stay, traces, the compile cache, debug checks, and how it fails.
"""

import dataclasses
import json
import os
import re
import signal

import jax
import jax.numpy as jnp
import pytest

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.evaluation import evaluation, text_generation
from divsyn_jax.model import decode
from divsyn_jax.training import run_directory, step, trained_run
from tests.conftest import small_texts, write_jsonl
from tests.test_train import STEPS, arguments, metrics_of, start, wait_for_step
from tests.trained_runs import make_run


def checkpoints_of(workdir) -> list[int]:
    return sorted(
        int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()
    )


@pytest.fixture(scope="module")
def watched(shards, tmp_path_factory, command):
    """A run with every cadence set, and the home folder it was started with."""
    root = tmp_path_factory.mktemp("watched")
    environment = {
        **os.environ,
        "HOME": str(root / "home"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR")
    settings = {
        "checkpoint.every_steps": 2,
        "checkpoint.keep": 2,
        "checkpoint.keep_every_steps": 6,
        "profile.first_step": 3,
        "profile.steps": 2,
        "log.every_steps": 4,
        "log.tracker": "tensorboard",
        "debug.repeat_every_steps": 7,
        "debug.nans": True,
        "debug.deterministic": True,
    }
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    result = command(
        "divsyn_jax.train",
        *arguments(shards, root / "run", *overrides),
        env=environment,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
    return root


@pytest.mark.long
def test_the_newest_checkpoints_and_every_so_many_stay(watched):
    assert checkpoints_of(watched / "run") == [6, 12, STEPS]


def test_a_trace_of_the_window_is_written(watched):
    assert list((watched / "run" / "profile").rglob("*.xplane.pb"))


def test_metrics_come_at_their_cadence_with_goodput_and_throughput(watched):
    lines = [
        json.loads(line) for line in (watched / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [
        4,
        5,
        8,
        10,
        12,
        STEPS,
    ]  # evaluation at 5, 10 and the end
    assert all(
        0 < line["goodput"] <= 1 and line["tokens_per_second"] > 0 and line["seconds"] > 0
        for line in lines
    )
    assert list((watched / "run" / "tensorboard").glob("events*"))


def test_compiled_steps_are_kept_for_the_next_start(watched):
    kept = [path.name for path in (watched / "home" / ".cache" / "divsyn_jax" / "xla").iterdir()]
    assert any("train_step" in name for name in kept)


def test_debug_checks_change_no_number(watched, shards, tmp_path, command):
    result = command(
        "divsyn_jax.train", *arguments(shards, tmp_path / "plain", "--config.log.every_steps=4")
    )
    assert result.returncode == 0, result.stderr
    assert metrics_of(tmp_path / "plain") == metrics_of(watched / "run")


@pytest.mark.long
def test_a_loss_that_is_not_finite_stops_the_run_by_name_and_is_never_saved(
    shards, tmp_path, command
):
    workdir = tmp_path / "run"
    explode = (
        "--config.optimizer.peak_lr=1e30",
        "--config.optimizer.clip_norm=0.0",
        "--config.checkpoint.every_steps=1",
    )
    result = command("divsyn_jax.train", *arguments(shards, workdir, *explode))
    assert result.returncode == 1, result.stderr
    said = re.search(
        r"train: step (\d+): loss \S+, gradient norm \S+; the run stops", result.stderr
    )
    assert said, result.stderr
    assert "Traceback" not in result.stderr
    failed = int(said[1])
    assert failed <= 3
    assert f"the newest checkpoint is of step {failed - 1}" in result.stderr
    assert checkpoints_of(workdir) == list(range(1, failed))[-2:]
    assert [entry["step"] for entry in metrics_of(workdir)] == list(range(1, failed))
    assert not (workdir / "DONE").exists()


def test_weights_that_are_not_finite_are_never_saved(shards, tmp_path, command):
    """The loss of the step that made them was finite:

    the last step of a run, which no later loss would judge.
    """
    settings = {"optimizer.peak_lr": 1e39, "optimizer.warmup_steps": 0, "steps": 1, "data.eval": ""}
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    result = command("divsyn_jax.train", *arguments(shards, tmp_path / "run", *overrides))
    assert result.returncode == 1, result.stderr
    assert re.search(
        r"train: step \d+: params/\S+ is not finite after the update; .*there is no checkpoint",
        result.stderr,
    )
    assert checkpoints_of(tmp_path / "run") == []


def test_debug_nans_stops_at_the_operation(shards, tmp_path, command):
    explode = (
        "--config.optimizer.peak_lr=1e30",
        "--config.optimizer.clip_norm=0.0",
        "--config.debug.nans=True",
    )
    result = command("divsyn_jax.train", *arguments(shards, tmp_path / "run", *explode))
    assert result.returncode == 1
    assert "invalid value (nan) encountered" in result.stderr


def test_a_step_that_does_not_repeat_is_named():
    calls = iter(range(2))

    def train_step(state, batch):  # another answer every time
        return {"params": {"weight": state["params"]["weight"] + next(calls)}}, {}

    with pytest.raises(Failure, match=r"step 7: computed twice, params/weight differs"):
        step.check_repeatable(train_step, {"params": {"weight": jnp.zeros(2)}}, {}, 7)


@pytest.mark.runs
def test_one_process_a_run_directory(shards, tmp_path, command):
    workdir = tmp_path / "run"
    process = start(shards, workdir, "--config.steps=100000")
    wait_for_step(process, workdir, 1)
    second = command("divsyn_jax.train", *arguments(shards, workdir, "--config.steps=100000"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert second.returncode == 2
    assert "another process is training here" in second.stderr
    # The lock goes with the process, the file stays.
    assert (workdir / ".lock").exists()
    run_directory.lock(workdir).close()


def test_the_lock_is_held_until_closed(tmp_path):
    held = run_directory.lock(tmp_path)
    with pytest.raises(UserError, match="another process is training here"):
        run_directory.lock(tmp_path)
    held.close()
    run_directory.lock(tmp_path).close()


def test_layout_may_change_midway_what_is_computed_may_not(tmp_path, tokenizer_dir):
    """A run goes on on other devices:

    with their attention kernel, and with remat where they have less memory.
    """
    run = make_run(tmp_path / "run", tokenizer_dir)
    recipe = trained_run.open_run(run).recipe
    elsewhere = dataclasses.replace(
        recipe.model, attention="reference", remat="full", scan=not recipe.model.scan
    )
    moved = dataclasses.replace(
        recipe, model=elsewhere, loss=dataclasses.replace(recipe.loss, chunk=0)
    )
    run_directory.check_same_recipe(run, moved)
    other = dataclasses.replace(moved, model=dataclasses.replace(elsewhere, dtype="bfloat16"))
    with pytest.raises(UserError, match=r"config.model was .*float32.*, now .*bfloat16"):
        run_directory.check_same_recipe(run, other)


def test_a_run_of_many_devices_is_evaluated_on_those_here(tmp_path, tokenizer_dir):
    run = make_run(tmp_path / "run", tokenizer_dir, seq_len=64)
    corpus = write_jsonl(tmp_path / "held.jsonl", small_texts(5))
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "held"), seq_len=64, packing="document"
    )
    config = files.read_json(run / "config.json")
    for section, changes in {
        "mesh": {"replica": 2, "fsdp": 8},
        "model": {"attention": "cudnn", "dtype": "bfloat16"},
    }.items():
        config[section].update(changes)
    files.write_json(run / "config.json", config)
    result = evaluation.evaluate_run(run, data=f"held={tmp_path / 'held'}")
    assert result["domains"]["held"]["bits_per_byte"] > 0
    assert text_generation.generate_texts(run, ["the river"], 3, decode.Sampling(temperature=0.0))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", 9, "seed was 0, now 9"),
        ("global_batch", 8, "global_batch was 4, now 8"),
        (
            "sources",
            {"a": {"weight": 1.0, "fingerprint": "y"}},
            "data source 'a' .*weight or data fingerprint changed",
        ),
        ("sources", {"b": {"weight": 1.0, "fingerprint": "x"}}, "data source 'a' is not what"),
    ],
)
def test_data_that_changed_are_refused_by_field(field, value, message):
    earlier = {"seed": 0, "global_batch": 4, "sources": {"a": {"weight": 1.0, "fingerprint": "x"}}}
    run_directory.check_same_data(earlier, earlier)
    with pytest.raises(UserError, match=message):
        run_directory.check_same_data(earlier, {**earlier, field: value})


def test_sources_in_another_order_are_refused():
    sources = {"a": {"weight": 3.0, "fingerprint": "x"}, "b": {"weight": 1.0, "fingerprint": "y"}}
    earlier, now = (
        {"sources": sources, "source_order": order} for order in (["a", "b"], ["b", "a"])
    )
    with pytest.raises(
        UserError, match=r"source_order was \['a', 'b'\], now \['b', 'a'\]; .* --workdir"
    ):
        run_directory.check_same_data(earlier, now)
    run_directory.check_same_data({"sources": sources}, now)  # a checkpoint that does not know


def test_weights_of_a_run_with_another_tokenizer_are_refused(tmp_path, tokenizer_dir):
    class Other:
        sha256 = "0" * 64

    run = make_run(tmp_path / "run", tokenizer_dir)
    with pytest.raises(UserError, match="trained with another tokenizer"):
        run_directory.initial_weights(
            run,
            {"weight": jax.ShapeDtypeStruct((1,), jnp.float32)},
            Other(),
            trained_run.open_run(run).recipe.model,
        )
