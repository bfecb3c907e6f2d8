"""All commands under one name: `divsyn COMMAND ...`, or `python -m divsyn_jax COMMAND ...`."""

import difflib
import importlib
import sys

from divsyn_jax import __doc__ as summary
from divsyn_jax import __version__
from divsyn_jax.base import commandline
from divsyn_jax.base.commands import COMMAND_GROUPS, COMMANDS, UMBRELLA


def overview() -> str:
    """The help of `divsyn` itself: every command in a line."""
    width = max(map(len, COMMANDS))
    lines = [
        str(summary).strip(),
        "",
        f"  {UMBRELLA} score old.jsonl.gz new.jsonl.gz --output=scores",
        "",
        (
            f"{UMBRELLA} COMMAND --help tells more of each command;"
            f" {UMBRELLA} --version which this is."
        ),
    ]
    for heading, group in COMMAND_GROUPS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {command.name:<{width}}  {command.summary}" for command in group]
    return "\n".join(lines)


def run() -> None:
    """Console entry: hands over to the command that the first argument names."""
    name, rest = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if name in ("--help", "-help", "-h", "help"):
        commandline.show(overview())
    elif name in ("--version", "-version"):
        commandline.show(f"{UMBRELLA} {__version__}")
    elif name in COMMANDS:
        # What follows takes the command for a program: its flags, its messages, its help.
        sys.argv = [COMMANDS[name].full_name, *rest]
        importlib.import_module(COMMANDS[name].module).run()
    else:
        sys.exit(_refuse(name))


def _refuse(name: str) -> int:
    wanted = f"no command {name!r}" if name else "name a command"
    close = difflib.get_close_matches(name.lower().replace("-", "_"), _names(), 1, 0.5)
    meant = f"did you mean {UMBRELLA} {_names()[close[0]]}? " if close else ""
    print(f"{UMBRELLA}: {wanted}; {meant}{UMBRELLA} --help lists them", file=sys.stderr)
    return commandline.EXIT_USAGE


def _names() -> dict[str, str]:
    """Every command by what one may call it: its name, and the one that it has on its own."""
    alone = {command.alone.rpartition(".")[2]: name for name, command in COMMANDS.items()}
    return alone | {name: name for name in COMMANDS}


if __name__ == "__main__":
    run()
