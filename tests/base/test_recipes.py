"""Where recipes are found: in the current folder, in the package's own, in a wheel."""

import json
import os
import pathlib
import subprocess
import sys
import venv
import zipfile

import pytest

from divsyn_jax.base import recipes
from divsyn_jax.base.errors import UserError
from tests.conftest import ROOT, fails_with_one_line, small_texts, write_jsonl

RECIPE = """
from configs import base
from divsyn_jax.base.errors import UserError

def get_config():
    raise UserError("mine: " + base.WHO)
"""


def test_a_recipe_is_found_here_else_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipes.find_recipe("configs/tiny.py:level=x") == f"{ROOT}/configs/tiny.py:level=x"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.py").write_text("")
    assert recipes.find_recipe("configs/tiny.py") == f"{tmp_path}/configs/tiny.py"


def test_a_recipe_that_is_nowhere_is_refused_with_what_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such config file.*did you mean configs/tiny.py"):
        recipes.find_recipe("configs/tinny.py")
    with pytest.raises(UserError, match="no such config file.*has configs/1_4b.py"):
        recipes.find_recipe("xyzzy")


def generate(folder: pathlib.Path, config: str) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "divsyn_jax", "generate", f"--config={config}", "--output=c"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)


def test_recipes_of_the_current_folder_import_one_another_and_those_of_the_package(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.py").write_text(RECIPE)
    (tmp_path / "configs" / "base.py").write_text("WHO = 'me'")
    fails_with_one_line(generate(tmp_path, "configs/mine.py"), "mine: me")
    (tmp_path / "configs" / "base.py").unlink()
    (tmp_path / "configs" / "mine.py").write_text(
        "from configs import synthesis\n"
        "def get_config():\n"
        "    config = synthesis.get_config('topic')\n"
        "    config.documents = 5\n"
        "    return config\n"
    )
    done = generate(tmp_path, "configs/mine.py")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "c" / "manifest.json").read_text())["documents"] == 5


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """A wheel of this tree; skipped where the build backend cannot be had."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    built = subprocess.run(pip, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"no wheel can be built here: {built.stderr.splitlines()[-1:]}")
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_a_wheel_carries_every_recipe(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    own = {f"divsyn_jax/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.py")}
    assert own <= names
    assert not [name for name in names if name.startswith("configs/")]  # too general a name


@pytest.mark.slow
def test_an_installed_wheel_generates_trains_and_studies_in_an_empty_folder(wheel, tmp_path):
    pytest.importorskip("jax")
    venv.create(tmp_path / "venv", with_pip=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "libraries.pth").write_text(f"{pathlib.Path(pytest.__file__).parents[1]}\n")
    binaries, home = tmp_path / "venv" / "bin", tmp_path / "empty"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
        line = [binaries / program, *arguments]
        done = subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    run("pip", "install", "--quiet", "--no-deps", str(wheel))
    where = run("python", "-c", "import divsyn_jax; print(divsyn_jax.__file__)").stdout
    assert where.startswith(str(site))
    synthesis = "--config=configs/synthesis.py:topic"
    run("divsyn", "generate", synthesis, "--config.documents=40", "--output=corpus")
    write_jsonl(home / "more.jsonl", small_texts(200))
    run("divsyn", "tokenizer", "--input=corpus,more.jsonl", "--vocab_size=400", "--output=tok")
    run("divsyn", "shards", "--input=corpus", "--tokenizer=tok", "--seq_len=32", "--output=shards")
    recipe = ["--config=configs/tiny.py", "--config.data.root=.", "--config.data.train=shards"]
    size = ["--config.seq_len=32", "--config.steps=2", "--config.optimizer.warmup_steps=1"]
    run("divsyn", "train", *recipe, *size, "--workdir=run")
    assert (home / "run" / "DONE").exists()
    # A study finds its own recipe and the run recipes that it names.
    prepare = subprocess.run(
        [binaries / "divsyn", "study", "--config=configs/studies/tiny.py", "--part=report"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "study tiny" in prepare.stdout, prepare.stderr
