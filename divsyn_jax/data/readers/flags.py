"""The flags every command that reads corpora shares."""

from absl import flags

from divsyn_jax.data.readers.corpus import ReadOptions

_TEXT_FIELD = flags.DEFINE_string(
    "text_field", "text", "JSON or Parquet field that holds a document's text."
)
_TEXT_UNIT = flags.DEFINE_enum(
    "text_unit", "file", ["file", "paragraph", "line"], "What a document is in a text file."
)
_STRICT = flags.DEFINE_bool(
    "strict", False, "Stop at the first malformed line instead of counting it."
)


def read_options() -> ReadOptions:
    """The reading options given on the command line."""
    return ReadOptions(
        text_field=_TEXT_FIELD.value, text_unit=_TEXT_UNIT.value, strict=_STRICT.value
    )
