"""Control pairs, agreement of annotators, and the sheet that people fill in."""

import csv
import io
import math

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


@pytest.mark.parametrize("dialect", ["excel", "semicolon"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_sheet_comes_back(tmp_path, dialect, encoding):
    path = tmp_path / "pairs.csv"
    pairs = [(one, two) for one in range(len(HOSTILE)) for two in range(one)]
    pairs = [(two, one) for one, two in pairs]
    controls = agreement.control_pairs(TEXTS, 0, 6)
    sheet.write_sheet(path, HOSTILE, pairs, controls, 0)
    rows = filled(
        path,
        lambda row: ("1" if int(row["first"]) % 2 else "") if row["second"] != "control" else "0",
        dialect,
        encoding,
    )
    assert path.read_bytes().count(b"\0") == 0
    for row in rows:
        for cell in (row["text_first"], row["text_second"]):
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))
            assert len(cell) < 32_767
    found = sheet.read_sheet(path, len(TEXTS))
    assert sorted(found.pairs) == sorted(pairs)
    assert found.control_firsts == tuple(control.first for control in controls)
    assert found.control_answers == (False,) * 6
    asked = {(int(row["first"]), int(row["second"])) for row in rows if row["second"] != "control"}
    for pair, same in zip(found.pairs, found.same_P, strict=True):
        first = pair[0] if pair in asked else pair[1]
        assert same == 1 if first % 2 else math.isnan(same)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,0,1,a,b,yes", r"pairs.csv:2: same is 'yes'; write 1"),
        ("1,0,99,a,b,1", r"pairs.csv:2: second is '99', no document of this sample of 5"),
        ("1,0,,a,b,1", r"pairs.csv:2: second is ''"),
        ("1,-1,2,a,b,1", r"pairs.csv:2: first is '-1'"),
        ("1,2,2,a,b,1", r"pairs.csv:2: the pair 2, 2 is one document"),
        ("1,0,1,a,b,1\r\n2,1,0,a,b,0", r"pairs.csv:3: the pair 1, 0 stands at .*pairs.csv:2"),
        ('1,0,1,"a\nb",b,1\r\n2,0,7,a,b,0', r"pairs.csv:4: second is '7'"),
        ("1,0,1,a,b,c,d,1", r"pairs.csv:2: 8 cells where the head has 6"),
        ("1,0,1,a,b,", "no pair is answered"),
        ('1,0,1,"a,b,1', "not a CSV table"),
        ("1,0,1,a\0,b,1", r"pairs.csv:2: holds a NUL"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, line, message):
    path = tmp_path / "pairs.csv"
    path.write_bytes(("pair,first,second,text_first,text_second,same\r\n" + line).encode())
    with pytest.raises(UserError, match=message):
        sheet.read_sheet(path, 5)


def test_no_sheet_at_all(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        sheet.read_sheet(tmp_path / "pairs.csv", 5)
    (tmp_path / "latin.csv").write_bytes("pair,first\n1,\xe9".encode("latin-1"))
    with pytest.raises(UserError, match="latin.csv:2: not UTF-8"):
        sheet.read_sheet(tmp_path / "latin.csv", 5)
    (tmp_path / "head.csv").write_text("pair,first,second,same\n")
    with pytest.raises(UserError, match="no column 'text_first'"):
        sheet.read_sheet(tmp_path / "head.csv", 5)
