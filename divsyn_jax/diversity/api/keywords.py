"""The flags of score_corpus as Python's keyword arguments: names, types, help and errors."""

import collections.abc
import contextlib
import difflib
import inspect
import numbers
import os
import pathlib
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from divsyn_jax.base import setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.agents.kinds import AGENTS, agents_with
from divsyn_jax.diversity.pairs.pair_settings import PairSettings
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings

# Fields of ScoreSettings that hold the settings of another place; given whole, or by their names.
_HOLDERS: dict[str, Callable[..., Any]] = {
    "read": ReadOptions,
    "judge": JudgeSettings,
    "endpoint": EndpointSettings,
    "pairs": PairSettings,
}
_OF_PLACE = {
    place: setting_flags.keywords_of(holder)
    for place, holder in {"": ScoreSettings, **_HOLDERS}.items()
}
for _name in _HOLDERS:
    del _OF_PLACE[""][_name]
del _OF_PLACE["endpoint"]["seed"]  # one seed for all
del _OF_PLACE["judge"]["weak_models"]  # calibration's own
del _OF_PLACE["pairs"]["pairs_out"]  # the command writes a sheet and scores nothing
_PLACES = {name: place for place, known in _OF_PLACE.items() for name in known}
KEYWORDS = {name: _OF_PLACE[place][name] for name, place in _PLACES.items()}


def documented(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that takes `**settings` the signature and the help of every one of them."""
    own = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    names = {parameter.name for parameter in own}
    rest = [parameter for name, (_, parameter, _) in KEYWORDS.items() if name not in names]
    returns = inspect.signature(function).return_annotation
    function.__signature__ = inspect.Signature([*own, *rest], return_annotation=returns)  # type: ignore[attr-defined]
    lines = [
        f"  {name}: {in_python(text)}"
        for name, (_, _, text) in KEYWORDS.items()
        if name not in names
    ]
    doc = inspect.getdoc(function) or ""
    function.__doc__ = doc + "\n\nKeyword arguments:\n" + "\n".join(lines)
    return function


def settings_from(agent: str, given: Mapping[str, Any], function: str) -> ScoreSettings:
    """The settings that keyword arguments say.

    Raises:
      TypeError: a keyword that there is not; it names the nearest.
      UserError: a value that cannot be used.
    """
    of_place: dict[str, dict[str, Any]] = {place: {} for place in _OF_PLACE}
    # `pairs` is a number of pairs, too.
    whole = {
        name: value
        for name, value in given.items()
        if name in _HOLDERS and (name not in KEYWORDS or isinstance(value, PairSettings))
    }
    for name, value in given.items():
        if name in whole:
            continue
        if name not in KEYWORDS:
            raise TypeError(_unknown(name, function))
        setting, parameter, _ = KEYWORDS[name]
        of_place[_PLACES[name]][setting] = _checked(name, value, parameter.annotation)
    for place in whole:
        if of_place[place]:
            clash = next(name for name in given if _PLACES.get(name) == place)
            raise TypeError(f"{function}() got both {place} and {clash}: give one of them")
    settings = {**of_place[""], "agent": agent, **whole}
    if "read" not in whole:
        settings["read"] = ReadOptions(**of_place["read"])
    if "judge" not in whole:
        settings["judge"] = JudgeSettings(**of_place["judge"])
    if "pairs" not in whole:
        settings["pairs"] = PairSettings(**of_place["pairs"])
    endpoint = {name: value for name, value in of_place["endpoint"].items() if value is not None}
    kind = AGENTS.get(agent)
    asks = kind is not None and (kind.asks_endpoint or bool(settings["pairs"].pair_judge))
    if kind is not None and not asks:
        for name in given:
            if _PLACES.get(name) in ("endpoint", "judge"):
                raise UserError(
                    f"--{name} is for {agents_with('asks_endpoint')}, not --agent={agent}: add"
                    " that, or leave it out"
                )
    elif endpoint:
        if endpoint.get("base_url") == LOCAL:
            endpoint.setdefault("model", "")  # the packaged one
        for name in ("base_url", "model"):
            if name not in endpoint:
                raise UserError(f"--{name} is required beside the other settings of an endpoint")
        settings["endpoint"] = EndpointSettings(**endpoint, seed=of_place[""].get("seed", 0))
    return ScoreSettings(**settings)


@contextlib.contextmanager
def errors_in_python() -> Iterator[None]:
    """Say in Python what errors say in flags."""
    try:
        yield
    except UserError as error:
        raise UserError(in_python(str(error))) from None


_FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)(?:=('[^']*'|\[[^\]]*\]|[^\s;,)]*[^\s;,):.]))?")


def in_python(message: str) -> str:
    """A message with keyword arguments in the place of flags.

    Example: `--agent=llm: choose` -> `agent='llm': choose`; `--nostrict` -> `strict=False`."""

    def keyword(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if name.startswith("no") and name not in KEYWORDS and name[2:] in KEYWORDS:
            return f"{name[2:]}=False"
        if value is None:
            is_switch = name in KEYWORDS and KEYWORDS[name][1].annotation is bool
            return f"{name}=True" if is_switch else f"{name}=..."
        is_plain = re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|nan|inf|None|True|False|['\[(].*", value)
        return f"{name}={value}" if is_plain else f"{name}={value!r}"

    return _FLAG.sub(keyword, message)


def _unknown(name: str, function: str) -> str:
    near = difflib.get_close_matches(name, KEYWORDS, n=1, cutoff=0.5)
    # Shortened names (max_docs) are further off than misspelt ones.
    near = near or [known for known in KEYWORDS if known.startswith(name[:4])][:1]
    remedy = f"; did you mean {near[0]!r}?" if near else f"; help({function}) lists them"
    return f"{function}() got an unexpected keyword argument {name!r}{remedy}"


def _checked(name: str, value: Any, kind: Any) -> Any:
    """`value` as the type `kind` of a setting. Raises `UserError` when it is none of it."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not types.NoneType]
        if value is None and len(kinds) < len(get_args(kind)):
            return None
        kind = next((each for each in kinds if each is not str), kinds[0])
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(map(repr, get_args(kind)))
            raise UserError(f"{name}={value!r}: choose one of {choices}")
        return value
    if get_origin(kind) in (tuple, list, collections.abc.Sequence):
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, collections.abc.Iterable):
            raise UserError(f"{name}={value!r}: a list is expected")
        return tuple(items)
    if kind is bool:
        return _of(name, value, bool, "True or False")
    if kind is int:
        return int(_of(name, value, numbers.Integral, "a whole number"))
    if kind is float:
        return float(_of(name, value, numbers.Real, "a number"))
    if kind is str:
        return os.fspath(_of(name, value, str | os.PathLike, "text"))
    if kind is pathlib.Path or get_origin(kind) is os.PathLike or kind is os.PathLike:
        return pathlib.Path(_of(name, value, str | os.PathLike, "a path"))
    return value


def _of(name: str, value: Any, kind: Any, wanted: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name}={value!r}: {wanted} is expected")
    return value
