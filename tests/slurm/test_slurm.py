"""A study through a real Slurm with a job killed and the node drained midway equals the same study
run locally.

Debian's slurm-wlm and munge are needed (apt-get install slurm-wlm munge); `make test-slurm` runs
it. One node on loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))),
        reason="Slurm is not installed: apt-get install slurm-wlm munge",
    ),
]
STUDY = "tests/slurm/slurm_study.py"


@pytest.fixture(scope="module")
def cluster():
    """Environment for clients of a Slurm that is taken down afterwards."""
    folder = tempfile.mkdtemp(
        prefix="slurm-one-"
    )  # not pytest's: munge wants folders that everyone may enter
    subprocess.run(["tests/slurm/cluster.sh", "up", folder], cwd=ROOT, check=True, timeout=120)
    yield {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
    subprocess.run(["tests/slurm/cluster.sh", "down", folder], cwd=ROOT, check=True, timeout=120)
    shutil.rmtree(folder)


def until(what, condition, seconds=900):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


def results(workdir):
    """study.json without times and hardware."""
    content = json.loads((workdir / "study.json").read_text())
    content.pop("environment")
    for run in content["runs"]:
        run.pop("seconds")
    return content


def test_a_study_survives_a_killed_job_and_a_drained_node(cluster, tmp_path):
    workdir = tmp_path / "through slurm"

    def sweep(action, *arguments):
        command = [
            sys.executable,
            "launch/sweep.py",
            action,
            f"--study={STUDY}",
            f"--workdir={workdir}",
            "--backend=slurm",
        ]
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=cluster,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def slurm(*command):
        return subprocess.run(
            command, env=cluster, capture_output=True, text=True, check=True
        ).stdout.strip()

    def run_states():
        return dict(line.rsplit(None, 1) for line in sweep("status").splitlines()[:-1])

    def ended():
        return not slurm("squeue", "--noheader")

    # One run at a time, so that the others wait in the queue.
    one = ("--sbatch=--exclusive --comment='two words'",)
    assert "3 of 3 runs sent" in sweep("submit", *one)
    assert "0 of 3 runs sent" in sweep("submit", *one)  # all are in the queue

    # Kill the first run's processes as a fault would: the task fails and stays failed.
    until("the first run to train", lambda: (workdir / "runs/narrow/seed0/checkpoints").exists())
    job = json.loads((workdir / "launch/jobs.json").read_text())[1]["job"]
    assert "Comment=two words" in slurm("scontrol", "show", "job", job)
    for line in slurm("scontrol", "listpids").splitlines()[1:]:
        pid = line.split()[0]
        if pid.isdigit() and int(pid) > 1:
            os.kill(int(pid), signal.SIGKILL)
    # Drain the node while the second run trains, and take its job off as an operator does before
    # maintenance.
    until("the second run to train", lambda: (workdir / "runs/twin/seed0/checkpoints").exists())
    node = socket.gethostname().split(".")[0]
    slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    subprocess.run(["scontrol", "requeue", f"{job}_1"], env=cluster, capture_output=True)
    until("the node to be empty", lambda: slurm("sinfo", "-h", "-o", "%T") == "drained", 120)
    slurm("scontrol", "update", f"nodename={node}", "state=resume")
    until("the queue to empty", ended)
    assert run_states() == {"narrow/seed0": "failed", "twin/seed0": "done", "broad/seed0": "done"}
    assert not (workdir / "study.json").exists()

    assert "1 of 3 runs sent" in sweep("submit", *one)
    until("the queue to empty", ended)
    assert set(run_states().values()) == {"done"}
    assert "0 of 3 runs sent" in sweep("submit", *one)

    # Slurm gave each run both cores, so one run at a time here too: XLA splits sums by the number
    # of cores it has, and a study of two runs side by side, on one core each, differs in the last
    # bits.
    local = tmp_path / "local"
    command = [
        sys.executable,
        "launch/sweep.py",
        "submit",
        f"--study={STUDY}",
        f"--workdir={local}",
        "--parallel=1",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(workdir) == results(local)
