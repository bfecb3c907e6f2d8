"""Two processes of four devices against one of eight:

the same run; and continuing on another number of devices.
"""

import json
import pathlib
import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT, virtual_devices

pytestmark = pytest.mark.devices

STEPS, EVERY = 20, 3  # steps, and those between checkpoints
BEFORE_LAST = (STEPS - 1) // EVERY * EVERY


def train(shards, workdir, devices, *extra, mesh=("replica=2", "fsdp=-1")) -> subprocess.Popen:
    model = {
        "vocab_size": 400,
        "hidden": 32,
        "intermediate": 48,
        "layers": 2,
        "heads": 2,
        "kv_heads": 2,
    }
    arguments = [
        "--config=configs/tiny.py",
        f"--workdir={workdir}",
        f"--config.data.train=a={shards}/a:3,b={shards}/b:1",
        f"--config.data.eval=held={shards}/held",
        *(f"--config.model.{key}={value}" for key, value in model.items()),
        *(f"--config.mesh.{axis}" for axis in mesh),
        f"--config.steps={STEPS}",
        "--config.global_batch=16",
        "--config.seq_len=16",
        "--config.loss.chunk=8",
        "--config.optimizer.schedule=constant",
        "--config.optimizer.peak_lr=1e-3",
        "--config.optimizer.warmup_steps=0",
        f"--config.checkpoint.every_steps={EVERY}",
        "--config.eval.batch=8",
        *extra,
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "divsyn_jax.train", *arguments],
        cwd=ROOT,
        env=virtual_devices(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes) -> None:
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]


def numbers(workdir) -> list[float]:
    """Loss and gradient norm of every step, the held-out loss and a source's share."""
    lines = [
        json.loads(line)
        for line in (pathlib.Path(workdir) / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-3] * STEPS)
    of_steps = [line[name] for line in lines for name in ("loss", "grad_norm")]
    return [*of_steps, lines[-1]["eval/held/loss"], lines[-1]["share/a"]]


@pytest.fixture(scope="module")
def one_process(shards, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "one"
    finish(train(shards, workdir, 8))
    return workdir


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_two_processes_train_the_same_run(shards, tmp_path, one_process):
    coordinator = f"--coordinator=127.0.0.1:{free_port()}"
    finish(
        *(
            train(shards, tmp_path / "two", 4, coordinator, "--processes=2", f"--process={i}")
            for i in range(2)
        )
    )
    assert numbers(tmp_path / "two") == pytest.approx(numbers(one_process), rel=1e-5)


def test_continuing_on_another_mesh_and_number_of_hosts_agrees(shards, tmp_path, one_process):
    workdir = tmp_path / "moved"
    # Stop after the first checkpoint by asking for the whole run but killing it there.
    process = train(shards, workdir, 8)
    while process.poll() is None and not (workdir / "checkpoints" / str(EVERY)).exists():
        pass
    process.kill()
    process.communicate()
    coordinator = f"--coordinator=127.0.0.1:{free_port()}"
    mesh = ("replica=1", "fsdp=2", "tensor=2")
    finish(
        *(
            train(shards, workdir, 2, coordinator, "--processes=2", f"--process={i}", mesh=mesh)
            for i in range(2)
        )
    )
    assert numbers(workdir) == pytest.approx(numbers(one_process), rel=1e-5)


def test_a_checkpoint_that_one_process_cannot_read_is_used_by_none(shards, tmp_path, one_process):
    workdir, mesh = tmp_path / "damaged", ("replica=1", "fsdp=8")

    def run() -> list[str]:
        several = (
            f"--coordinator=127.0.0.1:{free_port()}",
            "--processes=2",
            "--config.checkpoint.keep=2",
        )
        processes = [
            train(shards, workdir, 4, *several, f"--process={i}", mesh=mesh) for i in range(2)
        ]
        outputs = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        return outputs

    run()
    (workdir / "DONE").unlink()
    for part in ("params", "optimizer"):  # what the second process wrote, and it alone reads
        for path in (
            workdir / "checkpoints" / str(STEPS) / part / "ocdbt.process_1" / "d"
        ).iterdir():
            path.write_bytes(b"")
    output, _ = run()
    assert f"checkpoint of step {STEPS} cannot be read (in another process)" in output
    assert f"continuing from step {BEFORE_LAST}" in output
    assert numbers(workdir) == pytest.approx(numbers(one_process), rel=1e-5)
    assert {str(BEFORE_LAST), str(STEPS), f"damaged-{STEPS}"} <= {
        path.name for path in (workdir / "checkpoints").iterdir()
    }


def test_the_layout_is_written_down(one_process):
    layout = json.loads((one_process / "sharding.json").read_text())
    assert layout["mesh"] == {"replica": 2, "fsdp": 4, "tensor": 1}
    specs = {entry["path"]: entry["spec"] for entry in layout["state"]}
    assert specs["params/layers/query"] == [None, "fsdp", "tensor", None]
    assert specs["params/embedding"] == ["tensor", "fsdp"]
    # Moments are laid out like their parameters.
    moments = [
        spec
        for path, spec in specs.items()
        if path.endswith(("mu/layers/query", "nu/layers/query"))
    ]
    assert moments == [specs["params/layers/query"]] * 2
