"""The targets of test_fuzz.py under Atheris, which keeps the inputs that reach new lines.

    make fuzz TARGET=test_readers FUZZ_SECONDS=3600

Ends with status 77 and the input at the first finding: an exception that is no `UserError`, more
than 60 seconds for one input, memory that grows by more than 512 MiB over what the imports took,
or a file written, moved or removed anywhere but in the target's own temporary folder. The next run
goes on from what this one reached, which is kept in `--corpus`.
"""

import argparse
import contextlib
import importlib
import os
import pathlib
import resource
import sys
import tempfile
from collections.abc import Iterator

import atheris

GROWTH_MIB = 512
SECONDS_PER_INPUT = 60
INPUT_BYTES = 8192  # what Hypothesis reads of one
# The events of Python's audit that change a file system: where among their arguments a path stands,
# and where the open folder that it is relative to (https://docs.python.org/3/library/os.html).
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "shutil.move": ((0, None), (1, None)),
    "shutil.rmtree": ((0, 1),),
}


class WrittenOutside(BaseException):
    """No `Exception`, so that no handler in the code under test takes it for its own failure."""


@contextlib.contextmanager
def changes_only_in(folder: pathlib.Path) -> Iterator[None]:
    """Raise `WrittenOutside` in the block where Python changes a file that is not in `folder`."""
    watches = True  # an audit hook stays for the life of the process
    inside = os.path.realpath(folder)

    def check(event: str, arguments: tuple) -> None:
        if not watches:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            paths = [(path, None)]
        elif event in _CHANGES:
            paths = [
                (arguments[path], None if folder is None else arguments[folder])
                for path, folder in _CHANGES[event]
            ]
        elif event in {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"}:
            raise WrittenOutside(f"{event} {arguments[:2]!r}")
        else:
            return
        for path, open_folder in paths:
            if isinstance(path, int) or os.fsdecode(path) == os.devnull:
                continue
            name = os.fsdecode(path)
            if open_folder not in (None, -1):  # -1 is no folder; `rmtree` removes by open folders
                name = os.path.join(os.readlink(f"/proc/self/fd/{open_folder}"), name)
            # The last part is not followed: removing a link changes the folder that it is in.
            parent = os.path.realpath(os.path.dirname(os.path.abspath(name)))
            if not os.path.join(parent, os.path.basename(name)).startswith(inside + os.sep):
                raise WrittenOutside(f"{event} {name!r}")

    sys.addaudithook(check)
    try:
        yield
    finally:
        watches = False


def instrumented_target(name: str):
    """The function of bytes that runs target `name`, with our modules instrumented.

    The target's own examples are run once: what it imports, compiles and caches on the way belongs
    to no input.
    """
    with atheris.instrument_imports(include=["divsyn_jax"]):
        target = getattr(importlib.import_module("tests.fuzz.test_fuzz"), name)
        target()
    return target.fuzz_one_input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="what was reached")
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    run = instrumented_target(options.target)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    atheris.Setup(
        [
            sys.argv[0],
            str(options.corpus),
            f"-artifact_prefix={options.corpus}/../finding-{options.target}-",
            f"-max_total_time={options.seconds}",
            f"-timeout={SECONDS_PER_INPUT}",
            f"-rss_limit_mb={taken + GROWTH_MIB}",
            f"-max_len={INPUT_BYTES}",
            "-len_control=0",  # an input of a few bytes is no choice of Hypothesis at all
            "-print_final_stats=1",
        ],
        lambda data: run(data) and None,
    )
    with tempfile.TemporaryDirectory(prefix="divsyn-fuzz-") as folder:
        tempfile.tempdir = folder
        with changes_only_in(pathlib.Path(folder)):
            atheris.Fuzz()


if __name__ == "__main__":
    main()
