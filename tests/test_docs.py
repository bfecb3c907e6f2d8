"""README and docs: links lead somewhere, commands shown exist, worked examples come out."""

import contextlib
import functools
import io
import operator
import pathlib
import re
import runpy
import subprocess
import sys

import pytest

from divsyn_jax.base import recipes
from divsyn_jax.base.commands import COMMANDS
from tests import docs_commands
from tests.conftest import ROOT
from tests.evaluation.written_samples import two_evaluations

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


# The pages that can be followed, and the blocks on them that no test runs, with what they need.
# Whoever adds one adds it here.
FOLLOWED = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_NOT_RUN = {
    ("README.md", "make study", "ten minutes each"),
    ("README.md", "make study CORPORA='docs/examples/old.jsonl.gz", "a quarter of an hour"),
    ("README.md", ".venv/bin/python -m divsyn_jax.evaluate --workdir=runs/tiny --tasks", "network"),
    ("README.md", "make env-tpu", "network"),
    ("README.md", "pip install -e '.[score]'", "network"),
    ("docs/grading.md", ".venv/bin/divsyn grade_metric --metric=all", "people's scores"),
    ("docs/studies.md", "make study CORPORA='docs/examples/old.jsonl.gz", "a quarter of an hour"),
    ("docs/studies.md", "make study STUDY=factorial_llm", "pools"),
    ("docs/training.md", ".venv/bin/python -m divsyn_jax.train --config", "an accelerator"),
    ("docs/training.md", "make env-tpu", "network"),
}


def _page_name(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


def test_what_no_test_runs_is_listed_here():
    left = [
        (block.page, block.first_line, block.lacks)
        for page in FOLLOWED
        for block in docs_commands.blocks_of(page)
        if block.lacks is not None
    ]
    for page, line, needs in left:
        print(f"not run: {page}: {line} (needs {needs})")
    assert len(left) == len(_NOT_RUN)
    for page, line, needs in _NOT_RUN:
        assert [
            block
            for block in left
            if block[0] == page and block[1].startswith(line) and block[2].startswith(needs)
        ], (page, line)


def test_a_page_whose_blocks_are_indented_would_not_be_followed():
    for page in FOLLOWED:
        fences = page.read_text().count("```sh") + page.read_text().count("```python")
        assert fences == len(docs_commands.blocks_of(page)), page


def test_what_is_not_run_names_targets_and_recipes_that_are_there():
    for page in FOLLOWED:
        for block in docs_commands.blocks_of(page):
            if block.lacks is None:
                continue
            for target in re.findall(r"^make ([\w-]+)", block.body, re.MULTILINE):
                line = ["make", "-n", "--no-print-directory", target, "VENV=nowhere"]
                assert subprocess.run(line, cwd=ROOT, capture_output=True).returncode == 0, block
            for line in block.body.splitlines():
                for recipe in re.findall(r"--config=(\S+)", line):
                    config = _recipe(recipe)
                    for key in re.findall(r"--config\.([\w.]+)=", line):
                        *parents, last = key.split(".")
                        assert last in functools.reduce(operator.getitem, parents, config), key


def _recipe(path: str):
    """The settings of a recipe as a command gets them from `--config=path`."""
    file, _, argument = recipes.find_recipe(path).partition(":")
    return runpy.run_path(file)["get_config"](*filter(None, [argument]))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """`followed(page, long)` does what a page says, once, and returns its clone.

    A page that continues another one goes on in that page's clone.
    """
    clones: dict[tuple[pathlib.Path, bool], pathlib.Path] = {}
    if not (pathlib.Path(sys.prefix) / "bin" / "divsyn").exists():
        pytest.skip("the commands are not installed in this environment (make env)")
    with contextlib.ExitStack() as stack:

        def endpoint() -> str:
            log = tmp_path_factory.mktemp("calls") / "calls.jsonl"
            line = [sys.executable, "-m", "tests.endpoint.server", f"--log={log}"]
            line += ["--brain=tests.diversity.agents.pair_brains:honest"]
            server = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(server.wait)
            stack.callback(server.kill)
            assert server.stdout is not None
            return server.stdout.readline().strip()

        def follow(page: pathlib.Path, long: bool) -> pathlib.Path:
            if (page, long) in clones:
                return clones[page, long]
            before = docs_commands.continued(page)
            if before is not None:
                folder = follow(ROOT / before, long)
            else:
                folder = docs_commands.clone(tmp_path_factory.mktemp("clone"))
            blocks = [block for block in docs_commands.blocks_of(page) if long or not block.is_long]
            bring = {"results": two_evaluations}
            for block, done in docs_commands.follow(blocks, folder, endpoint, bring):
                assert done.returncode == 0, f"{block.where}: {block.body}\n{done.stderr}"
            clones[page, long] = folder
            return folder

        yield follow


def test_the_quick_blocks_of_the_pages_can_be_followed_in_order(followed):
    for page in FOLLOWED:
        clone = followed(page, long=False)
    clone = followed(ROOT / "README.md", long=False)
    assert (clone / "scores" / "report.html").is_file()
    assert (clone / "scores" / "new" / "clusters.jsonl").is_file()


def _to_its_end(page: pathlib.Path):
    """The README trains, tunes and evaluates models, minutes of it, and what continues it too."""
    whole = page.name == "README.md" or docs_commands.continued(page) == "README.md"
    mark = pytest.mark.runs if whole else pytest.mark.long
    return pytest.param(page, marks=mark, id=_page_name(page))


@pytest.mark.parametrize("page", map(_to_its_end, FOLLOWED))
def test_a_page_can_be_followed_to_its_end(page, followed):
    clone = followed(page, long=True)
    if page.name == "README.md":
        assert (clone / "runs" / "tiny_sft" / "DONE").is_file()
        assert (clone / "hf" / "tiny" / "model.safetensors").is_file()


def test_the_pages_are_built_without_a_warning(tmp_path):
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path)]
    built = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "api.html").stat().st_size > 10_000
