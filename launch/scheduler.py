"""What every job that is sent to a scheduler needs, whatever it runs."""

import os
import re
import shlex
import subprocess
from collections.abc import Sequence

from divsyn_jax.base.errors import Failure, UserError
from divsyn_jax.base.terminal_text import one_line


def call(command: Sequence[str]) -> str:
    """Run a scheduler's command and return what it prints.

    Raises `UserError` where it is not installed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(
            f"{command[0]}: not installed here; run this where jobs are submitted, or add --dry_run"
        ) from None
    if done.returncode:
        raise Failure(
            f"{shlex.join(command[:2])} failed: {' '.join((done.stderr or done.stdout).split())}"
        )
    return done.stdout.strip()


def quoted(option: str) -> str:
    """An option for an #SBATCH line:

    sbatch knows quotes there, takes a backslash away everywhere, and ends the line at a bare #.

    Raises `UserError` for an option with a line break, behind which the job would run what follows.
    """
    if len(option.splitlines()) > 1:
        raise UserError(
            f"{one_line(option)}: has a line break, which a job's script cannot pass on; name it"
            " otherwise"
        )
    if not re.search(r"""[\s"'#\\]""", option):
        return option
    return '"' + re.sub(r'["\\]', r"\\\g<0>", option) + '"'


def log_pattern(folder: str | os.PathLike[str], pattern: str) -> str:
    """`--output` of a job: `pattern`, in which Slurm fills in %x and the like, under a folder in
    which it must not.
    """
    return f"--output={os.fspath(folder).replace('%', '%%')}/{pattern}"
