"""TPU slices: a GKE workload a run through xpk, and a plain script for TPU VMs without GKE.

All hosts of a slice train together and find their peers through the TPU runtime; evaluation is one
process, on the chips of host 0. The study's folder must be one that every host mounts at the same
path. Preparing and reporting need no TPU: they run where sweep runs."""

import dataclasses
import re
import shlex

from divsyn_jax.base import commandline, recipes, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study.recipe import Run, Study
from launch.scheduler import call
from launch.submission import Submission, exports


@dataclasses.dataclass(frozen=True)
class XpkOptions:
    """Where the slices are, and what a run on one is made of.

    Attributes:
      cluster: GKE cluster (xpk).
      project: Google Cloud project (xpk).
      zone: zone (xpk).
      tpu_type: slice of a run (xpk).
      docker_image: image that holds the package and its dependencies (xpk).
      repository: folder of this repository in the image or on the TPU VMs (xpk).
      tpu_version: software version of a plain TPU VM.
    """

    cluster: str | None = None
    project: str | None = None
    zone: str | None = None
    tpu_type: str = "v5litepod-16"
    docker_image: str | None = None
    repository: str = str(recipes.ROOT)
    tpu_version: str = "v2-alpha-tpuv5-lite"


OPTIONS = setting_flags.define(XpkOptions, "backend")

_STEP = """\
# The slice's hosts, as GKE tells them or a TPU VM.
HOSTS=${TPU_WORKER_HOSTNAMES-$(curl -fsS -H 'Metadata-Flavor: Google' \\
  http://metadata.google.internal/computeMetadata/v1/instance/attributes/worker-network-endpoints)}
together() { [ -e "$1" ] || "${@:2}"; }  # result, command ...: nothing where the result stands
alone() {  # the same on host 0; the others wait, for what follows needs all of them
  if [ "${TPU_WORKER_ID:-0}" != 0 ]; then
    until [ -e "$1" ]; do sleep 5; done
  elif [[ ! -e $1 && $HOSTS == *,* ]]; then
    # libtpu would wait for the other hosts, unless told of none but this one and its 2x2 chips (GKE
    # sets the older names).
    env -u TPU_PROCESS_ADDRESSES -u TPU_PROCESS_ADDRESSES_PATH -u CLOUD_TPU_TASK_ID \\
      TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost \\
      TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1 \\
      TPU_HOST_BOUNDS=1,1,1 TPU_CHIPS_PER_HOST_BOUNDS=2,2,1 "${@:2}"
  else
    together "$@"
  fi
}"""


def submit(submission: Submission, options: XpkOptions) -> None:
    """Send a workload for each run that is neither done nor queued; write a TPU-VM script for each
    beside it.
    """
    if not study_plan.is_prepared(submission.study):
        command = shlex.join(submission.study_command("prepare"))
        if not submission.dry_run:
            raise UserError(
                f"the study is not prepared; first run, with its folder mounted: {command}"
            )
        print(f"# first, where the study's folder is mounted:\n{command}\n")
    place = _place(options)
    image = commandline.require(options.docker_image, "docker_image", "gcr.io/me/divsyn_jax")
    runs = submission.unsent({} if submission.dry_run else active(submission, options))
    for run in runs:
        attempt = sum(run.name in job["runs"] for job in submission.jobs)
        script = submission.write(
            f"{_slug(run.name)}.sh", run_script(submission.study, run, options)
        )
        submission.write(
            f"{_slug(run.name)}-tpu-vm.sh", tpu_vm_script(submission.study, run, script, options)
        )
        name = workload(submission.study, run, attempt)
        submission.call(workload_command(name, script, image, place, options.tpu_type))
        submission.record(name, "runs", [run])
    print(
        f"# {len(runs)} of {len(submission.study.runs)} runs sent; when they are done:"
        " launch/sweep.py collect"
    )


def active(submission: Submission, options: XpkOptions) -> dict[str, str]:
    """State of every run whose workload is queued or running."""
    found = {}
    for status in ("QUEUED", "RUNNING"):
        listed = call(["xpk", "workload", "list", *_place(options), f"--filter-by-status={status}"])
        names = set(re.findall(r"[a-z0-9-]+", listed))
        for job in submission.jobs:
            found.update({name: status.lower() for name in job["runs"] if job["job"] in names})
    return found


def cancel(submission: Submission, options: XpkOptions) -> None:
    """Delete the study's workloads that are queued or running."""
    alive = active(submission, options)
    jobs = [job["job"] for job in submission.jobs if any(name in alive for name in job["runs"])]
    for job in jobs:
        submission.call(
            ["xpk", "workload", "delete", f"--workload={job}", "--force", *_place(options)]
        )
    print(f"{len(jobs)} workloads deleted")


def workload(study: Study, run: Run, attempt: int) -> str:
    """Name of a run's workload:

    unique to its attempt, at most 39 characters, as Kubernetes takes it.
    """
    index = study.runs.index(run)
    return f"{_slug(study.recipe['name'])[:24].strip('-')}-{index:03d}-{attempt}"


def workload_command(
    name: str, script: str, image: str, place: list[str], tpu_type: str
) -> list[str]:
    """The xpk command that starts a run."""
    return [
        *(
            "xpk",
            "workload",
            "create",
            f"--workload={name}",
            *place,
            f"--tpu-type={tpu_type}",
            "--num-slices=1",
        ),
        *(f"--docker-image={image}", f"--command=bash {shlex.quote(script)}", "--max-restarts=10"),
    ]


def run_script(study: Study, run: Run, options: XpkOptions) -> str:
    """What every host of a slice runs:

    the steps in order, or the one whose number is its argument.
    """
    environment = study_plan.environment(study)
    del environment[
        "PYTHONPATH"
    ]  # the submitter's; python -m finds the package where the script goes
    head = [
        "#!/bin/bash",
        f"# {run.name}",
        "set -eu",
        f"cd {shlex.quote(options.repository)}",
        exports(environment),
    ]
    cases = [
        f"all | {index})\n  {'alone' if _is_alone(step) else 'together'}"
        f" {shlex.quote(str(step.result))} \\\n    {shlex.join(_portable(step.command))} ;;&"
        for index, step in enumerate(study_plan.steps(study, run))
    ]
    return "\n".join([*head, _STEP, "", "case ${1-all} in", *cases, "esac"]) + "\n"


def _is_alone(step: study_plan.Step) -> bool:
    """Whether a step is one process, which the other hosts have no part in."""
    return step.stage.endswith("evaluate")


def tpu_vm_script(study: Study, run: Run, script: str, options: XpkOptions) -> str:
    """The same run on a TPU VM of its own, created and deleted around it."""
    name = workload(study, run, 0)
    place = [f"--project={options.project or 'PROJECT'}", f"--zone={options.zone or 'ZONE'}"]
    gcloud = ["gcloud", "compute", "tpus", "tpu-vm"]
    create = [
        *gcloud,
        "create",
        name,
        *place,
        f"--accelerator-type={options.tpu_type}",
        f"--version={options.tpu_version}",
    ]
    ssh = [*gcloud, "ssh", name, *place]
    # A command for each step: a step that fails on one worker then ends the script and with it the
    # slice.
    steps = [
        [
            *ssh,
            f"--worker={0 if _is_alone(step) else 'all'}",
            f"--command=bash {shlex.quote(script)} {index}",
        ]
        for index, step in enumerate(study_plan.steps(study, run))
    ]
    delete = [*gcloud, "delete", name, *place, "--quiet"]
    note = (
        "# The study's folder and the package must be on every worker (a mounted disk, or copied"
        " with tpu-vm scp)."
    )
    lines = [
        "#!/bin/bash",
        note,
        "set -eu",
        shlex.join([*create, "--spot"]),
        f"trap {shlex.quote(shlex.join(delete))} EXIT",
    ]
    return "\n".join([*lines, *map(shlex.join, steps)]) + "\n"


def _portable(command: tuple[str, ...]) -> tuple[str, ...]:
    """With the interpreter of the machine that runs it, and this checkout's recipes by their place
    in the repository.
    """
    here = f"--config={recipes.HOME}/"
    return ("python", *(argument.replace(here, "--config=") for argument in command[1:]))


def _place(options: XpkOptions) -> list[str]:
    values = {"cluster": commandline.require(options.cluster, "cluster", "my-cluster")}
    values.update(
        {
            name: value
            for name, value in (("project", options.project), ("zone", options.zone))
            if value
        }
    )
    return [f"--{name}={value}" for name, value in values.items()]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
