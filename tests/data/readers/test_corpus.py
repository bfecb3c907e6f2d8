"""Readers:

every form of corpus gives the same documents, and bad input is named by file and line.
"""

import gzip
import json

import pytest
import zstandard

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import (
    CorpusReader,
    ReadOptions,
    TextFingerprint,
    split_corpora,
    split_name,
)
from tests.conftest import write_jsonl

TEXTS = [
    "First text.",
    "Zweiter Text: äöü €.",
    "third\nwith a line",
    " spaced ",
    "emoji 🐝 and \t tab",
]


def read(spec, **options) -> list[str]:
    return [document.text for document in CorpusReader(str(spec), ReadOptions(**options))]


@pytest.fixture
def jsonl(tmp_path):
    return write_jsonl(tmp_path / "a.jsonl", TEXTS)


def test_forms_give_the_same_documents(tmp_path, jsonl):
    data = jsonl.read_bytes()
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(data))
    half = len(data) // 2
    # Two frames, as parallel compressors write them, split in the middle of a line.
    frames = zstandard.compress(data[:half]) + zstandard.compress(data[half:])
    (tmp_path / "c.jsonl.zst").write_bytes(frames)
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + data)
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "bom.jsonl"):
        assert read(tmp_path / name) == TEXTS


def test_parquet(tmp_path, jsonl):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"text": TEXTS, "n": list(range(5))}),
        tmp_path / "a.parquet",
        row_group_size=2,
    )
    assert read(tmp_path / "a.parquet") == TEXTS
    with pytest.raises(UserError, match=r"no column 'body' \(it has: text, n\)"):
        read(tmp_path / "a.parquet", text_field="body")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match=r"bad.parquet: not a readable Parquet file"):
        read(tmp_path / "bad.parquet")


def test_directory_glob_and_text_units(tmp_path):
    (tmp_path / "sub").mkdir()
    write_jsonl(tmp_path / "1.jsonl", ["one"])
    (tmp_path / "sub" / "2.txt").write_text("two a\ntwo b\n\ntwo c\n")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    assert read(tmp_path) == ["one", "two a\ntwo b\n\ntwo c\n"]
    assert read(tmp_path / "sub", text_unit="paragraph") == ["two a\ntwo b", "two c"]
    assert read(tmp_path / "sub", text_unit="line") == ["two a", "two b", "two c"]
    write_jsonl(tmp_path / "3.jsonl", ["three"])
    assert read(str(tmp_path / "*.jsonl")) == ["one", "three"]


def test_tfds_dataset(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Toy(tfds.core.GeneratorBasedBuilder):
        """A prepared dataset in TFDS's own format."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"text": tfds.features.Text()})
            )

        def _split_generators(self, dl_manager):
            return {"train": ((index, {"text": text}) for index, text in enumerate(TEXTS))}

        def _generate_examples(self):
            raise NotImplementedError

    builder = Toy(data_dir=str(tmp_path), file_format="array_record")
    builder.download_and_prepare()
    assert sorted(read(f"tfds:{builder.data_dir}:train")) == sorted(TEXTS)
    with pytest.raises(UserError, match="cannot be opened"):
        read(f"tfds:{builder.data_dir}:validation")
    with pytest.raises(UserError, match=r"use the form tfds:name\[/config\]:split"):
        read("tfds:toy")


def test_fingerprint_is_of_the_text_not_of_the_file(tmp_path, jsonl):
    def fingerprint(path):
        total = TextFingerprint()
        for document in CorpusReader(str(path)):
            total.update(document.text)
        return total.hexdigest()

    (tmp_path / "z.jsonl.zst").write_bytes(zstandard.compress(jsonl.read_bytes()))
    assert fingerprint(jsonl) == fingerprint(tmp_path / "z.jsonl.zst")
    assert fingerprint(jsonl) != fingerprint(write_jsonl(tmp_path / "r.jsonl", TEXTS[::-1]))
    # The boundary between documents counts.
    assert fingerprint(write_jsonl(tmp_path / "p.jsonl", ["ab", "c"])) != fingerprint(
        write_jsonl(tmp_path / "q.jsonl", ["a", "bc"])
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "unclosed', "not JSON"),
        (b'{"text": "\xff\xfe"}', "not UTF-8"),
        (b'{"body": "x"}', "no field 'text' (it has: body)"),
        (b'{"text": 3}', "holds int"),
        (b'["text"]', "a JSON object is expected"),
        (b'{"text": "\\ud800"}', "half a surrogate pair"),
        (b'"\\ud800"', "half a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", "not JSON (Exceeds the limit"),
    ],
)
def test_a_malformed_line_is_counted_and_named(tmp_path, line, message):
    good = [json.dumps({"text": f"good {i}"}).encode() for i in range(150)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*good[:7], line, *good[7:]]) + b"\n")
    reader = CorpusReader(str(path))
    assert len(list(reader)) == 150
    assert (reader.lines, reader.malformed, reader.documents) == (151, 1, 150)
    assert f"{path}:8: " in reader.problems[0]
    assert message in reader.problems[0]
    with pytest.raises(UserError) as caught:
        read(path, strict=True)
    assert f"{path}:8: " in str(caught.value)


def test_more_than_one_percent_malformed_is_fatal(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n' * 98 + "broken\n" * 2)
    with pytest.raises(UserError, match=r"a.jsonl:99: .*2 of 100 records.*over 1%"):
        read(path)


def test_empty_texts_are_skipped_and_counted(tmp_path):
    reader = CorpusReader(str(write_jsonl(tmp_path / "a.jsonl", ["a", "", " \n", "b"])))
    assert [document.text for document in reader] == ["a", "b"]
    assert reader.empty == 2
    with pytest.raises(UserError, match="no documents"):
        read(write_jsonl(tmp_path / "e.jsonl", ["", " "]))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_truncated_files_are_named(tmp_path, jsonl, suffix):
    compress = gzip.compress if suffix == "gz" else zstandard.compress
    path = tmp_path / f"t.jsonl.{suffix}"
    path.write_bytes(compress(jsonl.read_bytes() * 50)[:-20])
    with pytest.raises(UserError, match=rf"t.jsonl.{suffix}: cannot be read to its end"):
        read(path)
    path.write_bytes(b"this is not compressed")
    with pytest.raises(UserError, match=rf"t.jsonl.{suffix}: cannot be read"):
        read(path)


@pytest.mark.parametrize("spec", ["nothing.jsonl", "none*.jsonl"])
def test_missing_files(tmp_path, spec):
    with pytest.raises(UserError, match="no such file|no file matches"):
        read(tmp_path / spec)


def test_an_empty_name_is_refused():
    with pytest.raises(UserError, match="an empty name"):
        read("")


def test_unknown_format(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(UserError, match="unknown format"):
        read(tmp_path / "a.pdf")


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("../shared/data/real_wiki.jsonl.gz", "real_wiki"),
        ("wiki=/x/y.parquet", "wiki"),
        ("a/b.c/", "b.c"),
        ("hf:org/name:train", "train"),
    ],
)
def test_split_name(argument, name):
    assert split_name(argument)[0] == name


@pytest.mark.parametrize(
    ("text", "corpora"),
    [
        ("a.jsonl  b.jsonl\n", ["a.jsonl", "b.jsonl"]),
        ("""x='my dir/a b.jsonl' "c'd.jsonl" """, ["x=my dir/a b.jsonl", "c'd.jsonl"]),
        ("x=c'd.jsonl e#f.jsonl", ["x=c'd.jsonl", "e#f.jsonl"]),
        ("""x=back\\slash.jsonl $(id).jsonl""", ["x=back\\slash.jsonl", "$(id).jsonl"]),
        ("", []),
    ],
)
def test_quotes_hold_a_corpus_with_spaces_together(text, corpora):
    assert split_corpora(text) == corpora
