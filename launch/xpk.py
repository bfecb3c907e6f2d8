"""TPU slices: a GKE workload a run through xpk, and a plain script for TPU VMs without GKE.

All hosts of a slice train together and find their peers through the TPU runtime; evaluation is one
process, on the chips of host 0. The study's folder must be one that every host mounts at the same
path. Preparing and reporting need no TPU: they run where sweep runs."""

import re
import shlex

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.training import recipe_file
from launch.submission import Submission, call, exports

_CLUSTER = flags.DEFINE_string("cluster", None, "GKE cluster (xpk).")
_PROJECT = flags.DEFINE_string("project", None, "Google Cloud project (xpk).")
_ZONE = flags.DEFINE_string("zone", None, "Zone (xpk).")
_TPU_TYPE = flags.DEFINE_string("tpu_type", "v5litepod-16", "Slice of a run (xpk).")
_DOCKER_IMAGE = flags.DEFINE_string(
    "docker_image", None, "Image that holds the package and its dependencies (xpk)."
)
_REPOSITORY = flags.DEFINE_string(
    "repository",
    str(recipe_file.ROOT),
    "Folder of this repository in the image or on the TPU VMs (xpk).",
)
_TPU_VERSION = flags.DEFINE_string(
    "tpu_version", "v2-alpha-tpuv5-lite", "Software version of a plain TPU VM."
)

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
      TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1 \\
      TPU_HOST_BOUNDS=1,1,1 TPU_CHIPS_PER_HOST_BOUNDS=2,2,1 "${@:2}"
  else
    together "$@"
  fi
}"""


def submit(submission: Submission) -> None:
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
    place = _place()
    image = commandline.require(_DOCKER_IMAGE.value, "docker_image", "gcr.io/me/divsyn_jax")
    runs = submission.unsent({} if submission.dry_run else active(submission))
    for run in runs:
        attempt = sum(run.name in job["runs"] for job in submission.jobs)
        script = submission.write(f"{_slug(run.name)}.sh", run_script(submission.study, run))
        submission.write(
            f"{_slug(run.name)}-tpu-vm.sh", tpu_vm_script(submission.study, run, script)
        )
        name = workload(submission.study, run, attempt)
        submission.call(workload_command(name, script, image, place))
        submission.record(name, "runs", [run])
    print(
        f"# {len(runs)} of {len(submission.study.runs)} runs sent; when they are done:"
        " launch/sweep.py collect"
    )


def active(submission: Submission) -> dict[str, str]:
    """State of every run whose workload is queued or running."""
    found = {}
    for status in ("QUEUED", "RUNNING"):
        listed = call(["xpk", "workload", "list", *_place(), f"--filter-by-status={status}"])
        names = set(re.findall(r"[a-z0-9-]+", listed))
        for job in submission.jobs:
            found.update({name: status.lower() for name in job["runs"] if job["job"] in names})
    return found


def cancel(submission: Submission) -> None:
    """Delete the study's workloads that are queued or running."""
    alive = active(submission)
    jobs = [job["job"] for job in submission.jobs if any(name in alive for name in job["runs"])]
    for job in jobs:
        submission.call(["xpk", "workload", "delete", f"--workload={job}", "--force", *_place()])
    print(f"{len(jobs)} workloads deleted")


def workload(study: Study, run: Run, attempt: int) -> str:
    """Name of a run's workload:

    unique to its attempt, at most 39 characters, as Kubernetes takes it.
    """
    index = study.runs.index(run)
    return f"{_slug(study.recipe['name'])[:24].strip('-')}-{index:03d}-{attempt}"


def workload_command(name: str, script: str, image: str, place: list[str]) -> list[str]:
    """The xpk command that starts a run."""
    return [
        *(
            "xpk",
            "workload",
            "create",
            f"--workload={name}",
            *place,
            f"--tpu-type={_TPU_TYPE.value}",
            "--num-slices=1",
        ),
        *(f"--docker-image={image}", f"--command=bash {shlex.quote(script)}", "--max-restarts=10"),
    ]


def run_script(study: Study, run: Run) -> str:
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
        f"cd {shlex.quote(_REPOSITORY.value)}",
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


def tpu_vm_script(study: Study, run: Run, script: str) -> str:
    """The same run on a TPU VM of its own, created and deleted around it."""
    name = workload(study, run, 0)
    place = [f"--project={_PROJECT.value or 'PROJECT'}", f"--zone={_ZONE.value or 'ZONE'}"]
    gcloud = ["gcloud", "compute", "tpus", "tpu-vm"]
    create = [
        *gcloud,
        "create",
        name,
        *place,
        f"--accelerator-type={_TPU_TYPE.value}",
        f"--version={_TPU_VERSION.value}",
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
    here = f"--config={recipe_file.ROOT}/"
    return ("python", *(argument.replace(here, "--config=") for argument in command[1:]))


def _place() -> list[str]:
    values = {"cluster": commandline.require(_CLUSTER.value, "cluster", "my-cluster")}
    values.update(
        {
            name: value
            for name, value in (("project", _PROJECT.value), ("zone", _ZONE.value))
            if value
        }
    )
    return [f"--{name}={value}" for name, value in values.items()]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
