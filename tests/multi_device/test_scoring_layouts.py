"""Scores and greedy texts do not depend on the number of devices or the layout."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import virtual_devices

pytestmark = pytest.mark.devices


def test_scores_are_the_same_on_one_device_and_on_eight():
    script = pathlib.Path(__file__).with_name("scoring_layouts.py")
    result = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=900,
        env=virtual_devices(8),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert len(found) == 4
    for name, layout in found.items():
        np.testing.assert_allclose(
            layout["scores"], found["one"]["scores"], rtol=1e-5, err_msg=name
        )
        assert layout["texts"] == found["one"]["texts"], name
