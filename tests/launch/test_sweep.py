"""Sweep: what it plans, the scripts it prints, and that it sends only what is missing."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, fails_with_one_line

STUDY = "--study=tests/study/small_study.py"
TPU = (
    "--backend=xpk",
    "--cluster=c",
    "--zone=us-east5-a",
    "--project=p",
    "--docker_image=gcr.io/p/divsyn",
)


def sweep(*arguments, **options):
    command = [sys.executable, "launch/sweep.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def printed(*arguments):
    result = sweep(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_plan_foresees_every_run():
    table = printed("plan", STUDY, "--accelerator=TPU v4", "--mfu=0.5")
    assert table.count("pretrain, evaluate, sft, evaluate") == 4
    assert re.search(
        r"4 runs, 15,360 tokens: 0\.0 hours of one TPU v4 at 50%", table
    )  # 4 x 6 steps x 4 x 160


@pytest.mark.long
def test_plan_of_a_paper_study_needs_no_corpora():
    table = printed("plan", "--study=configs/studies/generators.py")
    assert "350m/generator_mixed/seed2" in table
    assert "406,296,000" in table


def test_slurm_scripts_are_bash_and_run_each_step_once(tmp_path):
    output = printed(
        "submit",
        STUDY,
        "--backend=slurm",
        f"--workdir={tmp_path}/s",
        "--nodes=4",
        "--dry_run",
        "--sbatch=--time=1:00:00",
    )
    assert not (tmp_path / "s").exists()
    scripts = dict(
        re.findall(r"# ---- (\S+)\n(#!/bin/bash\n.*?)(?=\nsbatch |\Z)", output, re.DOTALL)
    )
    assert [pathlib.Path(path).name for path in scripts] == ["prepare.sh", "runs-0.sh", "report.sh"]
    for script in scripts.values():
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    array = scripts[f"{tmp_path}/s/launch/runs-0.sh"]
    for line in ("--array=0-3", "--nodes=4", "--time=1:00:00", "--requeue"):
        assert f"#SBATCH {line}\n" in array
    assert "sbatch --parsable --dependency=afterok:JOB" in output
    # Run one task with srun and scontrol replaced: done steps are skipped, 75 puts the task back.
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "srun").write_text(
        '#!/bin/bash\necho "srun $*"; case "$*" in *divsyn_jax.train*) exit ${CODE:-0};; esac\n'
    )
    (tools / "scontrol").write_text('#!/bin/bash\necho "scontrol $*"\n')
    (tools / "sleep").write_text("#!/bin/bash\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "2",
    }

    def task(**more):
        return subprocess.run(
            ["bash", "-c", array], env={**environment, **more}, capture_output=True, text=True
        )

    fresh = task()
    assert fresh.returncode == 0
    assert [
        re.search(r"divsyn_jax\.(\w+)", line)[1]
        for line in fresh.stdout.splitlines()
        if line.startswith("srun")
    ] == ["train", "evaluate", "train", "evaluate"]
    stopped = task(CODE="75")
    assert stopped.returncode == 75
    assert "scontrol requeue 7_2" in stopped.stdout
    assert "divsyn_jax.evaluate" not in stopped.stdout
    done = tmp_path / "s" / "runs" / "middle_twin" / "seed0" / "DONE"
    done.parent.mkdir(parents=True)
    done.write_text("{}")
    again = [
        line
        for line in task().stdout.splitlines()
        if line.startswith("srun") and "divsyn_jax.train" in line
    ]
    assert len(again) == 1  # the fine-tuning
    assert "configs/sft_tiny.py" in again[0]


def executable(path, text):
    """A command of a cluster, replaced by a few lines of bash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_sbatch_reads_values_with_spaces(tmp_path):
    workdir = f"{tmp_path}/a b"
    options = r'''--sbatch=-p main --comment="two \"words\", 'one' \\ #3"'''
    output = printed(
        "submit",
        STUDY,
        "--study.name",
        "my study",
        "--backend=slurm",
        f"--workdir={workdir}",
        "--dry_run",
        options,
    )
    lines = [
        line.removeprefix("#SBATCH ") for line in output.splitlines() if line.startswith("#SBATCH")
    ]
    assert f'"--output={tmp_path}/a b/launch/%x-%j.out"' in lines
    assert '"--job-name=my study-runs"' in lines
    assert lines[-3:] == ["-p", "main", r'''"--comment=two \"words\", 'one' \\ #3"''']


def test_a_percent_sign_of_a_folder_is_no_pattern_and_a_line_break_is_refused(tmp_path):
    command = ("submit", STUDY, "--backend=slurm", "--dry_run")
    output = printed(*command, f"--workdir={tmp_path}/100%j $(touch x)")
    assert f'"--output={tmp_path}/100%%j $(touch x)/launch/%x-%j.out"' in output
    fails_with_one_line(sweep(*command, f"--workdir={tmp_path}/a\ntouch x"), "line break")
    refused = sweep(*command, f"--workdir={tmp_path}/a", "--sbatch='--comment=a\ntouch x'")
    assert refused.returncode == 2
    assert "line break" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.long
def test_a_submission_cut_short_sends_its_report_later(tmp_path):
    workdir, tools = tmp_path / "s", tmp_path / "bin"
    executable(tools / "squeue", f"cat {tmp_path}/queue 2>/dev/null || true")
    executable(
        tools / "sbatch",
        f"""echo "$*" >> {tmp_path}/sent
        case "$*" in
          *report.sh) [ -e {tmp_path}/up ] || exit 1; echo 9;;
          *runs-*) echo 8;;
          *) echo 7;;
        esac""",
    )
    command = ("submit", STUDY, "--backend=slurm", f"--workdir={workdir}")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    assert "sbatch --parsable failed" in sweep(*command, env=environment).stderr
    queue = "7|N/A|PENDING\n" + "".join(f"8|{index}|PENDING\n" for index in range(4))
    (tmp_path / "queue").write_text(queue)
    (tmp_path / "sent").unlink()
    (tmp_path / "up").touch()
    assert "0 of 4 runs sent" in sweep(*command, env=environment).stdout
    report = f"--parsable --dependency=afterany:8 {workdir}/launch/report.sh\n"
    assert (tmp_path / "sent").read_text() == report
    (tmp_path / "queue").write_text(queue + "9|N/A|PENDING\n")
    assert "0 of 4 runs sent" in sweep(*command, env=environment).stdout
    assert (tmp_path / "sent").read_text() == report


def test_overrides_reach_the_study(tmp_path):
    overrides = (
        "--study.documents",
        "500",
        "--nostudy.equal_text",
        "--study.score={'draws': 7}",
        "--parallel=1",
    )
    command = printed(
        "submit",
        "--study",
        "tests/study/small_study.py",
        *overrides,
        f"--workdir={tmp_path}/a b",
        "--dry_run",
    )
    arguments = shlex.split(command)
    expected = [
        f"--config={ROOT}/tests/study/small_study.py",
        "--config.documents=500",
        "--config.equal_text=False",
        "--config.score={'draws': 7}",
        "--parallel=1",
        f"--workdir={tmp_path}/a b",
        "--part=all",
    ]
    assert arguments[1:] == ["-m", "divsyn_jax.study", *expected]


def test_status_tells_what_is_sent_and_what_is_done(tmp_path):
    workdir, tools = tmp_path / "s", tmp_path / "bin"
    run = workdir / "runs" / "narrow" / "seed0"
    (run / "sft").mkdir(parents=True)
    for name in ("DONE", "eval.json"):
        (run / name).write_text("{}")
        (run / "sft" / name).write_text("{}")
    (workdir / "launch").mkdir()
    names = ["narrow/seed0", "middle/seed0", "broad/seed0"]
    (workdir / "launch" / "jobs.json").write_text(
        json.dumps([{"job": "7", "kind": "runs", "runs": names}])
    )
    tools.mkdir()
    (tools / "squeue").write_text("#!/bin/bash\necho '7|1|RUNNING'; echo '8|0|PENDING'\n")
    (tools / "squeue").chmod(0o755)
    result = sweep(
        "status",
        STUDY,
        "--backend=slurm",
        f"--workdir={workdir}",
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )
    states = [line.split() for line in result.stdout.splitlines()[:4]]
    assert states == [
        ["narrow/seed0", "done"],
        ["middle/seed0", "running"],
        ["middle_twin/seed0", "missing"],
        ["broad/seed0", "failed"],
    ]


def test_xpk_understands_the_commands(tmp_path):
    xpk = shutil.which("xpk")
    if not xpk:
        pytest.skip("xpk is not on the PATH: make test-xpk")
    output = printed("submit", STUDY, *TPU, f"--workdir={tmp_path}/s", "--dry_run")
    commands = [
        shlex.split(line) for line in output.splitlines() if line.startswith("xpk workload create")
    ]
    assert len(commands) == 4
    python = pathlib.Path(xpk).resolve().parent / "python"
    parse = (
        "import argparse, json, sys; from xpk.parser.core import set_parser; parser ="
        " argparse.ArgumentParser();set_parser(parser=parser); got ="
        " parser.parse_args(sys.argv[1:]); print(json.dumps([got.workload, got.command,"
        " got.tpu_type]))"
    )
    for command in (commands[0], commands[-1]):
        done = subprocess.run([python, "-c", parse, *command[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        workload, script, kind = json.loads(done.stdout.splitlines()[-1])
        assert re.fullmatch(r"test-00[03]-0", workload)
        assert script.startswith(f"bash {tmp_path}/s/launch/")
        assert kind == "v5litepod-16"


@pytest.fixture
def tpu_scripts(tmp_path):
    """The scripts of the first run on TPUs: on the slice's hosts, and around it on TPU VMs."""
    output = printed(
        "submit", STUDY, *TPU, f"--workdir={tmp_path}/s", f"--repository={tmp_path}", "--dry_run"
    )
    scripts = re.findall(
        r"# ---- (\S+)\n(#!/bin/bash\n.*?)(?=\n(?:# ----|xpk ))", output, re.DOTALL
    )
    assert len(scripts) == 8
    return [script for _, script in scripts[:2]]


def start_host(tmp_path, script, *arguments, **environment):
    """A host of a slice whose python is replaced:

    it logs what is asked of it, evaluation takes a while.
    """
    executable(
        tmp_path / "bin" / "python",
        f"""log() {{
          echo "$HOST $1 ${{TPU_PROCESS_BOUNDS-all}} ${{TPU_WORKER_HOSTNAMES-}}" >> {tmp_path}/log
        }}
        log "$2"
        [ "$2" = divsyn_jax.evaluate ] || exit 0
        /bin/sleep 0.5
        workdir=${{3#--workdir=}}; mkdir -p "$workdir"
        touch "$workdir/eval.json"; log evaluated""",
    )
    executable(tmp_path / "bin" / "sleep", "/bin/sleep 0.05")
    executable(tmp_path / "bin" / "curl", "echo t-w-0,t-w-1")
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    return subprocess.Popen(["bash", "-c", script, "run.sh", *arguments], env=path | environment)


def test_hosts_of_a_slice_train_together_and_one_evaluates(tmp_path, tpu_scripts):
    hosts = [
        start_host(
            tmp_path,
            tpu_scripts[0],
            HOST=name,
            TPU_WORKER_ID=str(index),
            TPU_WORKER_HOSTNAMES="a,b",
        )
        for index, name in enumerate("ab")
    ]
    assert [host.wait(timeout=60) for host in hosts] == [0, 0]
    log = (tmp_path / "log").read_text().splitlines()
    trains = ["a divsyn_jax.train all a,b", "b divsyn_jax.train all a,b"]
    evaluation = ["a divsyn_jax.evaluate 1,1,1 localhost", "a evaluated 1,1,1 localhost"]
    assert [line for line in log if line.startswith("b")] == trains[1:] * 2
    assert [line for line in log if line.startswith("a")] == [trains[0], *evaluation] * 2
    assert sorted(
        log.index(evaluation[1]) < index for index, line in enumerate(log) if line in trains
    ) == [*(False, False, True, True)]


def test_one_host_evaluates_on_all_of_its_chips(tmp_path, tpu_scripts):
    host = start_host(
        tmp_path, tpu_scripts[0], HOST="a", TPU_WORKER_ID="0", TPU_WORKER_HOSTNAMES="localhost"
    )
    assert host.wait(timeout=60) == 0
    assert "a divsyn_jax.evaluate all localhost" in (tmp_path / "log").read_text().splitlines()


def test_tpu_vms_are_told_step_by_step(tmp_path, tpu_scripts):
    run, around = tpu_scripts
    subprocess.run(["bash", "-n"], input=around, text=True, check=True)
    assert "tpu-vm create" in around
    assert re.findall(r"--worker=(\w+) '--command=bash \S+ (\d)'", around) == [
        ("all", "0"),
        ("0", "1"),
        ("all", "2"),
        ("0", "3"),
    ]
    assert start_host(tmp_path, run, "1", HOST="a").wait(timeout=60) == 0
    assert (tmp_path / "log").read_text().splitlines()[0] == "a divsyn_jax.evaluate 1,1,1 localhost"


def test_tpu_hosts_need_nothing_of_this_checkout(tmp_path, tpu_scripts):
    assert str(ROOT) not in tpu_scripts[0]
    assert f"\ncd {tmp_path}\n" in tpu_scripts[0]
    assert "--config=configs/tiny.py" in tpu_scripts[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", STUDY], "give one of plan, submit"),
        (["plan"], "--study is required"),
        (["plan", STUDY, "--accelerator=abacus"], "known are"),
        (["cancel", STUDY], "stop it there with Ctrl-C"),
        (["submit", STUDY, "--backend=xpk", "--dry_run"], "--cluster is required"),
        (["collect", STUDY, "--workdir=OUT"], "4 of 4 runs are unfinished"),
    ],
)
def test_bad_input_gives_one_line(tmp_path, arguments, message):
    fails_with_one_line(
        sweep(*[a.replace("OUT", str(tmp_path / "out")) for a in arguments]), message
    )


@pytest.mark.long
def test_arrays_are_split_at_what_the_cluster_takes(tmp_path):
    tools = tmp_path / "bin"
    executable(tools / "squeue", "true")
    executable(tools / "scontrol", "echo 'MaxArraySize            = 3'")
    executable(tools / "sbatch", f"echo x >> {tmp_path}/n; wc -l < {tmp_path}/n")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ("submit", STUDY, "--backend=slurm", f"--workdir={tmp_path}/s")
    result = sweep(*command, env=environment)
    assert "4 of 4 runs sent" in result.stdout, result.stderr
    jobs = json.loads((tmp_path / "s" / "launch" / "jobs.json").read_text())
    assert [len(job["runs"]) for job in jobs if job["kind"] == "runs"] == [3, 1]
    scripts = sorted((tmp_path / "s" / "launch").glob("runs-*.sh"))
    arrays = [re.search("--array=(.*)", script.read_text())[1] for script in scripts]
    assert arrays == ["0-2", "0-0"]
    (tmp_path / "n").unlink()
    result = sweep(*command[:3], f"--workdir={tmp_path}/t", "--max_array_size=2", env=environment)
    jobs = json.loads((tmp_path / "t" / "launch" / "jobs.json").read_text())
    assert [len(job["runs"]) for job in jobs if job["kind"] == "runs"] == [2, 2]
