"""What was sent where: the record of a study's jobs, and what still has to be sent."""

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study.recipe import Run, Study
from launch.scheduler import call


@dataclasses.dataclass(frozen=True)
class Submission:
    """A study on its way to a cluster.

    Attributes:
      study: the study.
      study_command: argument vector of a part of it ('prepare', 'report').
      dry_run: print instead of writing and running.
    """

    study: Study
    study_command: Callable[[str], tuple[str, ...]]
    dry_run: bool

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Jobs sent so far: {job, kind, runs}, `runs` by their index in the job."""
        record = self.study.workdir / "launch" / "jobs.json"
        return files.read_json(record) if record.exists() else []

    def record(self, job: str, kind: str, runs: Sequence[Run] = ()) -> None:
        """Remember a job."""
        if not self.dry_run:
            entry = {"job": job, "kind": kind, "runs": [run.name for run in runs]}
            files.write_json(self.study.workdir / "launch" / "jobs.json", [*self.jobs, entry])

    def states(self, active: Mapping[str, str]) -> dict[str, str]:
        """State by run:

        done; as the scheduler says while it holds it (`active`); failed where it was sent; missing.
        """
        lacking = {run.name for run in study_plan.missing(self.study)}
        sent = {name for job in self.jobs for name in job["runs"]}
        return {
            run.name: (
                "done"
                if run.name not in lacking
                else active.get(run.name) or ("failed" if run.name in sent else "missing")
            )
            for run in self.study.runs
        }

    def unsent(self, active: Mapping[str, str]) -> list[Run]:
        """Runs to send: missing or failed."""
        states = self.states(active)
        return [run for run in self.study.runs if states[run.name] in ("missing", "failed")]

    def write(self, name: str, script: str) -> str:
        """Write a script under launch/ and return its path; print it in a dry run."""
        path = self.study.workdir / "launch" / name
        if self.dry_run:
            print(f"# ---- {path}\n{script}")
        else:
            files.write_text(path, script)
        return str(path)

    def call(self, command: Sequence[str]) -> str:
        """Run a scheduler's command and return what it prints; print it in a dry run.

        Raises `Failure` when it fails.
        """
        if self.dry_run:
            print(shlex.join(command))
            return "JOB"
        return call(command)


def exports(environment: Mapping[str, str]) -> str:
    """The environment of every step as shell lines."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
