"""Flags made from the place that holds the setting: nothing is written twice, nothing forgotten."""

import ast
import dataclasses
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
from absl import flags

from divsyn_jax.base import setting_flags
from divsyn_jax.base.commands import COMMANDS
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from tests.conftest import ROOT


@dataclasses.dataclass(frozen=True)
class Boiling:
    """How to boil an egg.

    Attributes:
      egg: the egg, in any form that
        hens lay.
      minutes: how long.
      eggcups: where it goes, comma-separated.
      salted: with salt.
      hen: who laid it; by default nobody knows.
      size: of the egg.
      sizes: to try.
      pot_s: seconds that the pot may take.
      cook: not a flag.
    """

    egg: Annotated[str, Flag("test_egg", example="brown")]
    minutes: Annotated[float, Flag("test_minutes", at_least=1)] = 4.5
    eggcups: Annotated[tuple[str, ...], Flag("test_eggcups")] = ("left", "right")
    salted: Annotated[bool, Flag("test_salted")] = True
    hen: Annotated[pathlib.Path | None, Flag("test_hen")] = None
    size: Annotated[Literal["S", "M"], Flag("test_size")] = "M"
    sizes: Annotated[tuple[int, ...], Flag("test_sizes", at_least=1)] = (1, 2)
    pot_s: Annotated[int | None, Flag("test_pot", at_least=0, at_most=9)] = None
    cook: object = dataclasses.field(default_factory=object)


@pytest.fixture(autouse=True)
def no_flags_left():
    """Flags are global to a process: those of a test go with it."""
    before, entries = set(flags.FLAGS), dict(setting_flags._ENTRIES)
    yield
    flags.FLAGS.unparse_flags()
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    setting_flags._ENTRIES.clear()
    setting_flags._ENTRIES.update(entries)


def parsed(*arguments: str, holder=Boiling, without=("cook",)):
    made = setting_flags.define(holder, "draws", without=without)
    flags.FLAGS(["command", *arguments])
    return made


def test_what_is_not_given_is_the_default_of_the_holder():
    cook = object()
    assert parsed("--test_egg=brown").given(cook=cook) == Boiling("brown", cook=cook)


def test_what_is_given_has_the_type_of_the_setting():
    found = parsed(
        *("--test_egg=white", "--test_minutes=6", "--test_eggcups=a,b,c", "--notest_salted"),
        *("--test_hen=coop/berta", "--test_size=S", "--test_sizes=3,4", "--test_pot=7"),
    ).given(cook=None)
    assert found == Boiling(
        egg="white",
        minutes=6.0,
        eggcups=("a", "b", "c"),
        salted=False,
        hen=pathlib.Path("coop/berta"),
        size="S",
        sizes=(3, 4),
        pot_s=7,
        cook=None,
    )


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--test_minutes=0", "--test_minutes=0"),
        ("--test_minutes=nan", "--test_minutes=nan.*NaN is no number"),
        ("--test_pot=10", "--test_pot=10"),
        ("--test_size=L", "--test_size=L"),
        ("--test_sizes=1,x", "--test_sizes=1,x: positive integers are expected"),
        ("--test_sizes=0", "positive integers are expected"),
    ],
)
def test_values_out_of_range_are_refused(argument, says):
    with pytest.raises(flags.IllegalFlagValueError, match=says):
        parsed("--test_egg=brown", argument)


def test_a_setting_without_a_default_must_be_given():
    with pytest.raises(UserError, match="--test_egg is required, e.g. --test_egg=brown"):
        parsed().given(cook=None)


def test_help_and_default_are_those_of_the_holder():
    parsed()
    entry = setting_flags.entry_of(flags.FLAGS["test_egg"])
    assert (entry.group, entry.help) == ("draws", "The egg, in any form that hens lay.")
    assert flags.FLAGS["test_minutes"].default == 4.5  # a number, not text


def test_a_function_is_a_holder_too():
    def fry(eggs: Annotated[Sequence[str], Flag("test_eggs")], fat: str = "butter") -> str:
        """Fry.

        Args:
          eggs: which.
          fat: in what.
        """
        return f"{len(eggs)} in {fat}"

    made = setting_flags.define(fry, {"draws": ["eggs"]}, without=["fat"])
    flags.FLAGS(["command", "--test_eggs=a,b"])
    assert made.given() == "2 in butter"
    assert made.given(fat="oil") == "2 in oil"


@dataclasses.dataclass(frozen=True)
class Undescribed:
    """What is not described.

    Attributes:
      test_known: described.
    """

    test_known: int = 1
    test_unknown: int = 1


@dataclasses.dataclass(frozen=True)
class Untyped:
    """A type that no flag has.

    Attributes:
      test_odd: described.
    """

    test_odd: dict[str, int] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("holder", "groups", "without", "says"),
    [
        (Boiling, "draws", ["cook", "spoon"], "Boiling has no setting 'spoon'"),
        (Boiling, {"draws": ["egg", "spoon"]}, setting_flags.THE_REST, "no setting 'spoon'"),
        (Boiling, {"draws": ["egg", "minutes"]}, ["cook"], "eggcups: name it once"),
        (Boiling, {"draws": ["egg"], "agent": ["egg"]}, setting_flags.THE_REST, "egg: name it"),
        (Boiling, {"kitchen": ["egg"]}, setting_flags.THE_REST, "no heading 'kitchen'"),
        (Undescribed, "draws", [], "does not say what 'test_unknown' is"),
        (Untyped, "draws", [], "no flag has type"),
    ],
)
def test_what_does_not_fit_the_holder_fails_at_import(holder, groups, without, says):
    with pytest.raises(TypeError, match=says):
        setting_flags.define(holder, groups, without=without)


def _defines_flags(source: str) -> bool:
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return any(name.startswith("DEFINE") for name in names)


def test_no_flag_is_written_by_hand():
    """A flag that is not derived could have another default than its setting."""
    assert _defines_flags('flags.DEFINE_integer("draws", 20_000, "Draws.")')
    by_hand = [
        str(path.relative_to(ROOT))
        for folder in ("divsyn_jax", "launch")
        for path in (ROOT / folder).rglob("*.py")
        if _defines_flags(path.read_text())
    ]
    assert by_hand == ["divsyn_jax/base/setting_flags.py"]


def _readers_of_flags(source: str) -> set[str]:
    """Functions that read a flag: FLAGS.given(), FLAGS.values() or FLAGS.value(...)."""
    found = set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                is_reading = isinstance(node, ast.Attribute) and node.attr in (
                    *("given", "values", "value", "read_options", "agent_settings"),
                )
                if is_reading and isinstance(node.value, ast.Name):
                    holder = node.value.id
                    if holder.isupper() or holder.endswith("_flags"):
                        found.add(function.name)
    return found


def test_main_alone_reads_flags():
    """What reads the command line in the middle of the work cannot be called from Python."""
    assert _readers_of_flags("def train(): steps = _STEPS.value") == {"train"}
    modules = [command.module.replace(".", "/") + ".py" for command in COMMANDS.values()]
    for path in [*modules, "launch/sweep.py", "launch/slurm.py", "launch/xpk.py"]:
        assert _readers_of_flags((ROOT / path).read_text()) <= {"main"}, path


def test_the_defaults_of_a_score_are_the_dataclasss():
    # In a process of its own: two commands that both have --text_field cannot be in one.
    code = """
import inspect
from absl import flags
from divsyn_jax.diversity import score_corpus
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint.settings import EndpointSettings

compared = 0
for holder in (ScoreSettings, EndpointSettings):
    renamed = {"timeout_s": "request_timeout", "deadline_s": "request_deadline", "pairs": ""}
    for name, parameter in inspect.signature(holder).parameters.items():
        flag = renamed.get(name, name)
        if flag in flags.FLAGS and parameter.default is not inspect.Parameter.empty:
            default = flags.FLAGS[flag].default
            found = tuple(default) if isinstance(default, list) else default
            assert found == parameter.default, name
            compared += 1
assert compared > 20
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
