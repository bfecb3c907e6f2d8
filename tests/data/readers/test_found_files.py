"""A directory is read without what stands beside its documents, which is named."""

import gzip
import json
import lzma
import os
import pathlib

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers import found_files
from divsyn_jax.data.readers.corpus import CorpusReader
from tests.conftest import write_jsonl

CASES = pathlib.Path("/work/shared/cases")


@pytest.fixture(autouse=True)
def forgetful():
    found_files.say_once.cache_clear()


def read(spec):
    reader = CorpusReader(str(spec))
    return sorted(document.text for document in reader), reader.left_out()


def test_a_clone_of_a_dataset_repository(tmp_path, capsys):
    for folder in ("data", ".git", "data/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
    write_jsonl(tmp_path / "data" / "train-00000-of-00001.jsonl", ["a", "b"])
    write_jsonl(tmp_path / "data" / ".ipynb_checkpoints" / "train.jsonl", ["hidden"])
    for name in ("README.md", "LICENSE.txt", "LICENCE", "CITATION.cff", "notes.md", ".git/x.txt"):
        (tmp_path / name).write_text("about the data")
    (tmp_path / "dataset_infos.json").write_text("{\n}")
    (tmp_path / "stats.json").write_text('{\n  "rows": 2\n}')
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    for _ in range(2):
        texts, left_out = read(tmp_path)
        assert texts == ["a", "b"]
    assert left_out == [
        "Markdown beside files of records: notes.md",
        "about the data: CITATION.cff, LICENCE, LICENSE.txt, README.md",
        "hidden: .git/x.txt, data/.ipynb_checkpoints/train.jsonl",
        "notes of programs: dataset_infos.json",
        "of unknown form: image.png",
        "one object of JSON beside files of records: stats.json",
    ]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{tmp_path}: left out, {line}" for line in left_out]  # once


def test_markdown_is_data_where_there_is_nothing_else(tmp_path):
    for name in ("a.md", "b.md", "README.md"):
        (tmp_path / name).write_text(name)
    assert read(tmp_path) == (["a.md", "b.md"], ["about the data: README.md"])
    assert read(tmp_path / "README.md") == (["README.md"], [])


def test_parts_without_a_suffix_are_known_by_their_bytes(tmp_path):
    line = json.dumps({"text": "a"}).encode()
    (tmp_path / "part-00000").write_bytes(line)
    (tmp_path / "part-00001").write_bytes(gzip.compress(line))
    (tmp_path / "part-00002.xz").write_bytes(lzma.compress(line))
    (tmp_path / "part.3").write_bytes(b"\xef\xbb\xbf[" + line + b"]")
    (tmp_path / "Makefile").write_text("all:")
    (tmp_path / "_SUCCESS").touch()
    texts, left_out = read(tmp_path)
    assert texts == ["a"] * 4
    assert left_out == ["notes of programs: _SUCCESS", "of unknown form: Makefile"]
    assert read(tmp_path / "part-00001")[0] == ["a"]


def test_the_same_data_twice_is_said(tmp_path, capsys):
    data = write_jsonl(tmp_path / "train.jsonl", ["a"]).read_bytes()
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(data))
    write_jsonl(tmp_path / "test.jsonl", ["b"])
    assert read(tmp_path)[0] == ["a", "a", "b"]
    assert (
        "the same data twice? train.jsonl, train.jsonl.gz are all read" in capsys.readouterr().err
    )


def test_text_files_beside_records_are_said(tmp_path, capsys):
    write_jsonl(tmp_path / "a.jsonl", ["a"])
    (tmp_path / "b.txt").write_text("b")
    assert read(tmp_path)[0] == ["a", "b"]
    assert "read as documents beside files of records: b.txt" in capsys.readouterr().err


def test_a_directory_without_documents_says_what_it_holds(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(UserError, match=r"no \.jsonl.*of unknown form: a\.pdf"):
        read(tmp_path)


def test_a_folder_of_save_to_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_dict({"text": ["a", "b"], "n": [1, 2]})
    datasets.DatasetDict({"train": saved, "test": saved}).save_to_disk(tmp_path / "both")
    saved.save_to_disk(tmp_path / "one")
    cached = (tmp_path / "one" / "data-00000-of-00001.arrow").read_bytes()
    (tmp_path / "one" / "cache-1.arrow").write_bytes(cached)
    texts, left_out = read(tmp_path / "one")
    assert texts == ["a", "b"]
    assert "not of the saved dataset (state.json): cache-1.arrow" in left_out
    assert read(tmp_path / "both")[0] == ["a", "a", "b", "b"]
    with pytest.raises(UserError, match="saved by save_to_disk, which is read as a folder"):
        read(f"hf:{tmp_path / 'one'}:train")


@pytest.mark.parametrize(
    ("case", "documents"),
    [
        ("score_05_parquet_unasked_column/bad_utf8_other.parquet", 40),
        ("score_05_parquet_unasked_column/date_far.parquet", 40),
        ("score_05_parquet_unasked_column/ts_far.parquet", 40),
        ("score_05_parquet_unasked_column/ts_tz.parquet", 40),
        ("score_09_hub_clone_readme/hubclone", 40),
        ("score_11_mixed_directory/mixed", 41),  # 20, 20 and one row of CSV
        ("score_11_mixed_directory/mixed2", 40),
        ("score_17_label_free_forms_chat/alpaca_oneline.json", 40),
        ("score_17_label_free_forms_chat/alpaca_pretty.json", 40),
        ("score_17_label_free_forms_chat/messages.jsonl", 40),
        ("score_17_label_free_forms_chat/prompt_completion.jsonl", 40),
        ("score_17_label_free_forms_chat/sharegpt.jsonl", 40),
        ("score_18_save_to_disk/saved_to_disk", 40),
    ],
)
def test_the_reported_cases(case, documents):
    if not CASES.exists():
        pytest.skip("the cases of the public reports are not here")
    assert len(read(CASES / case)[0]) == documents


def test_links_and_what_is_no_file_are_named(tmp_path):
    """A linked folder was left out without a word, and a linked file counted twice."""
    corpus, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    (corpus / "inner").mkdir(parents=True)
    elsewhere.mkdir()
    write_jsonl(corpus / "a.jsonl", ["a"])
    write_jsonl(elsewhere / "b.jsonl", ["b"])
    write_jsonl(elsewhere / "c.jsonl", ["c"])
    (corpus / "b.jsonl").symlink_to("../elsewhere/b.jsonl")
    (corpus / "again.jsonl").symlink_to("a.jsonl")
    os.link(corpus / "a.jsonl", corpus / "inner" / "hard.jsonl")
    (corpus / "inner" / "linked").symlink_to("../../elsewhere")
    (corpus / "loop").symlink_to(".")
    (corpus / "gone.jsonl").symlink_to("nothing.jsonl")
    os.mkfifo(corpus / "pipe.jsonl")
    texts, left_out = read(corpus)
    assert texts == ["a", "b"]
    assert left_out == [
        "links to files that are read already: again.jsonl, inner/hard.jsonl",
        "links to folders, not followed (name them as corpora): inner/linked, loop",
        "links to nothing: gone.jsonl",
        "no files: pipe.jsonl",
    ]
    for path in (corpus / "a.jsonl", corpus / "b.jsonl", corpus / "gone.jsonl"):
        path.unlink()
    (corpus / "again.jsonl").unlink()
    (corpus / "inner" / "hard.jsonl").unlink()
    with pytest.raises(UserError, match=r"no \.jsonl.*\(links to folders.*: inner/linked, loop"):
        read(corpus)


def test_a_hubs_cache_is_read_once(tmp_path):
    """Its snapshots link to blobs, which are files of records without a suffix."""
    snapshot = tmp_path / "snapshots" / "1f"
    for folder in (tmp_path / "blobs", snapshot):
        folder.mkdir(parents=True)
    write_jsonl(tmp_path / "blobs" / "0a1b", ["a", "b"])
    (snapshot / "train.jsonl").symlink_to("../../blobs/0a1b")
    assert read(tmp_path)[0] == ["a", "b"]
    assert read(snapshot)[0] == ["a", "b"]


@pytest.mark.parametrize("name", ["pipe.jsonl", "zero.txt", "folder.csv", "gone.jsonl", "pipe"])
def test_what_is_no_file_is_one_line_and_not_waited_for(tmp_path, name):
    path = tmp_path / name
    if name.startswith("pipe"):
        os.mkfifo(path)
    elif name.startswith("folder"):
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if name.startswith("zero") else "nothing")
    with pytest.raises(UserError, match=r"is a (pipe|folder)|cannot be read"):
        read(tmp_path / f"*{name[1:]}")
    if name.startswith(("pipe", "zero")):
        with pytest.raises(UserError, match="is a pipe or a device"):
            read(path)


def test_a_pattern_with_two_stars_matches_files(tmp_path):
    (tmp_path / "inner").mkdir()
    write_jsonl(tmp_path / "inner" / "a.jsonl", ["a"])
    assert read(tmp_path / "**")[0] == ["a"]


def test_papers_about_the_data_by_other_names(tmp_path):
    (tmp_path / "LICENSES").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    write_jsonl(tmp_path / "train.jsonl", ["a"])
    write_jsonl(tmp_path / "__MACOSX" / "train.jsonl", ["a"])
    papers = ["LICENSES/CC-BY.txt", "licences.txt", "UNLICENSE.txt", "COPYRIGHT.txt"]
    papers += ["NOTICES.txt", "THIRD_PARTY_NOTICES.txt", "MIT-LICENSE.txt", "corpus_README.txt"]
    papers += ["readme2.txt", "README-zh.txt", "datasheet.txt", "data_card.txt", "SHA256SUMS.txt"]
    for name in papers:
        (tmp_path / name).write_text("about the data")
    assert read(tmp_path)[0] == ["a"]
    # Subjects of documents are no papers.
    for name in ("history.txt", "licensed.txt", "readmes_of_1990.txt", "security.txt"):
        (tmp_path / name).write_text(name)
    assert len(read(tmp_path)[0]) == 5


def test_a_file_of_a_url_leaves_nothing_out(tmp_path, capsys):
    write_jsonl(tmp_path / "a.jsonl", ["a"])
    assert read(f"file://{tmp_path}/a.jsonl") == (["a"], [])
    assert "left out" not in capsys.readouterr().err


def test_a_score_beside_the_corpus_is_no_corpus(tmp_path):
    """As `--output` in the corpus's own folder leaves it."""
    (tmp_path / "a").mkdir()
    write_jsonl(tmp_path / "a.jsonl", ["a"])
    for name in ("draws", "groups", "map", "clusters"):
        write_jsonl(tmp_path / "a" / f"{name}.jsonl", ["of a score"])
    assert len(read(tmp_path)[0]) == 4
    (tmp_path / "a" / "score.json").write_text("{}")
    assert read(tmp_path)[0] == ["a"]
