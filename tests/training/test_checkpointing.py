"""Checkpoints:

what is damaged is set aside, what is sound stays, and a save that does not happen is an error.
"""

import contextlib
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.huggingface import exchange
from divsyn_jax.model import sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.training import trained_run
from divsyn_jax.training.checkpointing import Checkpoints
from tests.trained_runs import make_run

# Orbax drops what it was about to read when the rest fails.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


def state_at(step: int) -> dict:
    weight = jnp.arange(128.0).reshape(8, 16) + step
    return {"params": {"weight": weight}, "opt_state": {"mu": weight / 2}, "step": jnp.int32(step)}


ABSTRACT = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state_at(0)
)


def opened(workdir: pathlib.Path, **settings) -> contextlib.closing:
    return contextlib.closing(Checkpoints(workdir, 2, 0, **settings))


def save(workdir: pathlib.Path, *steps: int) -> None:
    with opened(workdir) as checkpoints:
        for step in steps:
            checkpoints.save(state_at(step), {"step": step})


def names(workdir: pathlib.Path) -> set[str]:
    return {path.name for path in (workdir / "checkpoints").iterdir()}


def harm(checkpoint: pathlib.Path, how: str, only: str = "*") -> None:
    """Damage the files of a checkpoint whose name matches `only`."""
    for path in [path for path in checkpoint.rglob(only) if path.is_file()]:
        if how == "half":
            os.truncate(path, path.stat().st_size // 2)
        elif how == "junk":
            path.write_bytes(b"junk" * (path.stat().st_size // 4 + 1))
        else:
            path.write_bytes(b"") if how == "empty" else path.unlink()


@pytest.mark.parametrize("how", ["half", "junk", "empty", "gone"])
@pytest.mark.parametrize("only", ["*", "_METADATA", "manifest.ocdbt", "d/*", "progress/*"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, how, only):
    save(tmp_path, 6, 9)
    harm(tmp_path / "checkpoints" / "9", how, only)
    with opened(tmp_path) as checkpoints:
        state, progress = checkpoints.restore_latest(ABSTRACT)
        assert progress == {"step": 6}
        assert np.array_equal(state["params"]["weight"], state_at(6)["params"]["weight"])
        assert names(tmp_path) == {"6", "damaged-9"}
        checkpoints.save(state_at(8), {"step": 8})  # before the step that was damaged
        assert checkpoints.newest_step() == 8
        checkpoints.wait()
        assert names(tmp_path) == {"6", "8", "damaged-9"}
        checkpoints.save(state_at(9), {"step": 9})  # and again that step
    with opened(tmp_path) as checkpoints:
        state, progress = checkpoints.restore_latest(ABSTRACT)
    assert progress == {"step": 9}
    assert np.array_equal(state["opt_state"]["mu"], state_at(9)["opt_state"]["mu"])


def test_a_step_damaged_twice_is_set_aside_twice(tmp_path):
    save(tmp_path, 6, 9)
    for _ in range(2):
        harm(tmp_path / "checkpoints" / "9", "half")
        with opened(tmp_path) as checkpoints:
            assert checkpoints.restore_latest(ABSTRACT)[1] == {"step": 6}
            checkpoints.save(state_at(9), {"step": 9})
    assert names(tmp_path) == {"6", "9", "damaged-9"}


def test_where_all_are_damaged_nothing_is_touched(tmp_path):
    save(tmp_path, 6, 9)
    harm(tmp_path / "checkpoints", "half")
    with (
        opened(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"none of the checkpoints \[9, 6\] can be read"),
    ):
        checkpoints.restore_latest(ABSTRACT)
    assert names(tmp_path) == {"6", "9"}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        PermissionError(13, "Permission denied"),
        OSError(24, "Too many open files"),
        ValueError("RESOURCE_EXHAUSTED: Error reading file"),
        ValueError("PERMISSION_DENIED: Error opening file"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
    ],
)
def test_what_is_not_damage_is_not_taken_for_it(tmp_path, monkeypatch, error):
    save(tmp_path, 6, 9)

    def fail(*arguments):
        raise KeyError("Failed to load checkpointable: params") from error  # as Orbax does

    with opened(tmp_path) as checkpoints:
        monkeypatch.setattr(checkpoints._checkpointer, "load_checkpointables", fail)
        with pytest.raises(KeyError):
            checkpoints.restore_latest(ABSTRACT)
        with pytest.raises(KeyError):
            checkpoints.restore_params(ABSTRACT["params"])
    assert names(tmp_path) == {"6", "9"}


def test_a_save_that_orbax_declines_fails(tmp_path):
    save(tmp_path, 6)
    with (
        opened(tmp_path) as checkpoints,
        pytest.raises(Failure, match="step 5 is not saved, there is a later one"),
    ):
        checkpoints.save(state_at(5), {"step": 5})


def test_only_who_trains_removes_what_is_being_written(tmp_path, tokenizer_dir):
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    written = workdir / "checkpoints" / "9.orbax-checkpoint-tmp"
    written.mkdir()
    run = trained_run.open_run(workdir)
    mesh = sharding.make_mesh(MeshConfig(1, 1, 1))
    run.load_params(mesh)
    exchange.export_run(workdir, tmp_path / "exported", 1 << 30)
    assert written.exists()
    with opened(workdir, clean_up=True) as checkpoints:
        checkpoints.save(state_at(10), {"step": 10})
    assert not written.exists()


@pytest.mark.parametrize("how", ["half", "junk", "gone"])
def test_readers_name_a_damaged_checkpoint(tmp_path, tokenizer_dir, how):
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    harm(workdir / "checkpoints" / "3", how)
    with pytest.raises(
        UserError, match=r"run/checkpoints: cannot be read \(step 3: .*train the run again"
    ):
        trained_run.open_run(workdir).load_params(sharding.make_mesh(MeshConfig(1, 1, 1)))
    with pytest.raises(UserError, match=r"run/checkpoints: cannot be read \(step 3: "):
        exchange.export_run(workdir, tmp_path / "exported", 1 << 30)
    assert not (tmp_path / "exported").exists()


def test_a_full_disk_is_one_line_without_the_tracebacks_of_threads(tmp_path, monkeypatch, caplog):
    error = ValueError("RESOURCE_EXHAUSTED: Failed writing: No space left on device [OS error 28]")

    def full() -> None:
        try:
            raise RuntimeError("in a thread") from error
        except RuntimeError:
            logging.exception("_SignalingThread.run() raised an exception")
            raise

    with opened(tmp_path) as checkpoints:
        monkeypatch.setattr(checkpoints._checkpointer, "wait", full)
        with pytest.raises(Failure, match="the disk is full; free space, then run the same"):
            checkpoints.wait()
    assert "Traceback" not in caplog.text
    assert "_SignalingThread" not in caplog.text
