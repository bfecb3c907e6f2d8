"""Reading JSON into the typed structure it was written from."""

import collections.abc
import re
import sys
import types
import typing
from typing import Any, Literal, NotRequired, Required, TypeVar, Union

_T = TypeVar("_T")


def as_typed(kind: type[_T], value: Any) -> _T:
    """The same value, known to have the form of a `TypedDict` class.

    Keys beyond those of the class are allowed: a later version may write more. A whole number
    counts as a float, and one beyond what a float holds is no number.

    Raises:
      ValueError: naming the place that differs, e.g. `corpus.documents is "many", not int`.
    """
    _check(kind, value, "")
    return typing.cast(_T, value)


def _check(kind: Any, value: Any, place: str) -> None:
    if kind is Any or kind is object:
        return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (NotRequired, Required):
        return _check(arguments[0], value, place)
    if typing.is_typeddict(kind):
        _require(isinstance(value, dict), kind, value, place)
        hints = typing.get_type_hints(kind)
        for key in sorted(kind.__required_keys__ - value.keys()):
            raise ValueError(f"{_inside(place, key)} is missing")
        for key in hints.keys() & value.keys():
            _check(hints[key], value[key], _inside(place, key))
    elif origin in (Union, types.UnionType):
        _check_one_of(arguments, kind, value, place)
    elif origin is Literal:
        _require(value in arguments, kind, value, place)
    elif origin in (list, collections.abc.Sequence):
        _require(isinstance(value, list), kind, value, place)
        for number, item in enumerate(value):
            _check(arguments[0], item, f"{place}[{number}]")
    elif origin in (dict, collections.abc.Mapping):
        _require(isinstance(value, dict), kind, value, place)
        for key, item in value.items():
            _check(arguments[1], item, _inside(place, key))
    elif kind in (float, int):
        is_number = isinstance(value, int if kind is int else int | float)
        _require(is_number and not isinstance(value, bool), kind, value, place)
        # What was written here is no number that a float cannot hold.
        _require(not abs(value) > sys.float_info.max, kind, value, place)
    else:
        _require(isinstance(value, kind), kind, value, place)


def _check_one_of(kinds: tuple[Any, ...], kind: Any, value: Any, place: str) -> None:
    others = [each for each in kinds if each is not types.NoneType]
    if value is None and len(others) < len(kinds):
        return
    if len(others) == 1:  # the place inside it is worth more than the name of the whole
        return _check(others[0], value, place)
    within = None
    for each in others:
        try:
            return _check(each, value, place)
        except ValueError as error:
            # A record that has every key of this kind is meant as one: its fault lies within.
            required = getattr(each, "__required_keys__", None)
            if required is not None and isinstance(value, dict) and required <= value.keys():
                within = within or error
    if within is not None:
        raise within
    _require(False, kind, value, place)


def _require(holds: bool, kind: Any, value: Any, place: str) -> None:
    if not holds:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
        name = kind.__name__ if isinstance(kind, type) else re.sub(r"\w+\.", "", str(kind))
        raise ValueError(f"{place or 'the whole'} is {shown}, not {name}")


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else str(key)
