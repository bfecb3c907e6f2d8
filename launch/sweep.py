"""Plan a study, send its missing runs to machines, look after them, and collect the result.

  python launch/sweep.py plan --study=configs/studies/topics.py
  python launch/sweep.py submit --study=configs/studies/tiny.py --backend=slurm --sbatch='--partition=a100 --gres=gpu:8 --time=12:00:00'

Actions: plan (a table of runs, tokens, accelerator-hours and bytes), submit (what is missing or
failed; idempotent), status, collect (study.json and report from finished runs), cancel. --dry_run
prints what submit would write and run. The study itself (runs, what counts as done, the report) is
divsyn_jax.study; any backend may continue what another began. See launch/README.md."""

import os
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from absl import flags
from ml_collections import ConfigDict, config_flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.study import __main__ as study_command_line  # noqa: F401  its flags
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study import stages as study_stages
from divsyn_jax.study.recipe import Study, resolve, workdir_of
from divsyn_jax.training import recipe_file
from launch import slurm, xpk
from launch.submission import Submission

ACTIONS = ("plan", "submit", "status", "collect", "cancel")
_STUDY = config_flags.DEFINE_config_file(
    "study", None, "Study recipe, e.g. configs/studies/tiny.py.", lock_config=True
)
_BACKEND = flags.DEFINE_enum("backend", "local", ["local", "slurm", "xpk"], "Where runs go.")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print scripts and commands instead of writing and running them."
)
_ACCELERATOR = flags.DEFINE_string(
    "accelerator", "NVIDIA H100 80GB HBM3", "Device kind that the plan counts hours of."
)
_MFU = flags.DEFINE_float(
    "mfu", 0.4, "Share of the accelerator's dense bf16 peak that the plan assumes.", 0.01, 1.0
)
# --workdir, --corpora, --eval, --text_field and --parallel (of the local backend) are those of
# divsyn_jax.study.
_STUDY_FLAGS = ("corpora", "eval", "text_field", "parallel")


def study_command(workdir: pathlib.Path, part: str) -> tuple[str, ...]:
    """The command of divsyn_jax.study for the study that this process was asked about."""
    given = flags.FLAGS["study"]
    config = [f"--config={recipe_file.config_path(config_flags.get_config_filename(given))}"]
    for key, value in config_flags.get_override_values(given).items():
        config.append(
            f"--config.{key}={value.to_dict() if isinstance(value, ConfigDict) else value}"
        )
    values = [
        f"--{name}={flags.FLAGS[name].value}" for name in _STUDY_FLAGS if flags.FLAGS[name].value
    ]
    return (
        sys.executable,
        "-m",
        "divsyn_jax.study",
        *config,
        *values,
        f"--workdir={workdir}",
        f"--part={part}",
    )


def plan(planned: Study) -> str:
    """The table of runs; accelerator-hours and bytes are analytic, of pre-training (imports jax for
    the models' shapes).
    """
    from divsyn_jax.study import cost as study_cost
    from divsyn_jax.training import metrics

    if _ACCELERATOR.value not in metrics.PEAK_FLOPS:
        raise UserError(
            f"--accelerator={_ACCELERATOR.value}: known are {', '.join(metrics.PEAK_FLOPS)}"
        )
    peak, costs = metrics.PEAK_FLOPS[_ACCELERATOR.value], {}
    lines = [
        f"{'run':<40} {'parameters':>13} {'tokens':>16} {'hours':>9} {'GB device':>10}"
        f" {'GB disk':>9}  stages"
    ]
    for run in planned.runs:
        if run.size not in costs:
            costs[run.size] = study_cost.estimate_run(planned, run)
        cost = costs[run.size]
        state = (
            "done"
            if all(step.done for step in study_plan.steps(planned, run))
            else ", ".join(planned.recipe["stages"])
        )
        lines.append(
            f"{run.name:<40} {cost.parameters:>13,} {cost.tokens:>16,}"
            f" {cost.hours(peak, _MFU.value):>9,.2f} {cost.device_bytes / 1e9:>10,.1f}"
            f" {cost.disk_bytes / 1e9:>9,.1f}  {state}"
        )
    hours = sum(costs[run.size].hours(peak, _MFU.value) for run in planned.runs)
    disk = sum(costs[run.size].disk_bytes for run in planned.runs) / 1e9
    lines.append(
        f"{len(planned.runs)} runs, {sum(costs[run.size].tokens for run in planned.runs):,} tokens:"
        f" {hours:,.1f} hours of one {_ACCELERATOR.value} at {_MFU.value:.0%} of its bf16 peak,"
        f" {disk:,.1f} GB of checkpoints (pre-training; bytes on one device, unsharded)"
    )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if len(arguments) != 1 or arguments[0] not in ACTIONS:
        raise UserError(
            f"give one of {', '.join(ACTIONS)}, e.g. python launch/sweep.py plan"
            " --study=configs/studies/tiny.py"
        )
    action = arguments[0]
    config = commandline.require(_STUDY.value, "study", "configs/studies/tiny.py")
    values = flags.FLAGS
    recipe = resolve(
        config.to_dict(),
        values.corpora.split(),
        values.eval.split(),
        values.text_field,
        read=action != "plan",
    )
    planned = Study(recipe, workdir_of(recipe, values.workdir))
    if action == "plan":
        print(plan(planned))
        return
    if action == "collect":
        study_stages.claim_workdir(planned)
        study_stages.report(planned)
        print(f"report: {planned.workdir / 'report.html'}")
        return
    if _BACKEND.value == "local":
        _local(planned, action)
        return
    backend = {"slurm": slurm, "xpk": xpk}[_BACKEND.value]
    submission = Submission(
        planned, lambda part: study_command(planned.workdir, part), _DRY_RUN.value
    )
    if action == "submit":
        if not _DRY_RUN.value:
            study_stages.claim_workdir(planned)
        backend.submit(submission)
    elif action == "cancel":
        backend.cancel(submission)
    else:
        states = submission.states(backend.active(submission))
        for run in planned.runs:
            print(f"{run.name:<40} {states[run.name]}")
        counts = {
            state: list(states.values()).count(state) for state in sorted(set(states.values()))
        }
        print(", ".join(f"{count} {state}" for state, count in counts.items()))


def _local(planned: Study, action: str) -> None:
    """The study runs its own parts in this terminal; there is nothing to look after elsewhere."""
    command = study_command(planned.workdir, "all")
    if action == "cancel":
        raise UserError(
            "a local study runs in its own terminal: stop it there with Ctrl-C or SIGTERM; it saves"
            " first"
        )
    if action == "status":
        lacking = study_plan.missing(planned)
        for run in planned.runs:
            print(f"{run.name:<40} {'missing' if run in lacking else 'done'}")
    elif _DRY_RUN.value:
        print(shlex.join(command))
    else:
        os.execve(command[0], command, {**os.environ, **study_plan.environment(planned)})


if __name__ == "__main__":
    for name in ("workdir", *_STUDY_FLAGS):
        flags.declare_key_flag(name)
    for module in (slurm, xpk):
        flags.adopt_module_key_flags(module)
    commandline.run(main, __doc__)
