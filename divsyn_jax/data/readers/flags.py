"""The flags every command that reads corpora shares."""

from divsyn_jax.base import setting_flags
from divsyn_jax.data.readers.options import ReadOptions

READING = setting_flags.define(ReadOptions, "corpora")


def read_options() -> ReadOptions:
    """The reading options given on the command line."""
    return READING.given()
