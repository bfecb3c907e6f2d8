"""Whom a process joins:

the launchers and TPU slices that are detected, and that other machines ask nobody.
"""

import types

import pytest
from jax._src.clusters import ClusterEnv, cloud_tpu_cluster

from divsyn_jax.training import distributed


@pytest.fixture
def joined(monkeypatch):
    """Arguments of every call of jax.distributed.initialize() on a machine that has TPU chips."""
    for name in (
        "TPU_SKIP_MDS_QUERY",
        "TPU_WORKER_HOSTNAMES",
        "TPU_PROCESS_ADDRESSES",
        "SLURM_STEP_NUM_TASKS",
    ):
        monkeypatch.delenv(name, raising=False)
    calls = []
    initialize = types.SimpleNamespace(
        initialize=lambda *values, **named: calls.append((values, named))
    )
    config = types.SimpleNamespace(jax_platforms="tpu,cpu")
    monkeypatch.setattr(
        distributed, "jax", types.SimpleNamespace(distributed=initialize, config=config)
    )
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(
        cloud_tpu_cluster, "get_metadata", lambda key: pytest.fail(f"asked for {key}")
    )
    return calls


@pytest.mark.parametrize(
    ("workers", "calls"),
    [("a:0:10.0.0.1,b:1:10.0.0.2", 1), ("t-w-0,t-w-1,t-w-2,t-w-3", 1), ("a:0:10.0.0.1", 0)],
)
def test_a_tpu_vm_joins_the_others_of_its_slice(joined, monkeypatch, workers, calls):
    metadata = {
        "agent-worker-number": "1",
        "worker-network-endpoints": workers,
        "tpu-env": "ZONE: 'z'",
    }
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", lambda key: (metadata[key], 200))
    distributed.initialize()
    assert joined == [((), {})] * calls


@pytest.mark.parametrize(("hosts", "calls"), [("t-0.s,t-1.s", 1), ("localhost", 0)])
def test_a_gke_pod_is_told_by_its_environment(joined, monkeypatch, hosts, calls):
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", hosts)
    distributed.initialize()
    assert joined == [((), {})] * calls


@pytest.mark.parametrize("platforms", [None, "cpu", "cuda"])
def test_without_tpu_chips_nobody_is_asked(joined, platforms):
    distributed.jax.config.jax_platforms = platforms
    distributed.initialize()
    assert not joined


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2"}, []),
        ({"SLURM_STEP_NUM_TASKS": "16", "SLURM_STEP_NUM_NODES": "2"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, []),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, None),
    ],
)
def test_a_process_alone_on_its_node_keeps_all_gpus(joined, monkeypatch, environment, devices):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    distributed.initialize()
    assert joined == [((), {"local_device_ids": devices})]


def test_with_flags_in_a_slurm_job_too(joined, monkeypatch):
    told = distributed.Processes("n1:1234", 2, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    distributed.initialize(told)
    monkeypatch.setenv("JAX_LOCAL_DEVICE_IDS", "3")
    distributed.initialize(told)
    given = ("n1:1234", 2, 1)
    assert joined == [(given, {"local_device_ids": []}), (given, {"local_device_ids": None})]


def test_jax_leaves_all_gpus_to_a_process_with_an_empty_list(monkeypatch):
    slurm = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": "1",
    }
    for name, value in {**slurm, "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    told = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, [], None, 1)
    assert told == ("n1:61447", 2, 1, [])
    assert ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, 1)[3] == [
        0
    ]
