"""`divsyn COMMAND`: one name for all commands, and the help that each of them prints."""

import importlib
import os
import re
import subprocess
import sys
import tomllib

import pytest

import divsyn_jax
from divsyn_jax.base.commands import COMMANDS, in_words_of
from divsyn_jax.base.setting_flags import FLAG_GROUPS
from tests.conftest import ROOT, fails_with_one_line

LIGHT = [name for name in COMMANDS if name not in ("train", "compile", "study", "tokenizer")]


def divsyn(*arguments, **kwargs):
    line = [sys.executable, "-m", "divsyn_jax", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, **kwargs)


def test_the_overview_names_every_command_in_a_line():
    shown = divsyn("--help")
    assert shown.returncode == 0, shown.stderr
    for command in COMMANDS.values():
        assert re.search(rf"^  {command.name} +{re.escape(command.summary)}$", shown.stdout, re.M)


def test_the_overview_imports_no_command():
    code = (
        "import sys; from divsyn_jax.__main__ import run; sys.argv = ['divsyn', '--help']; run();"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    imported = set(shown.stderr.split())
    assert "divsyn_jax" in imported
    assert imported.isdisjoint({"numpy", "jax", "torch", "ml_collections", "scipy", "openai"})


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "divsyn_jax/__init__.py"
    assert divsyn("--version").stdout.split() == ["divsyn", divsyn_jax.__version__]
    assert divsyn("score", "--version").stdout.split()[-1] == divsyn_jax.__version__


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scroe"], "no command 'scroe'; did you mean divsyn score?"),
        (["score_corpus", "a.jsonl"], "did you mean divsyn score?"),
        (["build-shards"], "did you mean divsyn shards?"),
        (["xyzzy"], "no command 'xyzzy'; divsyn --help lists them"),
        ([], "name a command"),
    ],
)
def test_an_unknown_command_is_refused(arguments, says):
    fails_with_one_line(divsyn(*arguments), says)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_example_first_and_flags_by_heading(name):
    shown = divsyn(name, "--help", env={**os.environ, "COLUMNS": "100"})
    assert shown.returncode == 0, shown.stderr
    paragraphs = shown.stdout.split("\n\n")
    assert paragraphs[1].startswith(f"  divsyn {name}")
    headings = [p.splitlines()[0][:-1].lower() for p in paragraphs if re.match(r"\w+:\n  --", p)]
    assert headings
    assert headings == [
        group for group in FLAG_GROUPS if group in headings
    ]  # in order, none "other"
    assert ".py:" not in "".join(line for line in shown.stdout.splitlines() if line[-1:] == ":")
    assert "default: '" not in shown.stdout
    shown_flags = [
        line for p in paragraphs if re.match(r"\w+:\n  --", p) for line in p.splitlines()
    ]
    assert max(map(len, shown_flags)) <= 100


@pytest.mark.parametrize("name", LIGHT)
def test_each_command_names_itself_as_it_was_started(name):
    command = COMMANDS[name]
    fails_with_one_line(divsyn(name, "--no_such_flag"), f"divsyn {name}: ", "no_such_flag")
    alone = [sys.executable, "-m", command.module.removesuffix(".__main__"), "--no_such_flag"]
    result = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if name not in ("generate", "shards"):  # these have no `python -m` of their own
        fails_with_one_line(result, f"{command.module.rpartition('.')[2]}: ", "no_such_flag")


def test_a_package_run_as_a_command_is_called_by_its_own_name(command):
    fails_with_one_line(command("divsyn_jax.study", "--no_such_flag"), "study: ")


def test_every_command_has_an_entry_that_exists():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts.pop("divsyn") == "divsyn_jax.__main__:run"
    assert scripts == {
        command.alone: f"{command.module}:run"
        for command in COMMANDS.values()
        if not command.alone.startswith("python ")
    }
    for command in COMMANDS.values():
        if command.name in LIGHT:
            code = f"from {command.module} import run"
            assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
        else:
            assert importlib.util.find_spec(command.module)


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["generate", "--help"]])
def test_a_reader_who_leaves_breaks_nothing(arguments):
    """`command --help | head -1`."""
    line = [sys.executable, "-m", "divsyn_jax", *arguments]
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads: the first write fails
    done = subprocess.run(line, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_commands_are_spelled_as_the_user_spells_this_one():
    text = "train it with python -m divsyn_jax.train; then score_corpus a/score_corpus.jsonl"
    assert in_words_of("score_corpus", text) == text
    assert in_words_of("divsyn score", text) == (
        "train it with divsyn train; then divsyn score a/score_corpus.jsonl"
    )
    assert in_words_of("divsyn score", text, are_names_words=False) == (
        "train it with divsyn train; then score_corpus a/score_corpus.jsonl"
    )
