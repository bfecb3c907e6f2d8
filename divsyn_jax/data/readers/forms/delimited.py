"""Rows of CSV and TSV files; the first line names the columns."""

import csv
from collections.abc import Iterator
from typing import IO

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.lines import LONGEST_LINE, TooLong, bounded_lines
from divsyn_jax.data.readers.packed_streams import open_text
from divsyn_jax.data.readers.records import Unreadable, is_unicode

_DELIMITERS = ",;\t|"
# What the csv module says of a quote that is open at the end, and of a field too long to hold.
_OPEN, _OVERLONG = "unexpected end of data", "field larger than"


def delimited_records(
    path: str, is_tabbed: bool
) -> Iterator[tuple[str, dict[str, str] | Unreadable]]:
    """(`file:line`, record) of every row; the line is the row's last. Of a row that is none, why,
    once for each of its lines: a lost quote takes rows with it, which are to be counted.

    A .csv whose header has no comma may be separated by semicolons, tabs or bars. Quoted fields may
    hold line breaks. Raises `UserError` for a field of over `LONGEST_LINE`, for a quote that is not
    closed, and for a header that is none or names a column twice.
    """
    csv.field_size_limit(LONGEST_LINE)
    with open_text(path) as stream:
        lines = _text_lines(stream, path)
        header = next(lines, "")
        delimiter = "\t"
        if not is_tabbed:
            delimiter = max(_DELIMITERS, key=lambda sign: (header.count(sign), sign == ","))
            delimiter = "," if "," in header else delimiter
        # Strict: what stands behind a closing quote is no part of the field, and where it were
        # taken for one, every row up to there would silently become one.
        rows = csv.reader(_with_first(header, lines), delimiter=delimiter, strict=True)
        try:
            names = next(rows, [])
        except csv.Error as error:
            raise UserError(
                f"{path}:{rows.line_num}: not the header of a CSV file ({_why(error)})"
            ) from None
        twice = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
        if twice:
            raise UserError(f"{path}:1: names the column {twice[0]!r} twice; rename one")
        while True:
            first = rows.line_num + 1
            try:
                row = next(rows, None)
                if row is None:
                    return
                if not row:
                    continue
                problem = _problem(row, names)
            except csv.Error as error:
                if _OPEN in str(error):
                    raise UserError(
                        f"{path}:{first}: a quote in this row is not closed up to the end of the"
                        " file; close it, or double it where it is a mark of the text"
                    ) from None
                if _OVERLONG in str(error):
                    raise UserError(
                        f"{path}:{rows.line_num}: not CSV ({error}); look for a quote that is not"
                        " closed"
                    ) from None
                row, problem = [], _why(error)
            if problem is None:
                yield f"{path}:{rows.line_num}", dict(zip(names, row, strict=True))
                continue
            for line in range(first, rows.line_num + 1):
                yield f"{path}:{line}", Unreadable(problem)


def _problem(row: list[str], names: list[str]) -> str | None:
    """Why a row is no record; None for one that is."""
    if len(row) != len(names):
        return (
            f"{len(row)} fields, and the header names {len(names)}; quote fields that hold the"
            " separator"
        )
    return None if all(map(is_unicode, row)) else "not UTF-8; convert it"


def _why(error: csv.Error) -> str:
    """What is wrong, in words of files; those of the module are for who programs with it."""
    if "expected after" in str(error):
        return "a quote inside a quoted field; double it, or quote the whole field"
    if "new-line character" in str(error):
        return "a carriage return that ends no line; end lines with line feeds"
    return str(error)


def _text_lines(stream: IO[bytes], path: str) -> Iterator[str]:
    for number, line in enumerate(bounded_lines(stream)):
        if isinstance(line, TooLong):
            raise UserError(f"{path}:{number + 1}: a line longer than {LONGEST_LINE >> 20} MiB")
        encoding = "utf-8" if number else "utf-8-sig"
        # Bytes that are no UTF-8 become half surrogates, which are found in the row that has them.
        text = line.strip(b"\0").decode(encoding, "surrogateescape")
        yield text.removesuffix("\r") + "\n"


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest
