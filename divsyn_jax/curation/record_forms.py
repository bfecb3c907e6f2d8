"""Records written as they were read: JSON lines in Zstandard, or Parquet."""

import contextlib
import datetime
import decimal
import json
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import zstandard

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.data.readers.corpus import Document
from divsyn_jax.data.readers.records import MISSING, field_at

_LEVEL = 3
_ROWS, _CHARACTERS = 5_000, 32 << 20  # of a row group, at most


def written_record(document: Document, settings: CurationSettings) -> dict[str, Any]:
    """The record of a document: as it was read, or its text and the fields that are to be kept."""
    if not document.fields:
        return {"text": document.text}
    if not settings.keep_fields:
        return dict(document.fields)
    field = settings.read.text_field
    own = field if field in document.fields and not settings.read.text_template else "text"
    record: dict[str, Any] = {own: document.text}
    for name in settings.keep_fields:
        value = field_at(document.fields, name)
        if value is not MISSING and name != own:
            record[name] = value
    return record


class JsonLines:
    """Writes records as JSON lines to a Zstandard file; a context.

    Attributes: nulled: numbers that JSON has no word for (NaN, infinity) and that became null.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("wb")
        self._stream = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._file)
        self.nulled = 0

    def write(self, record: Mapping[str, Any], where: str) -> None:
        """Add a record. Raises `UserError` for one that JSON cannot hold."""
        try:
            try:
                line = _line(record)
            except ValueError:  # NaN or infinity
                line = _line(self._finite(record))
        except (TypeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(
                f"{where}: its record cannot be written as JSON ({error}); name what to keep with"
                " --keep_fields, or give --format=parquet"
            ) from None
        self._stream.write(line)

    def _finite(self, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            self.nulled += 1
            return None
        if isinstance(value, Mapping):
            return {name: self._finite(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._finite(inner) for inner in value]
        return value

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()
        self._file.close()


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, default=_as_json)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        return f"{json.dumps(record, allow_nan=False, default=_as_json)}\n".encode()


def _as_json(value: Any) -> Any:
    """What stands in JSON for a value of a table or of a TensorFlow dataset."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if hasattr(value, "tolist"):  # a number or an array of NumPy
        return value.tolist()
    raise TypeError(f"it holds {type(value).__name__}")


class ParquetFile:
    """Writes records to a Parquet file of the columns that they have together; a context.

    Args: records: (record, place) of all that will be written, to learn their columns.

    Raises `UserError` where a column would have two types, and where pyarrow is not installed.
    """

    nulled = 0

    def __init__(self, path: pathlib.Path, records: Iterable[tuple[dict[str, Any], str]]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError(
                "--format=parquet needs pyarrow: pip install 'divsyn-jax[corpora]'"
            ) from None
        self._arrow = pyarrow
        schema = pyarrow.schema([])
        for batch, where in _batches(records):
            with self._named_errors(where):
                found = pyarrow.Table.from_pylist(batch).schema
                schema = pyarrow.unify_schemas([schema, found], promote_options="permissive")
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._characters = 0
        self._first = ""
        with self._named_errors(str(path)):
            self._writer = pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")

    def write(self, record: dict[str, Any], where: str) -> None:
        """Add a record."""
        self._first = self._first or where
        self._rows.append(record)
        self._characters += _characters(record)
        if len(self._rows) >= _ROWS or self._characters >= _CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            with self._named_errors(self._first):
                self._writer.write_table(
                    self._arrow.Table.from_pylist(self._rows, schema=self._schema)
                )
        self._rows, self._characters, self._first = [], 0, ""

    @contextlib.contextmanager
    def _named_errors(self, where: str) -> Iterator[None]:
        try:
            yield
        except (self._arrow.ArrowException, UnicodeEncodeError, OverflowError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{where} and the records after it have no one type a column, as Parquet needs"
                f" ({why}); give --format=jsonl.zst, or name what to keep with --keep_fields"
            ) from None

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(self, kind: Any, *error: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _batches(
    records: Iterable[tuple[dict[str, Any], str]],
) -> Iterator[tuple[Sequence[dict[str, Any]], str]]:
    """Records some at a time, with the place of the first."""
    rows: list[dict[str, Any]] = []
    first, characters = "", 0
    for record, where in records:
        first = first or where
        rows.append(record)
        characters += _characters(record)
        if len(rows) >= _ROWS or characters >= _CHARACTERS:
            yield rows, first
            rows, first, characters = [], "", 0
    if rows:
        yield rows, first


def _characters(record: Mapping[str, Any]) -> int:
    return sum(len(value) for value in record.values() if isinstance(value, str | bytes))
