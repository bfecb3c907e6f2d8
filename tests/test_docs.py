"""README and docs: links lead somewhere, commands shown exist, worked examples come out."""

import contextlib
import io
import pathlib
import re
import subprocess
import sys

import pytest

from divsyn_jax.base.commands import COMMANDS
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "launch" / "README.md"]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_FLAG = re.compile(r"--([A-Za-z_]\w*(?:\.\w+)*)")
# The old names of commands, and modules run with -m, by their names under `divsyn`.
_OLD_NAMES = {
    "score_corpus": "score",
    "calibrate_agent": "calibrate",
    "grade_metric": "grade_metric",
    "generate_corpus": "generate",
    "train_tokenizer": "tokenizer",
    "build_shards": "shards",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    links = [link.partition("#")[0] for link in _LINK.findall(page.read_text())]
    local = [link for link in links if link and "://" not in link and "mailto:" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def _blocks(page: pathlib.Path, language: str) -> list[str]:
    return [body for name, body in _BLOCK.findall(page.read_text()) if name == language]


def _commands(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Names under `divsyn`, and flags, of the commands in a page's sh blocks."""
    found = []
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.partition("  #")[0]
            if line.strip() and (name := _command_name(line.split())):
                found.append((name, _FLAG.findall(line)))
    return found


def _command_name(words: list[str]) -> str | None:
    program = pathlib.PurePath(words[0]).name
    if program == "divsyn":
        return words[1]
    if program.startswith("python") and words[1:2] == ["-m"]:
        names = {
            command.module.removesuffix(".__main__"): name for name, command in COMMANDS.items()
        }
        return names.get(words[2])
    return _OLD_NAMES.get(program)


@pytest.fixture(scope="module")
def known_flags(command):
    """Flags of a command, from its help; each is asked once."""
    cache: dict[str, set[str]] = {}

    def known(name: str) -> set[str]:
        if name not in cache:
            shown = command("divsyn_jax", name, "--help")
            assert shown.returncode == 0, shown.stderr
            cache[name] = {"help", *re.findall(r"--(?:\[no\])?(\w+)", shown.stdout)}
        return cache[name]

    return known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_flag_of_a_command_shown_exists(page, known_flags):
    unknown = [
        (name, flag)
        for name, flags in _commands(page)
        for flag in flags
        if flag.partition(".")[0] not in known_flags(name)
    ]
    assert unknown == []


def test_the_worked_example_of_the_metric_comes_out():
    (example,) = _blocks(ROOT / "docs" / "metric.md", "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "docs/metric.md", "exec"), {})
    effective, published = map(float, printed.getvalue().split())
    assert effective == pytest.approx(10 / 3)
    assert published == pytest.approx(1.6)


def test_the_pages_are_built_without_a_warning(tmp_path):
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path)]
    built = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "api.html").stat().st_size > 10_000
