"""Rows of CSV and TSV files; the first line names the columns."""

import csv
from collections.abc import Iterator
from typing import IO

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.lines import LONGEST_LINE, TooLong, bounded_lines
from divsyn_jax.data.readers.packed_streams import open_unpacked
from divsyn_jax.data.readers.records import Unreadable

_DELIMITERS = ",;\t|"


def delimited_records(
    path: str, is_tabbed: bool
) -> Iterator[tuple[str, dict[str, str] | Unreadable]]:
    """(`file:line`, record) of every row; the line is the row's last.

    A .csv whose header has no comma may be separated by semicolons, tabs or bars. Quoted fields may
    hold line breaks. Raises `UserError` for a field of over `LONGEST_LINE`, as an open quote makes.
    """
    csv.field_size_limit(LONGEST_LINE)
    with open_unpacked(path) as stream:
        lines = _text_lines(stream)
        header = next(lines, "")
        delimiter = "\t"
        if not is_tabbed:
            delimiter = max(_DELIMITERS, key=lambda sign: (header.count(sign), sign == ","))
            delimiter = "," if "," in header else delimiter
        rows = csv.reader(_with_first(header, lines), delimiter=delimiter)
        try:
            names = next(rows, [])
            for row in rows:
                where = f"{path}:{rows.line_num}"
                if not row:
                    continue
                if len(row) != len(names):
                    yield (
                        where,
                        Unreadable(
                            f"{len(row)} fields, and the header names {len(names)}; quote fields"
                            " that hold the separator"
                        ),
                    )
                    continue
                record = dict(zip(names, row, strict=True))
                yield where, record if _is_unicode(row) else Unreadable("not UTF-8; convert it")
        except csv.Error as error:
            raise UserError(
                f"{path}:{rows.line_num}: not CSV ({error}); look for a quote that is not closed"
            ) from None


def _text_lines(stream: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(bounded_lines(stream)):
        if isinstance(line, TooLong):
            raise csv.Error(f"a line longer than {LONGEST_LINE >> 20} MiB")
        encoding = "utf-8" if number else "utf-8-sig"
        # Bytes that are no UTF-8 become half surrogates, which are found in the row that has them.
        text = line.strip(b"\0").decode(encoding, "surrogateescape")
        yield text.removesuffix("\r") + "\n"


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _is_unicode(row: list[str]) -> bool:
    try:
        for field in row:
            field.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
