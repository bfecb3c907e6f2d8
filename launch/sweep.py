"""Plan a study, send its missing runs to machines, look after them, and collect the result.

  python launch/sweep.py plan --study=configs/studies/topics.py
  python launch/sweep.py submit --study=configs/studies/tiny.py --backend=slurm \\
      --sbatch='--partition=a100 --gres=gpu:8 --time=12:00:00'

Actions: plan (a table of runs, tokens, accelerator-hours and bytes), submit (what is missing or
failed; idempotent), status, collect (study.json and report from finished runs), cancel. --dry_run
prints what submit would write and run. The study itself (runs, what counts as done, the report) is
divsyn_jax.study; any backend may continue what another began. See launch/README.md."""

import dataclasses
import os
import pathlib
import shlex
import sys
from typing import Annotated, Literal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from absl import flags
from ml_collections import ConfigDict, config_flags

from divsyn_jax.base import commandline, recipes, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers.corpus import split_corpora
from divsyn_jax.study import __main__ as study_command_line
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study import stages as study_stages
from divsyn_jax.study.__main__ import StudyOptions
from divsyn_jax.study.finetuning.sets import compares_sft_sets
from divsyn_jax.study.recipe import Study, resolve, workdir_of
from launch import slurm, xpk
from launch.submission import Submission

ACTIONS = ("plan", "submit", "status", "collect", "cancel")


@dataclasses.dataclass(frozen=True)
class SweepOptions:
    """Where runs go, and what a plan reckons with.

    Attributes:
      backend: where runs go.
      dry_run: print scripts and commands instead of writing and running them.
      accelerator: device kind that the plan counts hours of.
      mfu: share of the accelerator's dense bf16 peak that the plan assumes.
    """

    backend: Literal["local", "slurm", "xpk"] = "local"
    dry_run: bool = False
    accelerator: str = "NVIDIA H100 80GB HBM3"
    mfu: Annotated[float, Flag(at_least=0.01, at_most=1.0)] = 0.4


_STUDY = setting_flags.define_recipe("study", "Study recipe, e.g. configs/studies/tiny.py.")
_SWEEP = setting_flags.define(
    SweepOptions, {"backend": ["backend", "dry_run"], "study": ["accelerator", "mfu"]}
)
# --parallel is of the local backend.
_STUDY_OPTIONS = study_command_line.STUDY_OPTIONS


def study_command(workdir: pathlib.Path, part: str, options: StudyOptions) -> tuple[str, ...]:
    """The command of divsyn_jax.study for the study that this process was asked about."""
    given = flags.FLAGS["study"]
    config = [f"--config={recipes.find_if_any(config_flags.get_config_filename(given))}"]
    for key, value in config_flags.get_override_values(given).items():
        config.append(
            f"--config.{key}={value.to_dict() if isinstance(value, ConfigDict) else value}"
        )
    named = dataclasses.asdict(dataclasses.replace(options, workdir=None))
    values = [f"--{name}={value}" for name, value in named.items() if value]
    return (
        sys.executable,
        "-m",
        "divsyn_jax.study",
        *config,
        *values,
        f"--workdir={workdir}",
        f"--part={part}",
    )


def plan(planned: Study, accelerator: str, mfu: float) -> str:
    """The table of runs; accelerator-hours and bytes are analytic, of pre-training (imports jax for
    the models' shapes).
    """
    from divsyn_jax.study import cost as study_cost
    from divsyn_jax.training import metrics

    if accelerator not in metrics.PEAK_FLOPS:
        raise UserError(f"--accelerator={accelerator}: known are {', '.join(metrics.PEAK_FLOPS)}")
    peak, costs = metrics.PEAK_FLOPS[accelerator], {}
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
            f" {cost.hours(peak, mfu):>9,.2f} {cost.device_bytes / 1e9:>10,.1f}"
            f" {cost.disk_bytes / 1e9:>9,.1f}  {state}"
        )
    hours = sum(costs[run.size].hours(peak, mfu) for run in planned.runs)
    disk = sum(costs[run.size].disk_bytes for run in planned.runs) / 1e9
    lines.append(
        f"{len(planned.runs)} runs, {sum(costs[run.size].tokens for run in planned.runs):,} tokens:"
        f" {hours:,.1f} hours of one {accelerator} at {mfu:.0%} of its bf16 peak,"
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
    sweep, options = _SWEEP.given(), _STUDY_OPTIONS.given()
    recipe = resolve(
        config.to_dict(),
        split_corpora(options.corpora),
        split_corpora(options.eval),
        options.text_field,
        read=action != "plan",
    )
    planned = Study(recipe, workdir_of(recipe, options.workdir))
    if action == "plan":
        print(plan(planned, sweep.accelerator, sweep.mfu))
        return
    if action == "collect":
        study_stages.claim_workdir(planned)
        study_stages.report(planned)
        print(f"report: {planned.workdir / 'report.html'}")
        return
    if sweep.backend == "local":
        _local(planned, action, options, sweep.dry_run)
        return
    if compares_sft_sets(planned.recipe):
        raise UserError(
            f"--backend={sweep.backend}: runs of this study share one pre-training, and jobs of"
            " their own would each write it; use --backend=local"
        )
    backend = {"slurm": slurm, "xpk": xpk}[sweep.backend]
    asked = backend.OPTIONS.given()
    submission = Submission(
        planned, lambda part: study_command(planned.workdir, part, options), sweep.dry_run
    )
    if action == "submit":
        if not sweep.dry_run:
            study_stages.claim_workdir(planned)
        backend.submit(submission, asked)
    elif action == "cancel":
        backend.cancel(submission, asked)
    else:
        states = submission.states(backend.active(submission, asked))
        for run in planned.runs:
            print(f"{run.name:<40} {states[run.name]}")
        counts = {
            state: list(states.values()).count(state) for state in sorted(set(states.values()))
        }
        print(", ".join(f"{count} {state}" for state, count in counts.items()))


def _local(planned: Study, action: str, options: StudyOptions, dry_run: bool) -> None:
    """The study runs its own parts in this terminal; there is nothing to look after elsewhere."""
    command = study_command(planned.workdir, "all", options)
    if action == "cancel":
        raise UserError(
            "a local study runs in its own terminal: stop it there with Ctrl-C or SIGTERM; it saves"
            " first"
        )
    if action == "status":
        lacking = study_plan.missing(planned)
        for run in planned.runs:
            print(f"{run.name:<40} {'missing' if run in lacking else 'done'}")
    elif dry_run:
        print(shlex.join(command))
    else:
        os.execve(command[0], command, {**os.environ, **study_plan.environment(planned)})


if __name__ == "__main__":
    for module in (slurm, xpk):
        setting_flags.adopt(module)
    _STUDY_OPTIONS.adopt()
    commandline.run(main, __doc__)
