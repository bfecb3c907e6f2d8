"""Rows of an Arrow table in memory, one record after the other."""

from collections.abc import Iterator, Mapping
from typing import Any

from divsyn_jax.data.readers.records import Unreadable


def batch_records(batch: Any) -> Iterator[Mapping[str, Any] | Unreadable]:
    """The rows of a pyarrow RecordBatch; of one that cannot be decoded, why.

    Columns of far dates, unknown time zones or strings that are no UTF-8 fail row by row, so that
    one row does not take its neighbours with it.
    """
    try:
        yield from batch.to_pylist()
        return
    except Exception:  # pyarrow, pytz and datetime raise many types for one value
        pass
    for row in range(batch.num_rows):
        try:
            yield batch.slice(row, 1).to_pylist()[0]
        except Exception as error:
            why = (str(error).splitlines() or [""])[0]
            yield Unreadable(f"cannot be decoded ({type(error).__name__}: {why})")
