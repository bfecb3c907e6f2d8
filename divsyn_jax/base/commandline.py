"""How every command of the project starts and ends: flags, help, one-line errors and exit codes.

Exit codes: 0 success; 75 saved and stopped unfinished (`Unfinished`, e.g. after SIGTERM); 2 bad
usage or input, with one clear line (`UserError`); 1 anything else: one line when the work itself
failed (`Failure`), a traceback when it is our bug."""

import ast
import itertools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from absl import app, flags, logging

from divsyn_jax.base import terminal_text

_T = TypeVar("_T")
EXIT_USAGE = 2
EXIT_UNFINISHED = 75


class UserError(Exception):
    """The user's input cannot be used; the message is one line naming the place, what is wrong and
    the remedy.
    """


class Unfinished(Exception):
    """The work was saved and stopped before its end; the same command continues it."""


class Failure(Exception):
    """The work itself failed in a way that the message explains in one line (exit code 1, no
    traceback).
    """


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
            print(f"{doc.strip()}\n\nFlags:\n{flags.FLAGS.module_help(owner)}")
            sys.exit(0)
        for before, argument in itertools.pairwise(
            argv
        ):  # ml_collections tells a missing file in a dozen lines
            path = argument.removeprefix("--config=").split(":")[0]
            if (before == "--config" or argument.startswith("--config=")) and not os.path.isfile(
                path
            ):
                _fail(f"{path}: no such config file")
        try:
            return flags.FLAGS(argv, known_only=False)
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
        except UserError as error:
            _fail(str(error))
        except Unfinished as stop:
            _say(str(stop))
            sys.exit(EXIT_UNFINISHED)
        except Failure as failure:
            _say(str(failure))
            sys.exit(1)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            if error.filename is None:
                raise
            _fail(
                f"{error.filename}: {error.strerror}; name another path or change its permissions"
            )
        except KeyboardInterrupt:
            print(f"{_program()}: interrupted; run the same command to continue", file=sys.stderr)
            sys.exit(130)
        except BrokenPipeError:  # the reader of our output (head, less) has left: nothing is wrong
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    app.run(guarded, flags_parser=parse)


def require(value: _T | None, flag: str, example: str) -> _T:
    """Return `value`, or raise `UserError` saying that `--flag` is missing."""
    if not value:
        raise UserError(f"--{flag} is required, e.g. --{flag}={example}")
    return value


def _program() -> str:
    return os.path.basename(sys.argv[0]).removesuffix(".py")


def _fail(message: str) -> NoReturn:
    _say(message)
    sys.exit(EXIT_USAGE)


def _say(message: str) -> None:
    # Names in it may hold line breaks and what a terminal obeys.
    print(f"{_program()}: {terminal_text.one_line(message)}", file=sys.stderr)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
