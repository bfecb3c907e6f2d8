from typing import NotRequired, TypedDict

import pytest

from divsyn_jax.base.typed_json import as_typed


class _Part(TypedDict):
    value: float | None
    reason: NotRequired[str]


class _Whole(TypedDict):
    name: str
    count: int
    parts: list[_Part]
    by_name: dict[str, _Part | list[int]]


GOOD = {
    "name": "a",
    "count": 3,
    "parts": [{"value": 1}, {"value": None, "reason": "none"}],
    "by_name": {"x": {"value": 0.5}, "y": [1, 2]},
}


def test_what_has_the_form_is_given_back_with_what_a_later_version_added():
    value = {**GOOD, "new": [1]}
    assert as_typed(_Whole, value) is value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"^the whole is \[\], not _Whole$"),
        ({"name": "a", "parts": [], "by_name": {}}, "^count is missing$"),
        ({**GOOD, "name": None}, "^name is None, not str$"),
        ({**GOOD, "count": True}, "^count is True, not int$"),
        ({**GOOD, "count": 1.5}, r"^count is 1\.5, not int$"),
        ({**GOOD, "count": 10**400}, r"^count is 10+\.\.\., not int$"),
        ({**GOOD, "by_name": {"y": [1], "x": {"value": 1e999}}}, r"^by_name\.x\.value is inf"),
        ({**GOOD, "parts": {}}, r"^parts is \{\}, not list"),
        ({**GOOD, "parts": [{"value": 1}, {}]}, r"^parts\[1\]\.value is missing$"),
        ({**GOOD, "parts": [{"value": True}]}, r"^parts\[0\]\.value is True, not float$"),
        ({**GOOD, "parts": [{"value": 1, "reason": 2}]}, r"^parts\[0\]\.reason is 2, not str$"),
        ({**GOOD, "by_name": {"y": ["1"]}}, r"^by_name\.y is \['1'\], not "),
        ({**GOOD, "name": ["x" * 60]}, r"^name is \['x+\.\.\., not str$"),
    ],
)
def test_what_differs_is_named_by_its_place(value, message):
    with pytest.raises(ValueError, match=message):
        as_typed(_Whole, value)


def test_the_fault_within_a_record_of_several_kinds_is_named():
    damaged = {**GOOD, "by_name": {"x": {"value": "0.5"}}}
    with pytest.raises(ValueError, match=r"by_name\.x\.value is '0\.5', not float"):
        as_typed(_Whole, damaged)
    with pytest.raises(ValueError, match=r"by_name\.x is 3, not _Part \| list\[int\]"):
        as_typed(_Whole, {**GOOD, "by_name": {"x": 3}})
