"""Rows of a Parquet file, some at a time, and of their columns only those that are wanted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from divsyn_jax.base import remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.forms.table_rows import batch_records
from divsyn_jax.data.readers.lines import LONGEST_LINE
from divsyn_jax.data.readers.records import Unreadable

_LARGEST_ROW_GROUP = 4 << 30  # bytes, unpacked; writers make them of some hundred megabytes


def parquet_records(
    path: str, choose: Callable[[Sequence[str]], Sequence[str] | None]
) -> Iterator[tuple[str, Mapping[str, Any] | Unreadable]]:
    """(`file:row`, record) of every row.

    Args: choose: given the names of the columns, the fields to read (names joined by dots for those
      inside a column); None for all.

    Raises `UserError` for a file that is not readable.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{path}: reading Parquet needs pyarrow: pip install 'divsyn-jax[corpora]'"
        ) from None
    try:
        table = pyarrow.parquet.ParquetFile(
            remote.open_file(path) if remote.is_remote(path) else path
        )
        fields = choose(table.schema_arrow.names)
        leaves = [table.schema.column(place).path for place in range(len(table.schema))]
        columns = None if fields is None else [_column(name, leaves) for name in fields]
        row = 0
        rows = _rows_at_a_time(table.metadata, path, columns)
        for batch in table.iter_batches(batch_size=rows, columns=columns):
            for record in batch_records(batch):
                row += 1
                yield f"{path}:{row}", record
    except (pyarrow.ArrowException, UnicodeDecodeError, OverflowError, RecursionError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable Parquet file ({why})") from None


def _column(field: str, leaves: Sequence[str]) -> str:
    """What to ask Parquet for: the path of a field up to the first item of a list, which has no
    column of its own; the whole column where the field is not in it, which its reader then names.
    """
    names = field.split(".")
    numbers = [place for place, name in enumerate(names) if name.isdecimal() and place]
    path = ".".join(names[: numbers[0]] if numbers else names)
    return path if any(_lies_in(leaf, [path]) for leaf in leaves) else names[0]


def _rows_at_a_time(metadata: Any, path: str, columns: Sequence[str] | None) -> int:
    """Rows of a Parquet file to unpack together: few, since each may repeat a long value that the
    file holds once, and fewer where rows are long by the file's own account.

    Raises `UserError` for row groups that unpack to more than `_LARGEST_ROW_GROUP`."""
    rows = 64
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        parts = (group.column(column) for column in range(group.num_columns))
        size = sum(
            part.total_uncompressed_size
            for part in parts
            if columns is None or _lies_in(part.path_in_schema, columns)
        )
        if size > _LARGEST_ROW_GROUP:
            raise UserError(
                f"{path}: a row group of {size:,} bytes unpacked; write it with smaller row groups"
            )
        rows = min(rows, max(1, LONGEST_LINE * max(1, group.num_rows) // max(1, size)))
    return rows


def _lies_in(path: str, columns: Sequence[str]) -> bool:
    return any(path == column or path.startswith(f"{column}.") for column in columns)
