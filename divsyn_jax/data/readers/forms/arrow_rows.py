"""Rows of Arrow IPC files and streams: .arrow, .feather, and the files of `save_to_disk`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from divsyn_jax.base import remote
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.forms.table_rows import batch_records
from divsyn_jax.data.readers.records import Unreadable, columns_of

_ROWS = 64  # unpacked together: each may repeat a long value that the file holds once


def arrow_records(
    path: str, choose: Callable[[Sequence[str]], Sequence[str] | None]
) -> Iterator[tuple[str, Mapping[str, Any] | Unreadable]]:
    """(`file:row`, record) of every row.

    Args: choose: given the names of the columns, the fields to read; None for all.

    Raises `UserError` for a file that is not readable.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise UserError(
            f"{path}: reading Arrow needs pyarrow: pip install 'divsyn-jax[corpora]'"
        ) from None
    try:
        row = 0
        for batch in _batches(path, choose):
            for start in range(0, batch.num_rows, _ROWS):
                for record in batch_records(batch.slice(start, _ROWS)):
                    row += 1
                    yield f"{path}:{row}", record
    except (pyarrow.ArrowException, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: not a readable Arrow file ({_first_line(error)})") from None


def _batches(path: str, choose: Callable[[Sequence[str]], Sequence[str] | None]) -> Iterator[Any]:
    """Record batches with the columns chosen; a mapped file takes the memory of what is read."""
    import pyarrow

    is_remote = remote.is_remote(path)

    def source() -> Any:
        return remote.open_file(path) if is_remote else pyarrow.memory_map(path)

    with source() as file:
        magic = bytes(file.read(6))
    if magic[:4] == b"FEA1":
        raise UserError(
            f"{path}: of Feather's version 1, which nobody writes any more; write it as version 2"
            " (pyarrow.feather.write_feather)"
        )
    is_file = magic == b"ARROW1"
    with source() as file:
        opened = (pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream)(file)
        names = opened.schema.names
        fields = choose(names)
        columns = names if fields is None else columns_of(fields, names)
        for number in range(opened.num_record_batches) if is_file else iter(int, 1):
            try:
                batch = opened.get_batch(number) if is_file else opened.read_next_batch()
            except StopIteration:
                return
            batch = batch.select([names.index(name) for name in columns])
            _check(batch)
            yield batch


def _check(batch: Any) -> None:
    """Raise `ArrowInvalid` for a batch whose offsets point outside its values: reading it could
    read, or end, anything. Strings that are no UTF-8 are found row by row."""
    import pyarrow

    try:
        batch.validate(full=True)
    except pyarrow.ArrowInvalid as error:
        if "UTF8" not in str(error) and "UTF-8" not in str(error):
            raise
        for column in batch.columns:
            if pyarrow.types.is_string(column.type):
                column.cast(pyarrow.binary()).validate(full=True)
            elif pyarrow.types.is_large_string(column.type):
                column.cast(pyarrow.large_binary()).validate(full=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
