"""Corpora that are in memory already:

lists, columns, tables, data sets and generators of records.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.readers.forms.table_rows import batch_records
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.data.readers.records import Unreadable


class GivenRecords(CorpusReader):
    """Iterates over the documents of texts or records that Python holds.

    Args:
      given: texts, or records (mappings) of which the options say what their text is: any iterable,
        a column or table of pandas, Polars or Arrow, a Dataset of Hugging Face.
      name: how messages and results call the corpus; a document is `name[index]`.

    Raises `UserError` for what holds no records, and when an iterator is to be read a second time.
    """

    _remedy = "correct them, or text_field"

    def __init__(self, given: Iterable[Any], name: str, options: ReadOptions) -> None:
        super().__init__(name, options, fields=None)
        self._rows = _rows(given, name)

    def _records(self) -> Iterator[tuple[str, Any]]:
        for index, record in enumerate(self._rows()):
            where = f"{self.spec}[{index}]"
            if isinstance(record, str | Unreadable):
                yield where, record
            elif record is None or _is_missing(record):
                yield where, ""
            elif isinstance(record, Mapping):
                yield (
                    where,
                    {name: None if _is_missing(value) else value for name, value in record.items()},
                )
            else:
                kind = type(record).__name__
                yield where, Unreadable(f"a text or a record is expected, not {kind}")


def _rows(given: Any, name: str) -> Callable[[], Iterable[Any]]:
    """A function that gives the rows from the first on."""
    if isinstance(given, Mapping):
        raise UserError(
            f"{name}: a mapping; give one of its values, a list of records, or compare() them all"
        )
    if hasattr(given, "iter_rows"):  # a table of Polars
        return lambda: given.iter_rows(named=True)
    if hasattr(given, "itertuples") and hasattr(given, "columns"):  # a table of pandas
        columns = [str(column) for column in given.columns]
        twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
        if twice:
            raise UserError(f"{name}: two columns are named {twice[0]!r}; rename one")
        return lambda: (
            dict(zip(columns, row, strict=True)) for row in given.itertuples(index=False, name=None)
        )
    if hasattr(given, "to_batches"):  # a table of Arrow
        return lambda: (row for batch in given.to_batches() for row in batch_records(batch))
    if hasattr(given, "to_pylist"):
        if hasattr(given, "schema"):  # a batch of records of Arrow
            return lambda: batch_records(given)
        return lambda: map(_value, given)  # a column of Arrow
    if isinstance(given, set | frozenset):
        raise UserError(
            f"{name}: a set has no order, so that its score would not be the same again; give a"
            " list, e.g. sorted(...)"
        )
    is_one = isinstance(given, bytes) or getattr(given, "ndim", 1) == 0
    if is_one or not isinstance(given, Iterable):
        raise UserError(f"{name}: texts or records are expected, not {type(given).__name__}")
    if isinstance(given, Iterator):
        left = [given]

        def once() -> Iterable[Any]:
            if not left:
                raise UserError(f"{name}: an iterator is read once; give a list to read it again")
            return left.pop()

        return once
    return lambda: given


def _value(scalar: Any) -> Any:
    """What a scalar of Arrow stands for; of one that cannot be decoded, why."""
    try:
        return scalar.as_py()
    except Exception as error:  # pyarrow, pytz and datetime raise many types for one value
        return Unreadable(f"cannot be decoded ({type(error).__name__})")


def _is_missing(value: Any) -> bool:
    """Whether a value is NaN, pandas' word for none: it alone differs from itself."""
    if isinstance(value, str | Mapping | Sequence) or hasattr(value, "__len__"):
        return False
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (ArithmeticError, TypeError, ValueError):  # a signalling NaN; what cannot be compared
        return False
