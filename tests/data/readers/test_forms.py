"""Every form of file gives the same documents, in bounded memory, and names what is wrong by
place."""

import bz2
import csv
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import zipfile

import pytest
import zstandard

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from tests.conftest import ROOT

TEXTS = ["First text.", "Zweiter, Text: äöü €.", 'third\n"quoted"', "emoji 🐝 and \t tab"]
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()


def read(path, fields=(), **options):
    return [d.text for d in CorpusReader(str(path), ReadOptions(**options), fields)]


def write(path, data):
    path.write_bytes(data)
    return path


def test_every_packing(tmp_path):
    two = len(LINES) // 2
    packed = {
        "a.jsonl.bz2": bz2.compress(LINES[:two]) + bz2.compress(LINES[two:]),
        "a.jsonl.xz": lzma.compress(LINES[:two]) + b"\0" * 4 + lzma.compress(LINES[two:]),
        "a.jsonl.zstd": zstandard.compress(LINES),
    }
    for name, data in packed.items():
        assert read(write(tmp_path / name, data)) == TEXTS
        for damaged in (data[:-9], data + b"garbage that is no stream"):
            with pytest.raises(UserError, match=f"{name}: cannot be read to its end"):
                read(write(tmp_path / name, damaged))


@pytest.mark.parametrize("log", [28, 31])
def test_windows_of_zstd_long(tmp_path, log):
    parameters = zstandard.ZstdCompressionParameters(window_log=log, enable_ldm=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(LINES) + compressor.flush()
    assert read(write(tmp_path / "a.jsonl.zst", data)) == TEXTS


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_an_array_of_json(tmp_path, indent, bom):
    records = [{"text": text, "more": [1, {"a": "]}"}]} for text in TEXTS]
    data = bom + json.dumps(records, indent=indent).encode() + b"\n"
    for name in ("a.json", "a.jsonl", "part-00000"):
        assert read(write(tmp_path / name, data)) == TEXTS
    strings = json.dumps(TEXTS, indent=indent, ensure_ascii=False).encode()
    assert read(write(tmp_path / "s.json", strings)) == TEXTS
    places = [document.where for document in CorpusReader(str(tmp_path / "a.json"))]
    assert [place.rpartition("[")[2] for place in places] == ["0]", "1]", "2]", "3]"]


def test_objects_over_several_lines(tmp_path):
    data = "\n".join(json.dumps({"text": text}, indent=2) for text in TEXTS)
    assert read(write(tmp_path / "a.json", data.encode())) == TEXTS
    assert read(write(tmp_path / "b.json", LINES)) == TEXTS


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'[{"text": "a"},\n {"text": "b"', r"a.json:2\[1\]: not JSON"),
        (b'[{"text": "a"}\n {"text": "b"}]', "a.json:2: not JSON \\(',' is expected"),
        (b'[{"text": "a"},\n', "a.json:2: not JSON .*end of the file"),
        (b'[{"text": "a"}] x', "a.json:1: not JSON .*more follows"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_array_is_named(tmp_path, data, says):
    with pytest.raises(UserError, match=says):
        read(write(tmp_path / "a.json", data))


def test_an_item_that_is_no_utf8_is_malformed_and_counted(tmp_path):
    items = [b'{"text": "a"}'] * 150 + [b'{"text": "\xff"}']
    reader = CorpusReader(str(write(tmp_path / "a.json", b"[" + b",\n".join(items) + b"]")))
    assert len(list(reader)) == 150
    assert "a.json:151[150]: not UTF-8" in reader.problems[0]


MEASURE = """
import resource, sys
from divsyn_jax.data.readers.corpus import CorpusReader
try:
    import pyarrow.parquet, pyarrow.ipc
except ImportError:
    pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in CorpusReader(sys.argv[1]))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(path):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


def test_an_array_is_streamed(tmp_path):
    with open(tmp_path / "a.json", "w") as file:
        file.write("[" + json.dumps({"text": "a"}))
        for _ in range(120):
            file.write("," + json.dumps({"text": "b" * (1 << 20)}))
        file.write("]")
    documents, mebibytes = measured(tmp_path / "a.json")
    assert documents == 121
    assert mebibytes < 60


def test_parquet_reads_the_columns_it_needs(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [bytes([number]) * (1 << 20) for number in range(150)]
    table = pyarrow.table({"text": [f"t{n}" for n in range(150)], "image": images})
    parquet.write_table(table, tmp_path / "a.parquet", compression="none", use_dictionary=False)
    documents, mebibytes = measured(tmp_path / "a.parquet")
    assert documents == 150
    assert mebibytes < 60


def unreadable_columns(pyarrow):
    rows = 40
    bad = pyarrow.array([b"a\xe9"] * rows, pyarrow.binary())
    offsets = bad.buffers()
    far = 1 << 61
    return {
        "utf8": pyarrow.StringArray.from_buffers(rows, offsets[1], offsets[2]),
        "far": pyarrow.array([far] * rows, pyarrow.int64()).view(pyarrow.timestamp("us")),
        "date": pyarrow.array([1 << 30] * rows, pyarrow.int32()).view(pyarrow.date32()),
        "zone": pyarrow.array([1] * rows, pyarrow.timestamp("us", "Mars/Base")),
    }


@pytest.mark.parametrize("form", ["parquet", "arrow", "feather"])
@pytest.mark.parametrize("column", ["utf8", "far", "date", "zone"])
def test_columns_that_nobody_asked_for_may_hold_anything(tmp_path, form, column):
    pyarrow = pytest.importorskip("pyarrow")
    odd = unreadable_columns(pyarrow)[column]
    path = tmp_path / f"a.{form}"
    text = pyarrow.array([f"t{n}" for n in range(40)])
    write_table(pyarrow, path, pyarrow.table({"text": text, "odd": odd}))
    assert len(read(path)) == 40
    with pytest.raises(UserError, match=r"a\.\w+:1: .*40 of 40 records"):
        read(path, text_field="odd")


def write_table(pyarrow, path, table):
    if path.suffix == ".parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, path)
        return
    import pyarrow.ipc

    # A .arrow is the stream that datasets writes, a .feather the file.
    make = pyarrow.ipc.new_stream if path.suffix == ".arrow" else pyarrow.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("form", ["parquet", "arrow", "feather"])
def test_one_row_that_cannot_be_decoded_is_malformed(tmp_path, form):
    pyarrow = pytest.importorskip("pyarrow")
    binary = pyarrow.array([b"good"] * 150 + [b"\xe9"], pyarrow.binary())
    text = pyarrow.StringArray.from_buffers(151, *binary.buffers()[1:3])
    path = tmp_path / f"a.{form}"
    write_table(pyarrow, path, pyarrow.table({"text": text}))
    reader = CorpusReader(str(path))
    assert len(list(reader)) == 150
    assert reader.malformed == 1
    assert f"a.{form}:151: cannot be decoded" in reader.problems[0]


@pytest.mark.parametrize("form", ["parquet", "arrow", "feather"])
def test_nested_fields_and_conversations_of_tables(tmp_path, form):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / f"a.{form}"
    talk = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    rows = [{"meta": {"text": text, "id": 1}, "messages": talk} for text in TEXTS]
    write_table(pyarrow, path, pyarrow.Table.from_pylist(rows))
    assert read(path, text_field="meta.text") == TEXTS
    assert read(path) == ["u\n\na"] * 4
    assert read(path, text_field="messages.1.content") == ["a"] * 4
    assert read(path, part="response") == ["a"] * 4
    with pytest.raises(UserError, match="no column 'body'"):
        read(path, text_field="body")
    with pytest.raises(UserError, match=r"no field 'meta\.body'"):
        read(path, text_field="meta.body")


def test_damaged_arrow_files_are_one_line(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.arrow"
    write_table(pyarrow, path, pyarrow.table({"text": TEXTS * 50}))
    whole = path.read_bytes()
    for data in (b"", b"FEA1" * 10, b"ARROW1" + b"x" * 100, whole[: len(whole) // 2]):
        with pytest.raises(UserError, match=r"a\.arrow"):
            read(write(path, data))


@pytest.mark.parametrize(("name", "sign"), [("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")])
def test_delimited_files(tmp_path, name, sign):
    path = tmp_path / name
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=sign)
        writer.writerows([["id", "text"], *([n, text] for n, text in enumerate(TEXTS))])
    assert read(path) == TEXTS
    packed = write(tmp_path / f"{name}.xz", lzma.compress(path.read_bytes()))
    assert read(packed) == TEXTS
    assert read(path, text_template="{id}: {text}")[0] == "0: First text."
    with pytest.raises(UserError, match="no field 'body'"):
        read(path, text_field="body")


def test_bad_rows_of_delimited_files_are_counted(tmp_path):
    rows = [b"text,n"] + [b"good,1"] * 300 + [b"one", b"\xff,2"]
    reader = CorpusReader(str(write(tmp_path / "a.csv", b"\n".join(rows))))
    assert len(list(reader)) == 300
    assert reader.malformed == 2
    assert "a.csv:302: 1 fields" in reader.problems[0]


def test_marks_and_padding_between_lines(tmp_path):
    bom = b"\xef\xbb\xbf"
    joined = bom + LINES + bom + LINES + b"\x1e" + LINES + b"\0" * 512
    reader = CorpusReader(str(write(tmp_path / "a.jsonl", joined)))
    assert [document.text for document in reader] == TEXTS * 3
    assert (reader.lines, reader.malformed) == (12, 0)


def test_null_is_empty(tmp_path):
    lines = [{"text": "a"}] * 19 + [{"text": None}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)).encode())
    reader = CorpusReader(str(path))
    assert len(list(reader)) == 19
    assert (reader.empty, reader.malformed) == (1, 0)


BROKEN_ROWS = {
    # A lost quote takes the rows after it along: they were one document without a word.
    "open to the end": (b'1,"abc\n2,def\n3,ghi\n', "a.csv:102: a quote in this row is not closed"),
    "closed by another": (b'1,"abc\n2,def\n3,the "end\n4,jkl\n', "a quote inside a quoted field"),
    "escaped by a backslash": (
        b'1,"say \\"hi\\", ok"\n2,def\n' * 2,
        "a quote inside a quoted field",
    ),
    "carriage return": (b"1,a\rb\n" * 4, "a carriage return that ends no line"),
}


@pytest.mark.parametrize("case", BROKEN_ROWS)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_quotes_out_of_place_are_named_and_swallow_no_rows(tmp_path, case, suffix):
    rows, problem = BROKEN_ROWS[case]
    data = b"id,text\n" + b"0,good\n" * 100 + rows
    if suffix == "tsv":
        data, problem = data.replace(b",", b"\t"), problem.replace(".csv", ".tsv")
    reader = CorpusReader(str(write(tmp_path / f"a.{suffix}", data)))
    kept = []
    with pytest.raises(UserError, match=problem):
        kept.extend(document.text for document in reader)
    assert set(kept) <= {"good", "jkl", "def"}


def test_every_line_of_a_broken_row_is_counted(tmp_path):
    rows = b"id,text\n" + b"0,good\n" * 996 + b'1,"abc\n2,def\n3,the "end\n' + b"4,good\n"
    reader = CorpusReader(str(write(tmp_path / "a.csv", rows)))
    assert [document.text for document in reader] == ["good"] * 997
    assert (reader.lines, reader.malformed) == (1000, 3)


def test_a_column_named_twice_and_a_header_that_is_none(tmp_path):
    for data, problem in (
        (b"text,text\na,b\n", "a.csv:1: names the column 'text' twice"),
        (b"id,text\r1,a\r2,b\r", "a.csv:1: not the header of a CSV file .a carriage return"),
        (b"x" * (65 << 20), "a.csv:1: a line longer than 64 MiB"),
    ):
        with pytest.raises(UserError, match=problem):
            read(write(tmp_path / "a.csv", data))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_half_a_surrogate_pair_in_a_bare_text(tmp_path, name):
    texts = [*["good"] * 300, "\ud800", "bad \udfff"]
    lines = "\n".join(map(json.dumps, texts)) if name == "a.jsonl" else json.dumps(texts)
    reader = CorpusReader(str(write(tmp_path / name, lines.encode())))
    assert {document.text for document in reader} == {"good"}
    assert reader.malformed == 2
    assert "half a surrogate pair" in reader.problems[0]


def _archive(kind, data):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.jsonl", data)
    else:
        with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
            entry = tarfile.TarInfo("a.jsonl")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


MISTAKEN = {
    "tar": (_archive(tarfile.PAX_FORMAT, LINES * 100), "a tar archive"),
    "GNU tar": (_archive(tarfile.GNU_FORMAT, LINES * 100), "a tar archive"),
    "zip": (_archive("zip", LINES * 100), "a zip archive"),
    "packed twice": (gzip.compress(LINES), "packed by gzip"),
    "zstd": (zstandard.compress(LINES), "packed by Zstandard"),
    "bzip2": (bz2.compress(LINES), "packed by bzip2"),
    "xz": (lzma.compress(LINES), "packed by xz"),
    "Parquet": (b"PAR1" + LINES, "a Parquet file"),
    "UTF-16": (LINES.decode().encode("utf-16"), "not UTF-8 but UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + LINES.decode().encode("utf-16-be"), "UTF-16"),
    "UTF-16 without a mark": (LINES.decode().encode("utf-16-le"), "not UTF-8 but UTF-16"),
    "UTF-32": (LINES.decode().encode("utf-32"), "not UTF-8 but UTF-32"),
}


@pytest.mark.parametrize("kind", MISTAKEN)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.csv", "a.txt", "a.tsv.zst"])
def test_what_is_no_text_is_named_and_its_lines_are_not_read(tmp_path, kind, name):
    data, problem = MISTAKEN[kind]
    if name.endswith(".gz"):
        data = gzip.compress(data)
    elif name.endswith(".zst"):
        data = zstandard.compress(data)
    with pytest.raises(UserError, match=f"{name}.*{problem}"):
        read(write(tmp_path / name, data))


def test_one_text_among_many_that_is_none_is_counted(tmp_path):
    for number in range(150):
        write(tmp_path / f"{number}.txt", b"BZh and other words")
    write(tmp_path / "wide.txt", "other words".encode("utf-16"))
    reader = CorpusReader(str(tmp_path))
    assert len(list(reader)) == 150
    assert reader.problems == [
        f"{tmp_path}/wide.txt:1: not UTF-8 but UTF-16; convert the file to UTF-8"
    ]
