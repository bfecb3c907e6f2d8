"""pairs.csv: pairs of documents for people to judge, and their answers back.

Columns `pair,first,second,text_first,text_second,same`; a person writes 1 (one kind) or 0 (two) in
`same` and leaves it empty where they cannot say. `first` and `second` are numbers of documents in
the corpus, from 0. Control pairs stand among the others and look like them: a copy carries the
number of its original, a passage that of a document far from it. What a row is, and of which corpus
and embedding model, is told by the code in `pair`, so that rows may be sorted, copied to another
file or left out, and none of another corpus is taken for one of this.

Spreadsheets take a cell that begins with = + - @ for a formula, so such a text stands behind an
apostrophe; control characters become spaces. The texts are for reading only: reading back uses the
numbers.
"""

import csv
import dataclasses
import hashlib
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
_PAIR, _SAME, _DIFFERENT = "pair", "same", "different"  # what a row may be
_LETTERS = "abcdfghjklmnpqrstvwxyz"  # no digit or e, so that no spreadsheet reads a number or date
_CODE_LETTERS = 10
LONGEST_CELL = 32_000  # characters; a spreadsheet's cell holds 32,767
_ANSWERS = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "": math.nan}
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The answers of one filled-in pairs.csv.

    Attributes:
      pairs: (first, second) positions in the sample of the pairs of the corpus, first < second.
      same_P: [P] 1, 0 or NaN.
      control_known, control_answers: the right answers of the control pairs, and those given.
    """

    pairs: tuple[tuple[int, int], ...]
    same_P: np.ndarray
    control_known: tuple[bool, ...]
    control_answers: tuple[bool | None, ...]


def write_sheet(
    path: str | os.PathLike,
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    controls: Sequence[tuple[ControlPair, int]],
    seed: int,
    *,
    numbers: Sequence[int],
    bound_to: str,
) -> None:
    """Write the pairs in a random order, controls among them, `same` left empty.

    Args:
      path: of the CSV file (UTF-8 with a byte order mark, which Excel needs).
      texts: of the sample.
      pairs: (first, second) positions.
      controls: pairs of known answer, each with the position that stands as its second.
      seed: of the order of the rows, and of the two documents of a row.
      numbers: of the sampled documents in the corpus.
      bound_to: what the rows belong to; `read_sheet` wants the same.
    """
    rng = np.random.default_rng([seed, len(pairs), len(controls)])
    rows: list[tuple[str, int, int, str, str]] = []
    for first, second in pairs:
        one, two = (first, second) if rng.random() < 0.5 else (second, first)
        rows.append((_PAIR, one, two, texts[one], texts[two]))
    for control, second in controls:
        sort = _SAME if control.same else _DIFFERENT
        rows.append((sort, control.first, second, control.text_first, control.text_second))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(SHEET_COLUMNS)
    for place, index in enumerate(rng.permutation(len(rows)).tolist(), start=1):
        sort, one, two, *shown = rows[index]
        ends = int(numbers[one]), int(numbers[two])
        code = _code(bound_to, place, ends, sort)
        writer.writerow([f"p{place}-{code}", *ends, *map(_cell, shown), ""])
    files.write_text(path, "\ufeff" + buffer.getvalue())


def read_sheet(path: str | os.PathLike, numbers: Sequence[int], bound_to: str) -> Sheet:
    """Read a filled-in pairs.csv.

    Comma or semicolon may part the cells, with or without a byte order mark, and columns may stand
    in any order.

    Args:
      path: of the CSV file.
      numbers: of the sampled documents in the corpus.
      bound_to: what the rows must belong to.

    Raises:
      UserError: naming file and line: it is no such table, a row is of another corpus, a pair
        stands twice, or `same` is neither 1, 0 nor empty; or no pair is answered.
    """
    position_of = {int(number): position for position, number in enumerate(numbers)}
    seen: dict[tuple[int, int], str] = {}
    same: list[float] = []
    known: list[bool] = []
    controls: list[bool | None] = []
    codes: dict[str, str] = {}
    for where, row in _rows(path):
        answer = _ANSWERS.get((row["same"] or "").strip())
        if answer is None:
            raise UserError(
                f"{where}: same is {row['same'].strip()!r}; write 1 for one kind, 0 for two, or"
                " leave it empty"
            )
        ends = _number(where, row, "first"), _number(where, row, "second")
        named = row["pair"].strip()
        sort = _sort(named, ends, bound_to)
        if sort is None or not position_of.keys() >= set(ends):
            raise UserError(
                f"{where}: the row {named!r} ({ends[0]}, {ends[1]}) is none of this corpus as it is"
                " read now; give the corpus, --embedding_model, --seed, --max_documents and lengths"
                " that --pairs_out had, or write the pairs anew"
            )
        if named in codes:
            raise UserError(
                f"{where}: the row {named!r} stands at {codes[named]} already; remove one"
            )
        codes[named] = where
        if sort != _PAIR:
            known.append(sort == _SAME)
            controls.append(None if math.isnan(answer) else bool(answer))
            continue
        first, second = sorted(position_of[end] for end in ends)
        pair = first, second
        if pair in seen:
            raise UserError(
                f"{where}: the pair {ends[0]}, {ends[1]} stands at {seen[pair]} already; remove the"
                " row"
            )
        seen[pair] = where
        same.append(answer)
    if not seen or np.isnan(same).all():
        raise UserError(
            f"{path}: no pair is answered; write 1 (one kind) or 0 (two kinds) in the column same"
        )
    return Sheet(tuple(seen), np.array(same), tuple(known), tuple(controls))


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


def _number(where: str, row: dict[str, str], name: str) -> int:
    digits = (row[name] or "").strip().removesuffix(".0")
    if not re.fullmatch("[0-9]{1,18}", digits):
        raise UserError(
            f"{where}: {name} is {row[name]!r}, no number of a document; write the pairs anew with"
            " --pairs_out"
        )
    return int(digits)


def _code(bound_to: str, place: int, ends: tuple[int, int], sort: str) -> str:
    """Letters that tell a row of this corpus from any other, and what it is."""
    text = f"{bound_to}\n{place}\n{ends[0]}\n{ends[1]}\n{sort}"
    value = int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")
    letters = []
    for _ in range(_CODE_LETTERS):
        value, letter = divmod(value, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def _sort(named: str, ends: tuple[int, int], bound_to: str) -> str | None:
    """What a row is; None where its code is not of these documents."""
    found = re.fullmatch(r"p([0-9]{1,9})-([a-z]+)", named)
    if not found:
        return None
    place, code = int(found[1]), found[2]
    for sort in (_PAIR, _SAME, _DIFFERENT):
        if code == _code(bound_to, place, ends, sort):
            return sort
    return None


def _cell(text: str) -> str:
    shown = _CONTROLS.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))
    if len(shown) > LONGEST_CELL:
        shown = shown[:LONGEST_CELL] + " [cut]"
    return (
        "'" + shown if shown.lstrip()[:1] in ("=", "+", "-", "@") or shown[:1] in "\t\r" else shown
    )
