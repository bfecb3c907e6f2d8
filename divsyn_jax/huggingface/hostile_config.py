"""Checks of a stranger's checkpoint before anything is computed from it: the kinds of numbers in
its config.json, and that the shape it claims is that of the tensors it holds."""

from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.commandline import UserError

_MOST = 1 << 31
# What float32 holds with all its digits, also when it is squared and multiplied.
_SMALLEST_NUMBER, _LARGEST_NUMBER = 1e-30, 1e30
_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
_COUNTS_OR_NONE = ("num_key_value_heads", "head_dim")
_NUMBERS = ("rms_norm_eps", "rope_theta")
_OBJECTS = ("rope_parameters", "rope_scaling")
_FLAGS = ("tie_word_embeddings", "attention_bias", "mlp_bias", "use_sliding_window")


def is_in_range(number: float) -> bool:
    """Whether a number is positive and one that a model can be computed with."""
    return _SMALLEST_NUMBER <= number <= _LARGEST_NUMBER


def check_kinds(theirs: Any, place: str) -> None:
    """Raise `UserError` naming the first key of a `config.json` whose value is of another kind than
    transformers writes: counts, positive numbers, objects, true or false. Missing keys pass."""

    def refuse(key: str, expected: str, value: Any) -> None:
        raise UserError(f"{place}: {key}={str(value)[:80]!r} cannot be imported; {expected}")

    if not isinstance(theirs, Mapping):
        raise UserError(f"{place}: a JSON object is expected, not {type(theirs).__name__}")
    for key in (*_COUNTS, *_COUNTS_OR_NONE):
        value = theirs.get(key, 1)
        if value is None and key in _COUNTS_OR_NONE:
            continue
        if type(value) is not int or not 0 < value < _MOST:
            refuse(key, "a whole number of at least 1 is expected", value)
    nested = {
        f"{name}.rope_theta": theirs[name].get("rope_theta")
        for name in _OBJECTS
        if isinstance(theirs.get(name), Mapping)
    }
    for key, value in (*((key, theirs.get(key)) for key in _NUMBERS), *nested.items()):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and is_in_range(value)):
            refuse(key, "a positive number is expected", value)
    if type(theirs.get("sliding_window")) not in (int, type(None)):
        refuse("sliding_window", "a whole number or null is expected", theirs["sliding_window"])
    for key in _OBJECTS:
        if not isinstance(theirs.get(key), Mapping | None):
            refuse(key, "an object is expected", theirs[key])
    for key in _FLAGS:
        if not isinstance(theirs.get(key), bool | None):
            refuse(key, "true or false is expected", theirs[key])


def check_sizes(
    layers: int,
    shapes: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    source: str,
) -> None:
    """Raise `UserError` unless the tensors there can be those of a model of so many layers, each of
    which has several, and those of `expected` have the shapes that config.json says.

    `expected` holds one tensor for each size, so that nothing larger than the files is made
    afterwards."""
    if layers > len(shapes):
        raise UserError(
            f"{source}: config.json says num_hidden_layers={layers:,}, its files hold only"
            f" {len(shapes):,} tensors"
        )
    for name, shape in expected.items():
        if name not in shapes:
            raise UserError(f"{source}: tensor {name!r} is missing")
        if shapes[name] != shape:
            raise UserError(
                f"{source}: tensor {name!r} is {shapes[name]}, not {shape} as config.json says"
            )
