"""One device and eight, in every layout, with and without accumulation, scan, remat and chunks:

the same training.
"""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import virtual_devices

pytestmark = pytest.mark.devices
TOLERANCE = 1e-5


def measure(*arguments: str) -> dict:
    """What tests/multi_device/layouts.py measures on eight virtual devices."""
    command = [sys.executable, str(pathlib.Path(__file__).with_name("layouts.py")), *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=1800, env=virtual_devices(8)
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found() -> dict:
    return measure()


def assert_right_ones_agree(found: dict, count: int) -> None:
    right = {name: gap for name, gap in found.items() if name.startswith(("layout", "variant"))}
    assert len(right) == count
    for name, gap in right.items():
        assert gap["loss"] < TOLERANCE, (name, gap)
        assert gap["gradient"] < TOLERANCE, (name, gap)


def test_all_right_variants_agree(found):
    assert_right_ones_agree(found, 16)


@pytest.mark.slow
def test_all_right_variants_agree_in_every_layout():
    assert_right_ones_agree(measure("every"), 32)


def test_muon_is_the_same_in_every_layout():
    found = measure("muon")
    assert len(found) == 3
    for name in ("muon fsdp", "muon replica x fsdp x tensor"):
        assert found[name]["gradient"] < TOLERANCE, (name, found[name])
        assert found[name]["loss"] < TOLERANCE, (name, found[name])
    assert found["learned"]["loss"] > 0.1


def test_the_modern_recipe_is_the_same_in_every_layout():
    found = measure("modern")
    assert len(found) == 3
    for name in ("modern fsdp", "modern replica x fsdp x tensor"):
        assert found[name]["gradient"] < TOLERANCE, (name, found[name])
        assert found[name]["loss"] < TOLERANCE, (name, found[name])
    assert found["learned"]["loss"] > 0.1


@pytest.mark.parametrize("name", ["wrong normalisation", "wrong sharding"])
def test_wrong_variants_are_found_out(found, name):
    assert found[name]["gradient"] > 100 * TOLERANCE
    assert found[name]["loss"] > 10 * TOLERANCE


def test_the_model_learned_meanwhile(found):
    assert found["learned"]["loss"] > 0.1
