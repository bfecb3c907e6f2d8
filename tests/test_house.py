"""The plan of the house (docs/architecture.md) as checks: rooms, floors, sizes and names."""

import ast
import collections
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "divsyn_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Every command has a `main`, and a `run` that is its console entry; a protocol's methods are no
# module names.
_SHARED_NAMES = {"main", "run"}


def test_the_top_of_the_package_holds_the_front_doors_only():
    assert len(list(PACKAGE.glob("*.py"))) <= 7


def test_no_folder_holds_more_than_sixteen_modules():
    sizes = collections.Counter(path.parent.relative_to(ROOT) for path in MODULES)
    assert {folder: size for folder, size in sizes.items() if size > 16} == {}


def test_no_file_has_more_than_four_hundred_lines():
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > 400} == {}


def test_a_public_name_stands_in_one_module():
    places = collections.defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            for name in _defined(node):
                if not name.startswith("_") and name not in _SHARED_NAMES:
                    places[name].add(str(path.relative_to(PACKAGE)))
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        (
            "base/files.py",
            "import divsyn_jax.study.recipe",
            "A folder imports only folders below it",
        ),
        ("statistics/power.py", "import jax", "load neither JAX nor torch"),
        (
            "training/step.py",
            "import divsyn_jax.diversity.sampling",
            "The trainer never imports the metric",
        ),
        ("new_room/thing.py", "", "A folder imports only folders below it"),
    ],
)
def test_an_import_that_climbs_breaks_a_contract(tmp_path, module, line, contract):
    _copy_of_the_package(tmp_path)
    path = tmp_path / "divsyn_jax" / module
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    done = _lint_imports(tmp_path)
    assert done.returncode == 1
    assert any(contract in row and "BROKEN" in row for row in done.stdout.splitlines()) or (
        "new_room" in done.stdout
    )


def test_the_package_keeps_its_contracts(tmp_path):
    _copy_of_the_package(tmp_path)
    done = _lint_imports(tmp_path)
    assert done.returncode == 0, done.stdout


def _copy_of_the_package(folder: pathlib.Path) -> None:
    only_python = shutil.ignore_patterns("__pycache__", "*.toml", "*.css")
    shutil.copytree(PACKAGE, folder / "divsyn_jax", ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", folder)


def _lint_imports(folder: pathlib.Path) -> subprocess.CompletedProcess:
    line = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as main; main()",
    ]
    return subprocess.run(
        [*line, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
