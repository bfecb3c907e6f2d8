"""pairs.csv: pairs of documents for people to judge, and their answers back.

Columns `pair,first,second,text_first,text_second,same`; a person writes 1 (one kind) or 0 (two) in
`same` and leaves it empty where they cannot say. `first` and `second` are positions in the sample;
a control pair has `control` as its second. Spreadsheets take a cell that begins with = + - @ for a
formula, so such a text stands behind an apostrophe; control characters become spaces. The texts are
for reading only: reading back uses the positions.
"""

import csv
import dataclasses
import io
import math
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.pairs.agreement import ControlPair

SHEET_COLUMNS = ("pair", "first", "second", "text_first", "text_second", "same")
CONTROL = "control"
LONGEST_CELL = 32_000  # characters; a spreadsheet's cell holds 32,767
_ANSWERS = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "": math.nan}
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The answers of one filled-in pairs.csv.

    Attributes:
      pairs: (first, second) of the pairs of the corpus.
      same_P: [P] 1, 0 or NaN.
      control_firsts, control_answers: the same of control pairs, in the order of the file.
    """

    pairs: tuple[tuple[int, int], ...]
    same_P: np.ndarray
    control_firsts: tuple[int, ...]
    control_answers: tuple[bool | None, ...]


def write_sheet(
    path: str | os.PathLike,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    controls: Sequence[ControlPair],
    seed: int,
) -> None:
    """Write the pairs in a random order, controls among them, `same` left empty.

    Args:
      path: of the CSV file (UTF-8 with a byte order mark, which Excel needs).
      texts: of the sample.
      pairs: (first, second) positions.
      controls: pairs of known answer; their order is kept.
      seed: of the order of the rows, and of the two documents of a row.
    """
    rng = np.random.default_rng([seed, len(pairs), len(controls)])
    rows: list[tuple[str, str, str, str]] = []
    for first, second in pairs:
        one, two = (first, second) if rng.random() < 0.5 else (second, first)
        rows.append((str(one), str(two), texts[one], texts[two]))
    places = rng.permutation(len(pairs) + len(controls))
    control_places = set(np.sort(places[: len(controls)]).tolist())
    ordered = iter([rows[index] for index in rng.permutation(len(rows))])
    known = iter(controls)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(SHEET_COLUMNS)
    for place in range(len(pairs) + len(controls)):
        if place in control_places:
            control = next(known)
            row = (str(control.first), CONTROL, control.text_first, control.text_second)
        else:
            row = next(ordered)
        writer.writerow([place + 1, *row[:2], *map(_cell, row[2:]), ""])
    files.write_text(path, "\ufeff" + buffer.getvalue())


def read_sheet(path: str | os.PathLike, documents: int) -> Sheet:
    """Read a filled-in pairs.csv.

    Comma or semicolon may part the cells, with or without a byte order mark, and columns may stand
    in any order.

    Args:
      path: of the CSV file.
      documents: in the sample that it was made from.

    Raises:
      UserError: naming file and line: it is no such table, a position is not of the sample, a pair
        stands twice, or `same` is neither 1, 0 nor empty; or no pair is answered.
    """
    seen: dict[tuple[int, int], str] = {}
    same: list[float] = []
    firsts: list[int] = []
    controls: list[bool | None] = []
    for where, row in _rows(path):
        answer = _ANSWERS.get((row["same"] or "").strip())
        if answer is None:
            raise UserError(
                f"{where}: same is {row['same'].strip()!r}; write 1 for one kind, 0 for two, or"
                " leave it empty"
            )
        first = _position(where, "first", row["first"], documents)
        if (row["second"] or "").strip() == CONTROL:
            firsts.append(first)
            controls.append(None if math.isnan(answer) else bool(answer))
            continue
        second = _position(where, "second", row["second"], documents)
        pair = min(first, second), max(first, second)
        if first == second or pair in seen:
            twice = "is one document" if first == second else f"stands at {seen[pair]} already"
            raise UserError(f"{where}: the pair {first}, {second} {twice}; remove the row")
        seen[pair] = where
        same.append(answer)
    if not seen or np.isnan(same).all():
        raise UserError(
            f"{path}: no pair is answered; write 1 (one kind) or 0 (two kinds) in the column same"
        )
    return Sheet(tuple(seen), np.array(same), tuple(firsts), tuple(controls))


def _rows(path: str | os.PathLike) -> list[tuple[str, dict[str, str]]]:
    try:
        text = pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; write one with --pairs_out") from None
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise UserError(f"{path}:{line}: not UTF-8; save the sheet as CSV UTF-8") from None
    if (nul := text.find("\0")) >= 0:
        line = 1 + text[:nul].count("\n")
        raise UserError(f"{path}:{line}: holds a NUL; save the sheet as CSV UTF-8")
    head = text.split("\n", 1)[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[str, dict[str, str]]] = []
    names: list[str] | None = None
    before = 0
    try:
        for cells in reader:
            where, before = f"{path}:{before + 1}", reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                missing = [name for name in SHEET_COLUMNS if name not in names]
                if missing:
                    raise UserError(
                        f"{where}: no column {missing[0]!r}; the columns are"
                        f" {','.join(SHEET_COLUMNS)}"
                    )
                continue
            if len(cells) > len(names) or len(cells) < len(names) - 1:
                raise UserError(
                    f"{where}: {len(cells)} cells where the head has {len(names)}; quote texts that"
                    " hold a comma or a line break"
                )
            # Excel leaves an empty last cell out.
            padded = [*cells, *[""] * (len(names) - len(cells))]
            found.append((where, dict(zip(names, padded, strict=True))))
    except csv.Error as error:
        raise UserError(
            f"{path}:{reader.line_num}: not a CSV table ({error}); write it anew with --pairs_out"
        ) from None
    return found


def _position(where: str, name: str, cell: str, documents: int) -> int:
    digits = (cell or "").strip().removesuffix(".0")
    if not re.fullmatch("[0-9]{1,18}", digits) or int(digits) >= documents:
        raise UserError(
            f"{where}: {name} is {cell!r}, no document of this sample of {documents}; was the file"
            " made from another corpus, seed or --max_documents?"
        )
    return int(digits)


def _cell(text: str) -> str:
    shown = _CONTROLS.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))
    if len(shown) > LONGEST_CELL:
        shown = shown[:LONGEST_CELL] + " [cut]"
    return (
        "'" + shown if shown.lstrip()[:1] in ("=", "+", "-", "@") or shown[:1] in "\t\r" else shown
    )
