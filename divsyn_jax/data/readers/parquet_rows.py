"""Rows of a Parquet file, some at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

from divsyn_jax.base import remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.lines import LONGEST_LINE

_LARGEST_ROW_GROUP = 4 << 30  # bytes, unpacked; writers make them of some hundred megabytes


def parquet_records(path: str, column: str | None) -> Iterator[tuple[str, Mapping]]:
    """(`file:row`, record) of every row; raises `UserError` for a file that is not readable or
    lacks `column`.
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
        if column is not None and column not in table.schema_arrow.names:
            raise UserError(
                f"{path}: no column {column!r} (it has: {', '.join(table.schema_arrow.names)});"
                " name it with --text_field"
            )
        row = 0
        for batch in table.iter_batches(batch_size=_rows_at_a_time(table.metadata, path)):
            for record in batch.to_pylist():
                row += 1
                yield f"{path}:{row}", record
    except (pyarrow.ArrowException, UnicodeDecodeError, OverflowError, RecursionError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable Parquet file ({why})") from None


def _rows_at_a_time(metadata: Any, path: str) -> int:
    """Rows of a Parquet file to unpack together: few, since each may repeat a long value that the
    file holds once, and fewer where rows are long by the file's own account.

    Raises `UserError` for row groups that unpack to more than `_LARGEST_ROW_GROUP`."""
    rows = 64
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = (group.column(column) for column in range(group.num_columns))
        size = sum(column.total_uncompressed_size for column in columns)
        if size > _LARGEST_ROW_GROUP:
            raise UserError(
                f"{path}: a row group of {size:,} bytes unpacked; write it with smaller row groups"
            )
        rows = min(rows, max(1, LONGEST_LINE * max(1, group.num_rows) // max(1, size)))
    return rows
