"""Follows a page literally: its blocks of `sh` and `python`, in order, in a clone.

What the reader would do is done: every block as it stands, by bash, in one clone for a page, with
`.venv` as `make env` leaves it. What another machine, a server or much time is needed for is marked
on the page itself, by comments in the lines before the block, which no rendering shows:

    <!-- takes: a minute -->              run by the long tests only
    <!-- needs: endpoint -->              run against the test server in place of ENDPOINT
    <!-- needs: a TPU, or so -->          not run; tests/test_docs.py lists every such block
    <!-- given: PATH, what it is -->      files that the reader brings; tests bring a stand-in
    <!-- file: NAME -->                   the block is what the reader saves as NAME
    <!-- continues: README.md -->         the page is read after that one, and in its clone

A mark of another name is an error, so nothing is left out by mistake.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.conftest import ROOT

ENDPOINT = "http://localhost:8000/v1"
_MARK = re.compile(r"<!-- (\w+): (.*?) -->\n")
_BLOCK = re.compile(
    r"(?P<marks>(?:<!-- \w+: .*? -->\n)*)```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_MARKS = {"takes", "needs", "given", "file", "continues"}
_SERVED = "endpoint"


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of a page: where it begins, its language and text, and the marks before it."""

    page: str
    line: int
    language: str
    body: str
    marks: dict[str, str]

    @property
    def where(self) -> str:
        """`page:line`, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        """Its first line, without what a comment says."""
        return self.body.splitlines()[0].partition("  #")[0].strip()

    @property
    def is_long(self) -> bool:
        """Whether only the long tests run it."""
        return "takes" in self.marks

    @property
    def lacks(self) -> str | None:
        """What no test has, so that the block is not run; None where it is run."""
        needed = self.marks.get("needs")
        return None if needed == _SERVED else needed


def blocks_of(page: pathlib.Path) -> list[Block]:
    """The blocks of `sh` and `python` of a page, in order. Raises `ValueError` for a wrong mark."""
    text, found = page.read_text(), []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        marks = dict(_MARK.findall(match["marks"]))
        if unknown := set(marks) - _MARKS:
            raise ValueError(f"{page}:{line}: {sorted(unknown)} mark nothing; see {__file__}")
        if match["language"] in ("sh", "python"):
            name = str(page.relative_to(ROOT))
            found.append(Block(name, line, match["language"], match["body"], marks))
    return found


def continued(page: pathlib.Path) -> str | None:
    """The page that a reader of this one has followed before."""
    return dict(_MARK.findall(page.read_text())).get("continues")


def clone(folder: pathlib.Path) -> pathlib.Path:
    """Copy what a clone would hold, as it stands in the working tree, with a ready `.venv`."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(pathlib.Path(sys.prefix) / name)
    (environment / ".installed").touch()  # newer than what it is made from: make env has been run
    return folder


def follow(
    blocks: list[Block],
    folder: pathlib.Path,
    endpoint: Callable[[], str],
    bring: dict[str, Callable[[pathlib.Path], None]],
) -> Iterator[tuple[Block, subprocess.CompletedProcess]]:
    """Do what the blocks say in the clone `folder`, and yield each that was run with its result.

    Args:
      endpoint: starts the test server and returns its address, when a block needs one.
      bring: by path, what makes a stand-in for the files that a reader brings.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "OPENAI_API_KEY": "none"}
    served = ""
    for block in blocks:
        body = block.body
        if "file" in block.marks:
            (folder / block.marks["file"]).write_text(body)
            continue
        if block.lacks is not None:
            continue
        if "given" in block.marks:
            path = block.marks["given"].partition(",")[0]
            bring[path](folder / path)
        if "needs" in block.marks:
            served = served or endpoint()
            assert ENDPOINT in body, f"{block.where}: {ENDPOINT} is what tests put a server for"
            body = body.replace(ENDPOINT, served)
        program = ["bash", "-euo", "pipefail"]
        if block.language == "python":
            program = [str(folder / ".venv" / "bin" / "python"), "-"]
            yield block, _run(program, body, folder, environment)
        else:
            yield block, _run([*program, "-c", body], "", folder, environment)


def _run(program, text, folder, environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        program, input=text, cwd=folder, env=environment, capture_output=True, text=True
    )
