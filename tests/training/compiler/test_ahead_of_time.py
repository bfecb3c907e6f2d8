"""Ahead-of-time compilation without libtpu:

what is said of candidates that cannot be, of what does not fit, of wrong flags.
"""

import types

import jax
import pytest

from configs import tiny
from divsyn_jax.base.commandline import UserError
from divsyn_jax.training.compiler import ahead_of_time, hlo
from divsyn_jax.training.recipe import Recipe
from tests.conftest import fails_with_one_line

CHIP = ahead_of_time.CHIPS["v5e"]
FULL = "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 45.24G of 15.75G hbm."


@pytest.fixture
def recipe() -> Recipe:
    config = tiny.get_config()
    config.model.update(
        vocab_size=64, hidden=16, intermediate=16, heads=4, kv_heads=4, attention="blocked"
    )
    config.update(global_batch=2, seq_len=32)
    return Recipe.from_config(config.to_dict())


@pytest.mark.long
def test_the_report_names_the_resolved_mesh(recipe, monkeypatch):
    monkeypatch.setattr(
        ahead_of_time, "xla_flops_per_token", ahead_of_time.full_square_flops_per_token
    )
    assert recipe.mesh.fsdp == -1
    compiled = ahead_of_time.compile_step(recipe, jax.devices()[:1])
    device = types.SimpleNamespace(num_cores=1, device_kind="TPU v5 lite")
    text = ahead_of_time.compile_report(recipe, compiled, CHIP, [device])
    assert "as {'replica': 1, 'fsdp': 1, 'tensor': 1}" in text


def test_a_step_that_the_compiler_cannot_fit_is_a_result(recipe, monkeypatch):
    def out_of_memory(recipe, devices):
        raise jax.errors.JaxRuntimeError(f"{FULL}\nLargest program allocations:")

    monkeypatch.setattr(ahead_of_time, "compile_step", out_of_memory)
    assert ahead_of_time.outcome(recipe, CHIP, []) == f"bytes per device     DOES NOT FIT: {FULL}"


def test_other_errors_of_the_compiler_are_not_called_so(recipe, monkeypatch):
    def broken(recipe, devices):
        raise jax.errors.JaxRuntimeError("INTERNAL: RET_CHECK failure")

    monkeypatch.setattr(ahead_of_time, "compile_step", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RET_CHECK"):
        ahead_of_time.outcome(recipe, CHIP, [])


def test_a_search_goes_on_past_candidates_that_cannot_be(recipe, monkeypatch, capsys):
    def compile_step(candidate, devices):
        if candidate.mesh.tensor == 2:
            raise UserError("each must take whole axes of the slice")
        if candidate.model.remat == "none":
            raise jax.errors.JaxRuntimeError(f"{FULL}\nLargest program allocations:")
        arguments = {"minimal": 1 << 30, "dots": 2 << 30, "full": 3 << 30}[candidate.model.remat]
        return ahead_of_time.Compiled({}, arguments, 0, {"all-gather": hlo.Traffic(1, 1)}, 0.0)

    monkeypatch.setattr(ahead_of_time, "compile_step", compile_step)
    best, compiled = ahead_of_time.search(recipe, CHIP, [None] * 2, [1])
    lines = capsys.readouterr().out.splitlines()
    assert (best.model.remat, best.mesh.tensor, compiled.arguments) == ("minimal", 1, 1 << 30)
    assert lines[0] == f"  fsdp 2 x tensor 1, 1 micro-batches, remat none: not possible: {FULL}"
    assert lines[-1].endswith(
        "tensor 2, 2 micro-batches, remat full: not possible: each must take whole axes of the"
        " slice"
    )
    assert len(lines) == 8


@pytest.mark.parametrize("rows", ["x", "0", "1,-2", "", "1,,2"])
def test_rows_to_search_are_positive_numbers(command, rows):
    flags = ("--config=configs/tiny.py", "--topology=v5e:4x4", "--search", f"--search_rows={rows}")
    fails_with_one_line(
        command("divsyn_jax.compile", *flags), f"--search_rows={rows}: positive integers"
    )
