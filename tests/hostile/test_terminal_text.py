"""What strangers wrote is shown, not obeyed."""

import gzip
import io
import json
import subprocess
import sys

import pytest

from divsyn_jax.base import terminal_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import lines
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions, corpus_files
from divsyn_jax.data.readers.forms import text_units
from divsyn_jax.diversity import sampling
from tests.conftest import ROOT

NASTY = [
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b[31mRED",
    "\x9b31m",
    "\u202e5.136\u202c",
    "\u2066x\u2069",
    "a\rb",
    "\x7f",
    "\u2028",
    "\ud800",
    "\ufeff\u200b",
    "\U000e0041",
    "\x00",
]


def obeyed(text):
    """Characters that a terminal would obey; line feed and tab are ours."""
    return [c for c in text if terminal_text._OBEYED.match(c)]


@pytest.mark.parametrize("text", NASTY)
def test_controls_become_escapes(text):
    shown = terminal_text.visible(f"before {text} after")
    assert not obeyed(shown)
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "\\" in shown
    assert terminal_text.visible(shown) == shown
    shown.encode("utf-8")


def test_honest_text_stays():
    text = "naïve 東京 \U0001f469\u200d\U0001f680 می\u200cخواهم\t1\n"
    assert terminal_text.visible(text) == text


def test_a_json_text_keeps_its_meaning():
    value = {"a": "".join(NASTY[1:]).replace("\ud800", "")}
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(terminal_text.visible(text)) == value


def test_one_line_is_one_line_and_not_endless():
    assert terminal_text.one_line("a\nb\r\nc\x85d\u2028e") == "a b c d e"
    cut = terminal_text.one_line("x" * 1000, 10)
    assert cut == "xxxxxxxxxx... (990 characters more)"


def test_streams_pass_carriage_returns_for_progress_bars():
    under = io.StringIO()
    stream = terminal_text.VisibleStream(under)
    print("\r 10%\x1b[31m", file=stream, flush=True)
    stream.writelines(["\u202e", "x\n"])
    assert under.getvalue() == "\r 10%\\x1b[31m\n\\u202ex\n"


COMMAND = """
import sys
from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import Failure, Unfinished, UserError
text = "name \\x1b]52;c;x\\x07 \\u202e \\ud800 \\n end"
def main(arguments):
    print(text)
    print(text, file=sys.stderr)
    raise {"u": UserError, "f": Failure, "s": Unfinished}[arguments[0]](text)
sys.argv[0] = "command"
commandline.run(main, "help")
"""


@pytest.mark.parametrize(("kind", "code"), [("u", 2), ("f", 1), ("s", 75)])
def test_commands_print_nothing_that_a_terminal_obeys(kind, code):
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, kind], capture_output=True, cwd=ROOT, timeout=120
    )
    assert result.returncode == code, result.stderr
    assert b"Traceback" not in result.stderr
    for output in (result.stdout, result.stderr):
        assert not obeyed(output.decode("utf-8"))
    last = result.stderr.decode().splitlines()[-1]
    assert last == "command: name \\x1b]52;c;x\\x07 \\u202e \\ud800   end"


def test_an_argument_that_is_not_utf8_is_one_line():
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, b"caf\xe9.jsonl"],
        capture_output=True,
        cwd=ROOT,
        timeout=120,
    )
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [
        "command: 'caf\\udce9.jsonl': not UTF-8; name files and values in UTF-8"
    ]


def good(count):
    return [json.dumps({"text": f"document {number}"}) for number in range(count)]


@pytest.mark.parametrize("key", ["\x1b]52;c;cHduZWQ=\x07", "\u202e", "\ud800", "k" * 100_000])
def test_names_of_fields_are_shown_in_problems(tmp_path, key):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*good(200), json.dumps({key: 1})]))
    reader = CorpusReader(str(path))
    assert len(list(reader)) == 200
    (problem,) = reader.problems
    assert not obeyed(problem)
    assert len(problem) < 600
    with pytest.raises(UserError) as raised:
        list(CorpusReader(str(path), ReadOptions(strict=True)))
    assert not obeyed(str(raised.value))


def test_half_a_surrogate_pair_in_a_label_is_one_line(tmp_path):
    path = tmp_path / "a.jsonl"
    for label in ("\ud8000", ["\ud800"], {"\ud800": 1}):
        path.write_text(json.dumps({"text": "a", "topic": label}))
        with pytest.raises(UserError, match="a.jsonl:1: the label in field 'topic'"):
            sampling.read_sample(str(path), ReadOptions(), documents=5, label_field="topic", seed=0)


def test_a_file_name_that_is_not_utf8_is_refused_before_any_work(tmp_path):
    path = tmp_path / "caf\udce9.jsonl"
    path.write_text(good(1)[0])
    for spec in (str(path), str(tmp_path), str(tmp_path / "*.jsonl")):
        with pytest.raises(UserError, match="its name is not UTF-8"):
            corpus_files(spec)


def test_lines_are_those_of_the_file_whatever_the_chunks():
    for text in (b"", b"\n", b"a", b"a\n", b"a\n\nb\r\n", b"\n\n", b"x" * 50 + b"\ny"):
        expected = [line.rstrip(b"\n") for line in io.BytesIO(text)]
        for chunk in (1, 2, 3, 1 << 20):
            stream = io.BytesIO(text)
            stream.read = lambda size, read=stream.read, chunk=chunk: read(min(size, chunk))
            assert list(lines.bounded_lines(stream)) == expected


def test_a_long_line_is_not_held_and_its_neighbours_are_read():
    text = b"a\n" + b"x" * 101 + b"\nb\n" + b"y" * 100 + b"\n" + b"z" * 500
    for chunk in (7, 1 << 20):
        stream = io.BytesIO(text)
        stream.read = lambda size, read=stream.read, chunk=chunk: read(min(size, chunk))
        found = list(lines.bounded_lines(stream, 100))
        assert found == [b"a", lines.TOO_LONG, b"b", b"y" * 100, lines.TOO_LONG]


@pytest.mark.parametrize("unit", ["file", "paragraph", "line"])
def test_a_long_document_of_a_text_file_is_malformed(tmp_path, monkeypatch, unit):
    monkeypatch.setattr(text_units, "LONGEST_LINE", 1000)
    monkeypatch.setattr(lines.bounded_lines, "__defaults__", (1000,))
    path = tmp_path / "a.txt"
    text = "x" * 1001 if unit != "paragraph" else "\n".join(["word " * 20] * 20)
    path.write_text(f"{text}\n\nshort\n" if unit != "file" else text)
    reader = CorpusReader(str(path), ReadOptions(text_unit=unit))
    with pytest.raises(UserError, match="a.txt:1: longer than"):
        list(reader)
    assert reader.malformed == 1
    assert reader.documents == (unit != "file")


def test_a_line_of_a_packed_corpus_is_bounded(tmp_path):
    path = tmp_path / "one.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write("\n".join([*good(200), '{"text": "']).encode())
        for _ in range(70):
            file.write(b"a" * (1 << 20))
        file.write(b'"}\n' + good(1)[0].encode())
    reader = CorpusReader(str(path))
    assert len(list(reader)) == 201
    assert reader.problems == [
        f"{path}:201: longer than 64 MiB; split it, or give --text_unit=paragraph or line for a"
        " text file"
    ]


def test_a_line_is_wrapped_for_a_terminal_alone(monkeypatch, capsys):
    text = "word " * 40 + "end"
    assert terminal_text.for_terminal(text) == text
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    wrapped = terminal_text.for_terminal(text, hanging=4).splitlines()
    assert max(map(len, wrapped)) <= terminal_text.TERMINAL_COLUMNS
    assert all(line.startswith("    word") for line in wrapped[1:])
    assert " ".join(" ".join(wrapped).split()) == text
