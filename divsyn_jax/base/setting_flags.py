"""Command-line flags made from the place that holds the setting.

A setting is a field of a dataclass, or a parameter of a function. Its name, type and default are
read from there, its help from that place's docstring (`Attributes:` or `Args:`): none of them can
be written a second time.

    @dataclasses.dataclass(frozen=True)
    class ReadOptions:
        '''How to read a corpus.

        Attributes:
          text_field: field that holds a document's text.
          strict: stop at the first malformed line.
        '''

        text_field: str = "text"
        strict: bool = False

    _READ = setting_flags.define(ReadOptions, "corpora")  # --text_field, --[no]strict
    ...
    options = _READ.given()  # in main, once the command line is parsed

A field says more about its flag in its type: `Annotated[float, Flag("request_timeout")]`. Types are
str, int, float, bool, a path, `Literal` of strings, tuples and sequences of those (comma-separated
on the command line), each of them or None.
"""

import collections.abc
import dataclasses
import functools
import inspect
import os
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from absl import flags

from divsyn_jax.base.errors import UserError

# Help shows flags under these headings, in this order.
Group = Literal[
    "recipe",
    "study",
    "corpora",
    "run",
    "prompts",
    "curation",
    "sampling",
    "tasks",
    "agent",
    "endpoint",
    "draws",
    "baselines",
    "tokenizer",
    "windows",
    "slice",
    "processes",
    "backend",
    "output",
]
FLAG_GROUPS: tuple[str, ...] = get_args(Group)

THE_REST: Literal["the rest"] = "the rest"

flags.disclaim_key_flags()  # a flag belongs to the module that calls `define`
_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True)
class Flag:
    """What a setting's type says about its flag: `Annotated[int, Flag(at_least=1)]`.

    Attributes:
      name: of the flag, where it is not the setting's.
      example: a value that the message about a missing flag shows.
      at_least: the smallest value.
      at_most: the largest value.
      choices: the values that text may have, where its type does not say.
      repeated: a sequence is given as --flag=A --flag=B instead of --flag=A,B.
    """

    name: str | None = None
    example: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()
    repeated: bool = False


@dataclasses.dataclass(frozen=True)
class _Setting:
    """A setting as its holder declares it; `default` is `inspect.Parameter.empty` without one."""

    name: str
    kind: Any
    flag: Flag
    default: Any
    help: str
    is_sequence: bool

    @property
    def flag_name(self) -> str:
        return self.flag.name or self.name

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty


class SettingFlags(Generic[_Value]):
    """The flags of one holder; made by `define`."""

    def __init__(self, holder: Callable[..., _Value], settings: Sequence[_Setting]) -> None:
        self._holder = holder
        self._settings = {setting.name: setting for setting in settings}

    @property
    def names(self) -> dict[str, str]:
        """The name of the flag of every setting."""
        return {name: setting.flag_name for name, setting in self._settings.items()}

    def value(self, setting: str) -> Any:
        """What the command line says of one setting, of the setting's type."""
        known = self._settings[setting]
        value = flags.FLAGS[known.flag_name].value
        return tuple(value) if known.is_sequence and value is not None else value

    def values(self) -> dict[str, Any]:
        """What the command line says, by setting.

        Raises `UserError` for a setting without a default that was not given.
        """
        for setting in self._settings.values():
            if setting.is_required and not self.value(setting.name):
                name, example = setting.flag_name, setting.flag.example
                shown = f", e.g. --{name}={example}" if example else ""
                raise UserError(f"--{name} is required{shown}")
        return {name: self.value(name) for name in self._settings}

    def given(self, **others: Any) -> _Value:
        """The holder called with what the command line says, and with `others`, which go first.

        Raises `UserError` for a setting without a default that was not given, and what the holder
        raises for a bad value.
        """
        return self._holder(**{**self.values(), **others})

    def adopt(self) -> None:
        """Show these flags in the help of the module that calls this, too."""
        for name in self.names.values():
            flags.declare_key_flag(name)

    def set_default(self, setting: str, value: Any) -> None:
        """Another default for the command that this process runs."""
        flags.FLAGS.set_default(self._settings[setting].flag_name, value)


def define(
    holder: Callable[..., _Value],
    groups: Group | Mapping[Group, Sequence[str]],
    *,
    without: Sequence[str] | Literal["the rest"] = (),
) -> SettingFlags[_Value]:
    """Define a flag for every setting of a dataclass or function.

    Args:
      holder: the dataclass or function.
      groups: heading of the flags in the help; or the settings under each heading, which together
        with `without` are all that the holder has.
      without: settings that get no flag; `THE_REST` for all that are under no heading.

    Raises:
      TypeError: a setting that the holder does not have or that was forgotten here, one without a
        description in the holder's docstring, or of a type that a flag cannot have. It is the
        programmer's mistake.
    """
    settings = {setting.name: setting for setting in _settings_of(holder)}
    if isinstance(groups, str):
        groups = {groups: [name for name in settings if name not in without]}
    placed = [name for names in groups.values() for name in names]
    if without == THE_REST:
        without = [name for name in settings if name not in placed]
    for group in groups:
        if group not in FLAG_GROUPS:
            raise TypeError(f"no heading {group!r} in the help; it has {', '.join(FLAG_GROUPS)}")
    for name in (*placed, *without):
        if name not in settings:
            raise TypeError(f"{holder.__qualname__} has no setting {name!r}")
    for name in settings:
        if placed.count(name) + (name in without) != 1:
            raise TypeError(f"{holder.__qualname__}.{name}: name it once, with or without a flag")
    for group, names in groups.items():
        for name in names:
            _define(settings[name], group, holder)
    return SettingFlags(holder, [settings[name] for name in placed])


def keywords_of(holder: Callable[..., Any]) -> dict[str, tuple[str, inspect.Parameter, str]]:
    """The settings of a dataclass or function as Python's keyword arguments.

    Returns:
      by the name of its flag: (name of the setting, parameter with type and default, description).
    """
    hints = typing.get_type_hints(holder)
    return {
        setting.flag_name: (
            setting.name,
            inspect.Parameter(
                setting.flag_name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None if setting.is_required else setting.default,
                annotation=hints[setting.name],
            ),
            setting.help,
        )
        for setting in _settings_of(holder)
    }


def define_recipe(name: str, summary: str) -> flags.FlagHolder:
    """A flag for a recipe: a file of configs/, found in this folder or else in the package's own,
    whose keys are overridden by --NAME.key=value.
    """
    from ml_collections import config_flags

    holder = config_flags.DEFINE_config_file(name, None, summary, lock_config=True)
    _file_under("recipe", name, summary)
    return holder


def adopt(module: types.ModuleType) -> None:
    """Show the flags of a module in the help of the module that calls this, too."""
    flags.adopt_module_key_flags(module)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the help says of a flag.

    Attributes:
      group: its heading.
      place: flags of a heading are shown in the order of these numbers: that of their definition.
      help: what it does.
    """

    group: str
    place: int
    help: str


_ENTRIES: dict[str, Entry] = {}


def entry_of(flag: flags.Flag) -> Entry:
    """What the help says of a flag; one that was not defined here has no heading and comes last."""
    return _ENTRIES.get(flag.name) or Entry("", len(_ENTRIES), flag.help)


def choices_of(flag: flags.Flag) -> Sequence[str]:
    """The values that a flag may have, where it has only some."""
    return getattr(flag.parser, "enum_values", ())


def _file_under(group: Group, name: str, text: str) -> None:
    _ENTRIES[name] = Entry(group, len(_ENTRIES), text)


def _define(setting: _Setting, group: Group, holder: Callable[..., Any]) -> None:
    if not setting.help and sys.flags.optimize < 2:  # which leaves no docstrings
        where = f"{holder.__module__}.{holder.__qualname__}"
        raise TypeError(f"{where}: its docstring does not say what {setting.name!r} is")
    name, default = setting.flag_name, None if setting.is_required else setting.default
    bounds = {
        "lower_bound": setting.flag.at_least,
        "upper_bound": setting.flag.at_most,
    }
    choices = (
        get_args(setting.kind) if get_origin(setting.kind) is Literal else setting.flag.choices
    )
    if choices:
        flags.DEFINE_enum(name, default, choices, setting.help)
    elif setting.is_sequence and setting.kind is int:
        shown = None if default is None else ",".join(map(str, default))
        flags.DEFINE(_IntegersParser(setting.flag.at_least), name, shown, setting.help)
    elif setting.is_sequence:
        listed = None if default is None else list(default)
        make = flags.DEFINE_multi_string if setting.flag.repeated else flags.DEFINE_list
        make(name, listed, setting.help)
    elif setting.kind is bool:
        flags.DEFINE_bool(name, default, setting.help)
    elif setting.kind is int:
        flags.DEFINE_integer(name, default, setting.help, **bounds)
    elif setting.kind is float:
        flags.DEFINE_float(name, default, setting.help, **bounds)
        # NaN lies outside no bounds, and a limit of NaN is never reached.
        flags.register_validator(name, lambda value: value == value, "NaN is no number")
    elif setting.kind is str:
        flags.DEFINE_string(name, default, setting.help)
    elif setting.kind is pathlib.Path:
        path = None if default is None else str(default)
        flags.DEFINE(_PathParser(), name, path, setting.help)
    else:
        raise TypeError(f"{holder.__qualname__}.{setting.name}: no flag has type {setting.kind}")
    _file_under(group, name, setting.help)


class _PathParser(flags.ArgumentParser):
    """A path; '' is none."""

    def parse(self, argument: Any) -> Any:
        return pathlib.Path(argument) if argument else None

    def flag_type(self) -> str:
        return "path"


class _IntegersParser(flags.ArgumentParser):
    """Whole numbers separated by commas."""

    def __init__(self, at_least: float | None) -> None:
        super().__init__()
        self._at_least = at_least

    def parse(self, argument: Any) -> list[int]:
        bound = f"of {self._at_least} or more " if self._at_least is not None else ""
        kind = "positive integers" if self._at_least == 1 else f"integers {bound}".rstrip()
        try:
            numbers = [int(item) for item in str(argument).split(",")]
        except ValueError:
            numbers = []
        if not numbers or (self._at_least is not None and min(numbers) < self._at_least):
            raise ValueError(f"{kind} are expected, e.g. 1,2,4,8")
        return numbers

    def flag_type(self) -> str:
        return "integers"


def _settings_of(holder: Callable[..., Any]) -> list[_Setting]:
    """The settings of a holder; the type of one that gets no flag may be anything."""
    hints = typing.get_type_hints(holder, include_extras=True)
    described = _descriptions(inspect.getdoc(holder) or "")
    settings = []
    for name, parameter in inspect.signature(holder).parameters.items():
        kind, flag, is_sequence = _read_type(hints[name])
        default = parameter.default
        if repr(default) == "<factory>":  # how a dataclass's signature shows a default_factory
            (field,) = (f for f in dataclasses.fields(holder) if f.name == name)  # type: ignore[arg-type]
            default = field.default_factory()  # type: ignore[operator]
        settings.append(_Setting(name, kind, flag, default, described.get(name, ""), is_sequence))
    return settings


def _read_type(hint: Any) -> tuple[Any, Flag, bool]:
    """(type of a value or of an item, what it says of its flag, whether it is a sequence)."""
    flag = Flag()
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        flag = next((note for note in notes if isinstance(note, Flag)), flag)
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
        if {str} < {*kinds} <= {str, pathlib.Path, os.PathLike, os.PathLike[str]}:
            kinds = [pathlib.Path]
        hint = kinds[0] if len(kinds) == 1 else hint
    if get_origin(hint) is Annotated:  # of an optional one
        hint, inner, _ = _read_type(hint)
        flag = inner
    if get_origin(hint) in (tuple, list, collections.abc.Sequence):
        return get_args(hint)[0], flag, True
    return hint, flag, False


@functools.cache
def _descriptions(doc: str) -> dict[str, str]:
    """What a docstring says of each name under `Attributes:` or `Args:`, as a sentence."""
    found: dict[str, str] = {}
    lines = iter(doc.splitlines())
    for line in lines:
        if line.strip() in ("Attributes:", "Args:"):
            break
    name, indent = "", 0
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if not line.strip() or depth == 0:
            break
        indent = indent or depth
        if depth == indent:
            name, _, text = line.strip().partition(": ")
        else:
            text = f"{found[name]} {line.strip()}"
        found[name] = text
    return {name: _sentence(text) for name, text in found.items()}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
