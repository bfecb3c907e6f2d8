"""Send a corpus, or the draws of a score, to Slurm in parts: one array task each, then the merge.

  python launch/parts.py --parts=64 --at_once=16 --sbatch='--partition=cpu --time=12:00:00' -- \\
      generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona \\
      --topics_file=topics.jsonl --base_url=http://head:8000/v1 --model=qwen3-32b
  python launch/parts.py --parts=8 -- score_corpus a=a.jsonl b=b.jsonl --agent=openai \\
      --criteria=criteria.json --base_url=http://head:8000/v1 --model=qwen3-32b --output=scores

The command behind -- is what one process would run. Task i runs it with --part=i/n and the output
OUTPUT.parts/i; when all are done, a last job runs it with --merge and its own output. A task that
is preempted or near its time limit saves and puts itself back into the queue; running the same
command again after a failure repeats nothing that was paid for. OUTPUT must be on storage that all
machines see; the API key is taken from the environment of this command, as sbatch passes it on."""

import dataclasses
import os
import pathlib
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from divsyn_jax.base import commandline, files, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from launch.scheduler import call, log_pattern, quoted

_MODULES = {
    "generate_corpus": "divsyn_jax.synthesis.generate_corpus",
    "score_corpus": "divsyn_jax.diversity.score_corpus",
}
# A part that stops with 75 is sent again, which none of these may be.
_NOT_HERE = {
    "part": "this command writes it",
    "merge": "this command writes it",
    "dry_run": "run it without launch/parts.py",
    "batch_out": "a stage by files ends with exit code 75 and must not be sent again",
    "max_calls": "a part that is stopped by it is sent again and begins to count anew",
    "max_cost": "a part that is stopped by it is sent again and begins to count anew",
}


@dataclasses.dataclass(frozen=True)
class PartsOptions:
    """How to split, and what the cluster is asked for.

    Attributes:
      parts: parts to split the work into.
      at_once: parts that run side by side, at most; together they ask the endpoint for at_once
        times --concurrency calls at a time. 0: all.
      sbatch: options for sbatch, e.g. '--partition=cpu --time=12:00:00'.
      dry_run: print scripts and commands instead of writing and running them.
    """

    parts: Annotated[int, Flag(at_least=1, example="64")]
    at_once: Annotated[int, Flag(at_least=0)] = 0
    sbatch: str = ""
    dry_run: bool = False


_OPTIONS = setting_flags.define(PartsOptions, "backend")


@dataclasses.dataclass(frozen=True)
class SplitCommand:
    """A command that splits its work.

    Attributes:
      name: of the command.
      arguments: of it, without --output.
      output: its output.
    """

    name: str
    arguments: tuple[str, ...]
    output: str

    def line(self, *more: str) -> str:
        """The shell line that runs it with `more` arguments, which are quoted already."""
        words = [sys.executable, "-m", _MODULES[self.name], *self.arguments]
        return " ".join([shlex.join(words), *more])

    @property
    def folder(self) -> str:
        """Where the parts and their logs go."""
        return f"{self.output.rstrip('/')}.parts"


def split_command(words: Sequence[str]) -> SplitCommand:
    """The command behind `--`. Raises `UserError` for one that cannot be split here."""
    name = words[0] if words else ""
    if name not in _MODULES:
        raise UserError(
            f"{name or 'no command'!r}: give {' or '.join(_MODULES)} with its flags behind --, e.g."
            " python launch/parts.py --parts=64 -- generate_corpus --config=... --output=..."
        )
    given: dict[str, str] = {}
    for word in words[1:]:
        flag, _, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            given[flag] = value
    for flag, why in _NOT_HERE.items():
        if flag in given:
            raise UserError(f"--{flag}: leave it out ({why})")
    if not given.get("output"):
        raise UserError("--output=FOLDER is required in the command behind --")
    if name == "score_corpus" and not given.get("criteria"):
        raise UserError(
            "score_corpus in parts needs --criteria=FILE (criteria.json of any earlier run): else"
            " every part would find its own"
        )
    # A corpus may be called output: output=a.jsonl.
    rest = [word for word in words[1:] if not re.match("--?output=", word)]
    return SplitCommand(name, tuple(rest), given["output"])


def array_script(command: SplitCommand, options: PartsOptions) -> str:
    """The array job: a task a part."""
    most = f"%{options.at_once}" if options.at_once else ""
    head = _head(command, options, "parts", "%x-%A_%a.out", f"--array=1-{options.parts}{most}")
    part = f"--part=$SLURM_ARRAY_TASK_ID/{options.parts}"
    output = f"--output={shlex.quote(command.folder)}/$SLURM_ARRAY_TASK_ID"
    job = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    return f"{head}\nJOB={job}\n{_STEP}\n\nstep {command.line(part, output)}\n"


def merge_script(command: SplitCommand, options: PartsOptions) -> str:
    """The job that makes the whole of the parts."""
    folders = ",".join(f"{command.folder}/{index}" for index in range(1, options.parts + 1))
    merge = [shlex.quote(f"--merge={folders}"), shlex.quote(f"--output={command.output}")]
    head = _head(command, options, "merge", "%x-%j.out")
    return f"{head}\nJOB=$SLURM_JOB_ID\n{_STEP}\n\nstep {command.line(*merge)}\n"


def submit(command: SplitCommand, options: PartsOptions) -> None:
    """Send both jobs."""
    if "," in command.folder:
        raise UserError(f"--output={command.output}: a comma separates folders; name it otherwise")
    scripts = {
        "parts.sh": array_script(command, options),
        "merge.sh": merge_script(command, options),
    }
    job = ""
    for name, script in scripts.items():
        path = pathlib.Path(command.folder, "launch", name)
        after = [f"--dependency=afterok:{job}", "--kill-on-invalid-dep=yes"] if job else []
        line = ["sbatch", "--parsable", *after, str(path)]
        if options.dry_run:
            print(f"# ---- {path}\n{script}\n{shlex.join(line)}")
            job = "JOB"
            continue
        files.write_text(path, script)
        job = call(line).split(";")[0]
        print(f"{name}: job {job}")


_STEP = """\
requeue() { scontrol requeue "$1"; sleep 300; }  # the sleep ends with the job
step() {
  srun --nodes=1 --ntasks=1 --kill-on-bad-exit=1 "$@" && return
  local code=$?
  [ $code -eq 75 ] && requeue "$JOB"
  exit $code
}"""


def _head(command: SplitCommand, options: PartsOptions, kind: str, output: str, *more: str) -> str:
    lines = [
        f"--job-name={command.name}-{kind}",
        log_pattern(f"{command.folder}/launch", output),
        f"--chdir={os.getcwd()}",
        "--open-mode=append",
        "--requeue",
        "--signal=TERM@120",  # to the step, two minutes before the time limit
        "--nodes=1",
        "--ntasks=1",
        *more,
        *shlex.split(options.sbatch),
    ]
    directives = [f"#SBATCH {quoted(line)}" for line in lines]
    return "\n".join(["#!/bin/bash", *directives, "set -u"])


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    submit(split_command(arguments), _OPTIONS.given())


if __name__ == "__main__":
    commandline.run(main, __doc__)
