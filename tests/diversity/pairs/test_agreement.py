"""Control pairs, agreement of annotators, and the sheet that people fill in."""

import csv
import io
import math
import re

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.pairs import agreement, sheet

TEXTS = [
    f"Document {number} about subject {number % 3}, and nothing else at all."
    for number in range(30)
]


def test_a_judge_who_knows_is_believed_and_one_who_guesses_is_not():
    controls = agreement.control_pairs(TEXTS, 0)
    known = [control.same for control in controls]
    assert sum(known) == len(known) / 2
    assert agreement.check_judge(controls, known).believed
    rng = np.random.default_rng(0)
    guesses = rng.random(len(controls)) < 0.57
    guessing = agreement.check_judge(controls, [bool(guess) for guess in guesses])
    assert not guessing.believed
    assert "90% on average" in guessing.rule
    always = agreement.check_judge(controls, [True] * len(controls))
    assert not always.believed
    assert always.area == 0.5
    silent = agreement.check_judge(controls, [None] * len(controls))
    assert not silent.believed
    assert silent.area is None


def test_controls_differ_as_they_say():
    for control in agreement.control_pairs(TEXTS, 1):
        words = set(control.text_first.split())
        assert control.same == (set(control.text_second.split()) <= words)
    with pytest.raises(ValueError, match="no text holds a word"):
        agreement.control_pairs(["  "], 0)


def test_alpha_of_krippendorffs_own_example():
    # Krippendorff 2011, section B: two observers, ten binary units, alpha 0.095.
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert agreement.krippendorff_alpha(np.array([first, second])) == pytest.approx(0.095, abs=5e-4)
    assert agreement.krippendorff_alpha(np.array([first, first])) == 1
    assert agreement.krippendorff_alpha(np.array([[1, 1], [1, 1]])) is None
    missing = np.array([[*map(float, first), 1.0], [*map(float, second), math.nan]])
    assert agreement.krippendorff_alpha(missing) == pytest.approx(0.095, abs=5e-4)


HOSTILE = [
    "=HYPERLINK(1)",
    "+1",
    "-1",
    "@a",
    " =1",
    "\t=1",
    'quote " and, comma',
    "two\nlines\r\nand three",
    "NUL \0 here",
    "lone \ud800 surrogate",
    "x" * 100_000,
    "",
]


def filled(path, answer, dialect="excel", encoding="utf-8-sig"):
    """The sheet as a person's spreadsheet saves it."""
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    for row in rows:
        row["same"] = answer(row)
    buffer = io.StringIO(newline="")
    delimiter = ";" if dialect == "semicolon" else ","
    writer = csv.DictWriter(buffer, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))
    return rows


NUMBERS = [7 * place for place in range(len(HOSTILE))]  # of the sampled documents in the corpus


def written(path, pairs, controls=(), bound_to="corpus"):
    """A sheet about the hostile texts; every control stands with document 1 as its second."""
    known = [(control, control.first if control.same else 1) for control in controls]
    sheet.write_sheet(path, HOSTILE, pairs, known, 0, numbers=NUMBERS, bound_to=bound_to)


@pytest.mark.parametrize("dialect", ["excel", "semicolon"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_sheet_comes_back(tmp_path, dialect, encoding):
    path = tmp_path / "pairs.csv"
    pairs = [(one, two) for two in range(len(HOSTILE)) for one in range(two)]
    controls = agreement.control_pairs(HOSTILE, 0, 6)
    written(path, pairs, controls)
    rows = filled(
        path,
        lambda row: "1" if row["first"] == row["second"] else "0" if int(row["first"]) % 2 else "",
        dialect,
        encoding,
    )
    assert len(rows) == len(pairs) + 6
    assert path.read_bytes().count(b"\0") == 0
    for row in rows:
        for cell in (row["text_first"], row["text_second"]):
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))
            assert len(cell) < 32_767
    found = sheet.read_sheet(path, NUMBERS, "corpus")
    assert sorted(found.pairs) == sorted(pairs)
    assert sorted(found.control_known) == [False] * 3 + [True] * 3
    for known, answer in zip(found.control_known, found.control_answers, strict=True):
        assert answer is True if known else answer in (False, None)
    asked = {(int(row["first"]), int(row["second"])) for row in rows}
    for pair, same in zip(found.pairs, found.same_P, strict=True):
        ends = 7 * pair[0], 7 * pair[1]
        first = ends[0] if ends in asked else ends[1]
        assert same == 0 if first % 2 else math.isnan(same)


def test_a_control_pair_looks_like_any_other(tmp_path):
    path = tmp_path / "pairs.csv"
    written(path, [(0, 1), (2, 3)], agreement.control_pairs(HOSTILE, 0, 6))
    rows = filled(path, lambda row: "")
    for place, row in enumerate(rows, start=1):
        assert re.fullmatch(f"p{place}-[a-z]{{10}}", row["pair"])
        assert {int(row["first"]), int(row["second"])} <= set(NUMBERS)


def test_rows_may_be_sorted_and_left_out(tmp_path):
    path = tmp_path / "pairs.csv"
    written(path, [(0, 1), (2, 3), (4, 5)], agreement.control_pairs(HOSTILE, 0, 6))
    head, *lines = path.read_bytes().decode("utf-8-sig").split("\r\n")
    lines = [line + "1" for line in lines if line.endswith(",")]
    path.write_text("\r\n".join([head, *lines[:4:-1]]), newline="")
    found = sheet.read_sheet(path, NUMBERS, "corpus")
    assert len(found.pairs) + len(found.control_known) == len(lines) - 5


def test_a_sheet_of_another_corpus_is_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    written(path, [(0, 1)])
    filled(path, lambda row: "1")
    with pytest.raises(UserError, match=r"pairs.csv:2: the row 'p1-\w+' .* is none of this corpus"):
        sheet.read_sheet(path, NUMBERS, "another")
    with pytest.raises(UserError, match="is none of this corpus"):
        sheet.read_sheet(path, NUMBERS[:1], "corpus")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: [*row[:-1], "yes"], r"pairs.csv:2: same is 'yes'; write 1"),
        (lambda row: [row[0], row[1], "99", *row[3:]], r"pairs.csv:2: the row 'p1-.* is none of"),
        (lambda row: [row[0], row[1], "", *row[3:]], r"pairs.csv:2: second is ''"),
        (lambda row: [row[0], "-1", *row[2:]], r"pairs.csv:2: first is '-1'"),
        (lambda row: ["1", *row[1:]], r"pairs.csv:2: the row '1' .* is none of this corpus"),
        (lambda row: [*row, "d", "1"], r"pairs.csv:2: 8 cells where the head has 6"),
        (lambda row: [*row[:-1], ""], "no pair is answered"),
        (lambda row: [*row[:3], "a\0", *row[4:]], r"pairs.csv:2: holds a NUL"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, message):
    path = tmp_path / "pairs.csv"
    written(path, [(0, 1)])
    row = [*list(filled(path, lambda row: "1")[0].values())[:-1], "1"]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([sheet.SHEET_COLUMNS, change(row)])
    path.write_text(buffer.getvalue(), newline="")
    with pytest.raises(UserError, match=message):
        sheet.read_sheet(path, NUMBERS, "corpus")


def test_a_row_twice_is_named_and_so_is_a_pair(tmp_path):
    path = tmp_path / "pairs.csv"
    written(path, [(0, 1)])
    row = path.read_bytes().decode("utf-8-sig").split("\r\n")[1] + "1"
    head = ",".join(sheet.SHEET_COLUMNS)
    path.write_text(f"{head}\r\n{row}\r\n{row}\r\n", newline="")
    with pytest.raises(UserError, match=r"pairs.csv:3: the row .* stands at .*pairs.csv:2 already"):
        sheet.read_sheet(path, NUMBERS, "corpus")
    path.write_text(f'{head}\r\n"p1-a,1', newline="")
    with pytest.raises(UserError, match="not a CSV table"):
        sheet.read_sheet(path, NUMBERS, "corpus")


def test_no_sheet_at_all(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        sheet.read_sheet(tmp_path / "pairs.csv", NUMBERS, "corpus")
    (tmp_path / "latin.csv").write_bytes("pair,first\n1,\xe9".encode("latin-1"))
    with pytest.raises(UserError, match="latin.csv:2: not UTF-8"):
        sheet.read_sheet(tmp_path / "latin.csv", NUMBERS, "corpus")
    (tmp_path / "head.csv").write_text("pair,first,second,same\n")
    with pytest.raises(UserError, match="no column 'text_first'"):
        sheet.read_sheet(tmp_path / "head.csv", NUMBERS, "corpus")
