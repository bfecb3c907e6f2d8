"""How every command of the project starts and ends: flags, help, one-line errors and exit codes.

Exit codes: 0 success; 75 saved and stopped unfinished (`Unfinished`, e.g. after SIGTERM); 2 bad
usage or input, with one clear line (`UserError`); 1 anything else: one line when the work itself
failed (`Failure`), a traceback when it is our bug."""

import ast
import errno
import os
import pathlib
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from absl import app, flags, logging

from divsyn_jax import __version__
from divsyn_jax.base import commands, recipes, setting_flags, terminal_text
from divsyn_jax.base.errors import Failure, Stopped, Unfinished, UserError

__all__ = ["EXIT_UNFINISHED", "EXIT_USAGE", "Failure", "Unfinished", "UserError", "program"]
__all__ += ["require", "run", "show", "stop_on_sigterm"]
EXIT_USAGE = 2
EXIT_UNFINISHED = 75


def run(main: Callable[[list[str]], None], doc: str) -> None:
    """Parse flags, run `main(positional arguments)` and leave with the project's exit codes.

    Args:
      main: called with the positional arguments, the program's name excluded.
      doc: the help text; its first line is the summary, the rest holds an example.
    """
    terminal_text.guard_output()
    for argument in sys.argv:
        if not _is_unicode(argument):
            _fail(f"{argument!a}: not UTF-8; name files and values in UTF-8")
    # absl files the flags of a script under its path, those of an imported module under its dotted
    # name.
    owner = sys.argv[0] if main.__module__ == "__main__" else main.__module__

    def parse(argv: list[str]) -> list[str]:
        if any(argument in ("--help", "-help", "-h") for argument in argv[1:]):
            show(_help(doc, owner))
            sys.exit(0)
        if any(argument in ("--version", "-version") for argument in argv[1:]):
            show(f"{program()} {__version__}")
            sys.exit(0)
        try:
            return flags.FLAGS(_with_recipes_found(argv), known_only=False)
        except UserError as error:
            _fail(str(error))
        except SyntaxError as error:
            _fail(f"{error.filename}:{error.lineno}: not a config file ({error.msg}); see configs/")
        except (AttributeError, KeyError) as error:
            message = str(error)
            if message[:1] in (
                "'",
                '"',
            ):  # an unknown --config.key, quoted once or twice, perhaps with a suggestion
                message = f"unknown config key {ast.literal_eval(message)}"
            _fail(" ".join(message.split()) + " (see --help)")
        except (flags.Error, TypeError, ValueError, OSError) as error:
            # ml_collections raises the plain types for values of the wrong type in --config.
            _fail(" ".join(str(error).strip().split("\n")) + " (see --help)")

    def guarded(argv: list[str]) -> None:
        logging.set_verbosity(logging.WARNING)  # JAX and Orbax narrate at INFO
        try:
            main(argv[1:])
            sys.stdout.flush()
        except UserError as error:
            _fail(str(error))
        except (Stopped, Unfinished) as stop:
            _complain(str(stop))
            sys.exit(EXIT_UNFINISHED)
        except Failure as failure:
            _complain(str(failure))
            sys.exit(1)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            if error.filename is None:
                raise
            _fail(
                f"{error.filename}: {error.strerror}; name another path or change its permissions"
            )
        except BrokenPipeError:
            _nobody_reads()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _complain(
                f"{error.filename or 'disk'}: {error.strerror}; free space, then run the"
                " same command to continue"
            )
            sys.exit(1)
        except KeyboardInterrupt:
            _complain("interrupted; run the same command to continue")
            sys.exit(130)

    app.run(guarded, flags_parser=parse)


def stop_on_sigterm(remedy: str = "run the same command to continue") -> None:
    """From now on SIGTERM raises `Stopped`, which `run` answers with one line and exit code 75."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(f"stopped by SIGTERM; {remedy}")

    signal.signal(signal.SIGTERM, stop)


_Required = TypeVar("_Required")


def require(value: _Required | None, flag: str, example: str) -> _Required:
    """Return `value`, or raise `UserError` saying that `--flag` is missing."""
    if not value:
        raise UserError(f"--{flag} is required, e.g. --{flag}={example}")
    return value


def program() -> str:
    """The command as its user started it, e.g. `divsyn score`, `score_corpus` or `train`."""
    path = pathlib.PurePath(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name.removesuffix(".py")


def show(text: str) -> None:
    """Print to a reader who may leave early (head, less)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _nobody_reads()


def _nobody_reads() -> None:
    """The reader of our output has left: nothing is wrong, and nothing more is written there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _with_recipes_found(argv: Sequence[str]) -> list[str]:
    """The command line with the whole path of every recipe, which may be the package's own."""
    names = [
        name for name in flags.FLAGS if setting_flags.entry_of(flags.FLAGS[name]).group == "recipe"
    ]
    found, is_recipe = [], False
    for argument in argv:
        name, equals, path = argument.lstrip("-").partition("=")
        names_recipe = argument.startswith("-") and name in names
        if is_recipe:
            argument = recipes.find_recipe(argument)
        elif names_recipe and equals:
            argument = f"--{name}={recipes.find_recipe(path)}"
        is_recipe = names_recipe and not equals
        found.append(argument)
    if names:
        recipes.provide()
    return found


_WIDEST = 100
_HANGING = 26  # columns before a flag's help


def _help(doc: str, owner: str) -> str:
    """What a command is for, how it is used, and its flags by heading: its own before those that it
    shares.
    """
    parts = [commands.in_words_of(program(), doc.strip())]
    own = {flag.name for flag in flags.FLAGS.get_flags_for_module(owner)}
    known = flags.FLAGS.get_key_flags_for_module(owner)
    known.sort(key=lambda flag: (flag.name not in own, setting_flags.entry_of(flag).place))
    for group in (*setting_flags.FLAG_GROUPS, ""):
        entries = [_line(flag) for flag in known if setting_flags.entry_of(flag).group == group]
        if entries:
            parts.append("\n".join([f"{group.capitalize() or 'Other'}:", *entries]))
    return "\n\n".join(parts)


def _line(flag: flags.Flag) -> str:
    name = f"  --[no]{flag.name}" if flag.boolean else f"  --{flag.name}"
    notes = []
    if setting_flags.choices_of(flag):
        *others, last = setting_flags.choices_of(flag)
        notes.append(f"{', '.join(others)} or {last}" if others else f"only {last}")
    if flag.default not in (None, "", []):
        notes.append(f"default: {_shown(flag)}")
    text = commands.in_words_of(program(), setting_flags.entry_of(flag).help)
    text += f" ({'; '.join(notes)})" if notes else ""
    width = min(_WIDEST, shutil.get_terminal_size().columns) - _HANGING
    first, *rest = textwrap.wrap(text, max(width, 30), break_on_hyphens=False) or [""]
    indent = " " * _HANGING
    is_short = len(name) + 2 <= _HANGING
    lines = [f"{name:<{_HANGING}}{first}"] if is_short else [name, f"{indent}{first}"]
    return "\n".join([*lines, *(f"{indent}{line}" for line in rest)])


def _shown(flag: flags.Flag) -> str:
    """The default as one would type it."""
    if isinstance(flag.default, list | tuple):
        return ",".join(map(str, flag.default))
    return str(flag.default).lower() if flag.boolean else str(flag.default)


def _complain(message: str) -> None:
    told = commands.in_words_of(program(), message, are_names_words=False)
    # Names in it may hold line breaks and what a terminal obeys.
    print(f"{program()}: {terminal_text.one_line(told)}", file=sys.stderr)


def _fail(message: str) -> NoReturn:
    _complain(message)
    sys.exit(EXIT_USAGE)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
