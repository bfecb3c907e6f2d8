"""Run logs: cut back to what was restored, mirrored to W&B without secrets."""

import json
import os
import sys
import types

import jax
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.training.metrics import MetricsLog, Profiler
from divsyn_jax.training.recipe import LogConfig, Recipe

WANDB = LogConfig(every_steps=1, tracker="wandb", project="project")
SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in for the wandb module that records what it is told."""
    told = []

    def start(**settings):
        told.append(("init", settings))
        return types.SimpleNamespace(
            log=lambda scalars, step: told.append(("log", step, scalars)),
            finish=lambda: told.append(("finish",)),
        )

    module = types.SimpleNamespace(
        init=start, errors=types.SimpleNamespace(Error=RuntimeError), told=told
    )
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    return module


def test_wandb_is_told_each_step_and_the_recipe(wandb, tmp_path):
    log = MetricsLog(tmp_path, 0, WANDB, {"seed": 3})
    log.write(1, {"loss": 2.0, "mfu": None})
    log.close()
    (_, settings), *rest = wandb.told
    assert settings["project"] == "project"
    assert settings["config"] == {"seed": 3}
    assert settings["dir"] == str(tmp_path)
    assert rest == [("log", 1, {"loss": 2.0}), ("finish",)]


def test_a_continued_run_is_the_same_wandb_run_and_another_directory_is_not(wandb, tmp_path):
    (tmp_path / "a" / "run").mkdir(parents=True)
    (tmp_path / "b" / "run").mkdir(parents=True)
    for folder in ("a", "a", "b"):  # directories of one name
        MetricsLog(tmp_path / folder / "run", 0, WANDB, {}).close()
    first, again, other = (entry[1]["id"] for entry in wandb.told if entry[0] == "init")
    assert first == again != other


def test_the_key_is_written_nowhere(wandb, tmp_path):
    log = MetricsLog(tmp_path, 0, WANDB, {"seed": 3})
    log.write(1, {"loss": 2.0})
    log.close()
    assert SECRET not in repr(wandb.told)
    assert all(SECRET not in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_no_wandb_and_a_wandb_that_refuses_are_one_line(wandb, tmp_path, monkeypatch):
    def refuse(**settings):
        raise wandb.errors.Error("api_key not configured (no-tty)\ncall wandb.login")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(UserError, match="log.tracker=wandb, project 'project': api_key not"):
        MetricsLog(tmp_path, 0, WANDB, {})
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="wandb is not installed"):
        MetricsLog(tmp_path, 0, WANDB, {})


@pytest.fixture
def trackio(monkeypatch):
    """A stand-in for the trackio module (0.43) that records what it is told."""
    told = []

    def init(project, name=None, *, resume="never", config=None):
        told.append(("init", project, name, resume, config))
        return types.SimpleNamespace(
            log=lambda metrics, step=None: told.append(("log", step, metrics)),
            finish=lambda: told.append(("finish",)),
        )

    monkeypatch.setitem(sys.modules, "trackio", types.SimpleNamespace(init=init))
    return told


def test_trackio_is_told_each_step_and_a_continued_run_is_the_same(trackio, tmp_path):
    told = LogConfig(tracker="trackio", project="mine")
    (tmp_path / "run").mkdir()
    for _ in range(2):
        log = MetricsLog(tmp_path / "run", 0, told, {"seed": 3})
        log.write(1, {"loss": 2.0, "mfu": None})
        log.close()
    first, second = (entry for entry in trackio if entry[0] == "init")
    assert first == second
    assert (first[1], first[3], first[4]) == ("mine", "allow", {"seed": 3})
    assert first[2].startswith("run-")
    assert trackio[1:3] == [("log", 1, {"loss": 2.0}), ("finish",)]


def test_several_trackers_are_told_alike(wandb, trackio, tmp_path):
    log = MetricsLog(tmp_path, 0, LogConfig(tracker="trackio, wandb,tensorboard"), {})
    log.write(1, {"loss": 2.0})
    log.close()
    assert ("log", 1, {"loss": 2.0}) in wandb.told
    assert ("log", 1, {"loss": 2.0}) in trackio
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("trackio", "trackio", "trackio"),
        ("wandb", "wandb", "wandb"),
        ("tensorboard", "tensorboardX", "train"),
    ],
)
def test_a_tracker_that_is_not_installed_is_one_line(tmp_path, monkeypatch, name, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    says = f"{library} is not installed: pip install 'divsyn-jax.{extra}.'"
    with pytest.raises(UserError, match=says):
        MetricsLog(tmp_path, 0, LogConfig(tracker=name), {})


def _recipe(**log):
    content = Recipe.blank()
    content["steps"], content["global_batch"], content["seq_len"] = 10, 2, 8
    sizes = ("vocab_size", "hidden", "intermediate", "layers")
    content["model"] |= {**dict.fromkeys(sizes, 8), "heads": 2, "kv_heads": 2}
    content["optimizer"] = {**content["optimizer"], "eps": 1e-8, "schedule": "constant"}
    content["log"] = log
    return content


@pytest.mark.parametrize(
    ("old", "tracker", "project"),
    [
        ({"tensorboard": True, "wandb": ""}, ("tensorboard",), "divsyn_jax"),
        ({"tensorboard": False, "wandb": ""}, (), "divsyn_jax"),
        ({"tensorboard": False, "wandb": "mine"}, ("wandb",), "mine"),
        ({"tensorboard": True, "wandb": "mine"}, ("tensorboard", "wandb"), "mine"),
        ({"tensorboard": False, "tracker": "tensorboard"}, (), "divsyn_jax"),
        ({}, ("tensorboard",), "divsyn_jax"),
    ],
)
def test_recipes_of_0_1_0_that_named_trackers_apart_are_read(old, tracker, project):
    log = Recipe.from_config(_recipe(every_steps=5, **old)).log
    assert (log.trackers(), log.project, log.every_steps) == (tracker, project, 5)


def test_an_unknown_tracker_is_named(tmp_path):
    with pytest.raises(UserError, match="'mlflow' is unknown; use tensorboard, wandb, trackio"):
        Recipe.from_config(_recipe(tracker="tensorboard,mlflow"))


@pytest.mark.parametrize("tail", ["", '{"step": 3, "lo', "garbage\n"])
def test_the_log_is_cut_back_to_the_restored_step(tmp_path, tail):
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines) + tail)
    log = MetricsLog(tmp_path, 2, LogConfig(every_steps=1, tracker="none"), {})
    log.write(3, {"loss": 0.5})
    log.close()
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in written] == [(1, 1.0), (2, 1.0), (3, 0.5)]
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_a_trace_holds_its_steps_whole_and_no_others(tmp_path, monkeypatch):
    happened = []

    def start(folder, profiler_options):
        assert folder == str(tmp_path)
        assert profiler_options.python_tracer_level == 0  # no hook in the threads that save
        happened.append("start")

    monkeypatch.setattr(jax.profiler, "start_trace", start)
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: happened.append("stop"))
    profiler, in_flight = Profiler(tmp_path, 2, 2), None
    for number in range(1, 6):
        profiler.before_step(number, in_flight)
        done = types.SimpleNamespace(
            block_until_ready=lambda number=number: happened.append(f"{number} done")
        )
        in_flight = (number, {"loss": done})
    assert happened == ["1 done", "start", "3 done", "stop"]


def test_a_trace_from_before_the_first_step_is_refused(tmp_path):
    with pytest.raises(UserError, match="config.profile.first_step=0: steps count from 1"):
        Profiler(tmp_path, 0, 5)
    Profiler(tmp_path, 0, 0)
