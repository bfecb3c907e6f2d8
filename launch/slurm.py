"""Slurm: one array job whose tasks are runs, after a job that prepares and before one that reports.

A task goes through its run's stages, each training stage one `srun` over all its nodes; what is
done is skipped, so a task may be started any number of times. Preempted, drained or near its time
limit, training gets SIGTERM, saves and exits with 75, and the task puts itself back into the queue.
It calls `scontrol requeue` itself, because a site's RequeueExit may not name 75 and an `afterok` on
an array never forgets a non-zero exit."""

import dataclasses
import re
import shlex
from collections.abc import Sequence
from typing import Annotated

from divsyn_jax.base import setting_flags
from divsyn_jax.base.errors import Failure, UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study.recipe import Run, Study
from launch.scheduler import call, log_pattern, quoted
from launch.submission import Submission, exports


@dataclasses.dataclass(frozen=True)
class SlurmOptions:
    """What the cluster is asked for.

    Attributes:
      sbatch: options for sbatch (Slurm), e.g. '--partition=a100 --gres=gpu:8 --time=12:00:00'.
      nodes: nodes of a run (Slurm), one process on each.
      max_array_size: tasks in a job array, at most; 0: what the cluster says (MaxArraySize).
    """

    sbatch: str = ""
    nodes: Annotated[int, Flag(at_least=1)] = 1
    max_array_size: Annotated[int, Flag(at_least=0)] = 0


OPTIONS = setting_flags.define(SlurmOptions, "backend")
_DEFAULT_MAX_ARRAY_SIZE = 1001

_STEP = """\
requeue() { scontrol requeue "$1"; sleep 300; }  # the sleep ends with the job
step() {  # result, options of srun, command ...: nothing where the result stands
  [ -e "$1" ] && return
  echo "$(date -Is) ${*:3}"
  srun --kill-on-bad-exit=1 $2 "${@:3}" && return
  local code=$?
  [ $code -eq 75 ] && requeue "$JOB"
  exit $code
}"""


def submit(submission: Submission, options: SlurmOptions) -> None:
    """Send what is neither done nor in the queue."""
    study = submission.study
    queue = {} if submission.dry_run else _queue(submission)
    runs = submission.unsent(_active(submission, queue))
    waiting = [
        job["job"]
        for job in submission.jobs
        if job["kind"] == "prepare" and (job["job"], "N/A") in queue
    ]
    if not study_plan.is_prepared(study) and not waiting:
        path = submission.write("prepare.sh", part_script(submission, "prepare", options))
        waiting = [_sbatch(submission, path)]
        submission.record(waiting[0], "prepare")
    held = sorted({job for job, index in queue if index != "N/A"})
    most = 1
    if runs:
        most = options.max_array_size or _max_array_size(submission)
    # A dry run records no job: what it writes is numbered from the jobs that are there.
    first = len(submission.jobs)
    for number, start in enumerate(range(0, len(runs), most)):
        part = runs[start : start + most]
        path = submission.write(f"runs-{first + number}.sh", array_script(study, part, options))
        after = (
            []
            if study_plan.is_prepared(study)
            else [f"--dependency=afterok:{waiting[0]}", "--kill-on-invalid-dep=yes"]
        )
        job = _sbatch(submission, path, *after)
        submission.record(job, "runs", part)
        held.append(job)
    # A report in the queue waits for what was there when it was sent; the one of a submission cut
    # short was never sent.
    reported = (study.workdir / "study.json").exists() or any(
        job["kind"] == "report" and (job["job"], "N/A") in queue for job in submission.jobs
    )
    if runs or not reported:
        path = submission.write("report.sh", part_script(submission, "report", options))
        after = [f"--dependency=afterany:{':'.join(held)}"] if held else []
        submission.record(_sbatch(submission, path, *after), "report")
    print(
        f"{len(runs)} of {len(study.runs)} runs sent; follow them with: launch/sweep.py status"
        " --backend=slurm"
    )


def active(submission: Submission, options: SlurmOptions) -> dict[str, str]:
    """State of every run that the queue holds."""
    return _active(submission, _queue(submission))


def cancel(submission: Submission, options: SlurmOptions) -> None:
    """End the study's jobs; training saves first."""
    jobs = sorted({job for job, _ in _queue(submission)})
    if jobs:
        submission.call(["scancel", *jobs])
    print(f"{len(jobs)} jobs cancelled")


def array_script(study: Study, runs: Sequence[Run], options: SlurmOptions) -> str:
    """The array job: a case for each run."""
    cases = []
    for index, run in enumerate(runs):
        lines = [f"{index})  # {run.name}"]
        for step in study_plan.steps(study, run):
            tasks = "--nodes=1 --ntasks=1" if step.stage.endswith("evaluate") else ""
            lines.append(
                f"  step {shlex.quote(str(step.result))} {shlex.quote(tasks)} \\\n   "
                f" {shlex.join(step.command)}"
            )
        cases.append("\n".join([*lines, "  ;;"]))
    head = _head(study, options, "runs", "%x-%A_%a.out", f"--array=0-{len(runs) - 1}")
    body = "\n".join(cases)
    return (
        f"{head}\nJOB=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID\n{_STEP}\n\ncase"
        f" $SLURM_ARRAY_TASK_ID in\n{body}\nesac\n"
    )


def part_script(submission: Submission, part: str, options: SlurmOptions) -> str:
    """A job that runs a part of the study on one node."""
    command = shlex.join(submission.study_command(part))
    head = _head(submission.study, options, part, "%x-%j.out")
    tasks = "'--nodes=1 --ntasks=1'"
    return f"{head}\nJOB=$SLURM_JOB_ID\n{_STEP}\n\nstep /dev/null/never {tasks} \\\n  {command}\n"


def _head(study: Study, options: SlurmOptions, kind: str, output: str, *more: str) -> str:
    nodes = options.nodes if kind == "runs" else 1
    lines = [
        f"--job-name={study.recipe['name']}-{kind}",
        log_pattern(study.workdir / "launch", output),
        "--open-mode=append",
        "--requeue",
        "--signal=TERM@120",  # to the steps, two minutes before the time limit
        f"--nodes={nodes}",
        "--ntasks-per-node=1",
        *more,
        *shlex.split(options.sbatch),
    ]
    directives = [f"#SBATCH {quoted(line)}" for line in lines]
    return "\n".join(["#!/bin/bash", *directives, "set -u", exports(study_plan.environment(study))])


def _sbatch(submission: Submission, path: str, *options: str) -> str:
    return submission.call(["sbatch", "--parsable", *options, path]).split(";")[0]


def _max_array_size(submission: Submission) -> int:
    """How many tasks a job array of the cluster may hold: indices run from 0 to MaxArraySize - 1.

    Slurm's own default in a dry run, which may be far from a cluster, and, said, where the cluster
    does not tell.
    """
    if submission.dry_run:
        return _DEFAULT_MAX_ARRAY_SIZE
    try:
        shown = call(["scontrol", "show", "config"])
    except (UserError, Failure):
        shown = ""
    found = re.search(r"^MaxArraySize\s*=\s*([1-9][0-9]*)", shown, re.M)
    if found:
        return int(found[1])
    print(
        "scontrol show config names no MaxArraySize; arrays hold at most"
        f" {_DEFAULT_MAX_ARRAY_SIZE} tasks, Slurm's default (--max_array_size=N for another)"
    )
    return _DEFAULT_MAX_ARRAY_SIZE


def _queue(submission: Submission) -> dict[tuple[str, str], str]:
    """State by (job, index in its array or 'N/A') of this study's jobs that have not ended."""
    known = {job["job"] for job in submission.jobs}
    lines = call(["squeue", "--noheader", "--array", "--format=%F|%K|%T"]).splitlines()
    found = {(job, index): state for job, index, state in (line.split("|") for line in lines)}
    return {key: state.lower() for key, state in found.items() if key[0] in known}


def _active(submission: Submission, queue: dict[tuple[str, str], str]) -> dict[str, str]:
    return {
        name: queue[job["job"], str(index)]
        for job in submission.jobs
        for index, name in enumerate(job["runs"])
        if (job["job"], str(index)) in queue
    }
