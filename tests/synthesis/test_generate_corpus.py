import io
import json
import pathlib
import subprocess
import sys

import pytest
import zstandard

from divsyn_jax.commandline import UserError
from divsyn_jax.data.corpus import CorpusReader, TextFingerprint
from divsyn_jax.synthesis import grammar
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar import Breadth

COMMAND = pathlib.Path(__file__).parents[2] / "tools" / "generate_corpus.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(COMMAND), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def lines(path):
    with open(path, "rb") as raw:
        return [json.loads(line) for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8")]


def test_command_writes_corpus_and_manifest(tmp_path):
    output = tmp_path / "corpus"
    result = run("--topics=3", "--styles=2", "--personas=2", "--documents=25", "--seed=5", f"--output={output}")
    assert result.returncode == 0, result.stderr
    assert "25 documents" in result.stdout
    documents = lines(output / "documents.jsonl.zst")
    assert documents == list(grammar.generate(Breadth(3, 2, 2), 25, 5))
    fingerprint = TextFingerprint()
    for document in CorpusReader(str(output / "documents.jsonl.zst")):
        fingerprint.update(document.text)
    assert json.loads((output / "manifest.json").read_text()) == {
        "generator": "grammar",
        "breadth": {"topics": 3, "styles": 2, "personas": 2},
        "seed": 5,
        "documents": 25,
        "words": sum(len(document["text"].split()) for document in documents),
        "fingerprint": fingerprint.hexdigest(),
    }
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["corpus", "documents.jsonl.zst", "manifest.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topics=99"], "topics must be a whole number from 1 to 32, not 99"),
        (["--styles=0"], "styles must be a whole number from 1 to"),
        (["--personas=many"], "personas"),
        (["--documents=0"], "--documents=0: give at least 1"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_bad_values_exit_2_with_one_line_and_leave_nothing(tmp_path, arguments, message):
    result = run(*arguments, f"--output={tmp_path / 'corpus'}")
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    result = run("--documents=3", f"--output={tmp_path}")
    assert result.returncode == 2
    assert "which this command did not write" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_output_is_required():
    result = run("--documents=5")
    assert result.returncode == 2
    assert "--output is required" in result.stderr


def test_help():
    result = run("--help")
    assert result.returncode == 0
    assert all(
        flag in result.stdout for flag in ("--topics", "--styles", "--personas", "--documents", "--seed", "--output")
    )


def test_the_same_arguments_write_the_same_bytes_and_replace_the_folder(tmp_path):
    first = generate_corpus(Breadth(2, 9, 2), 30, 1, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    assert generate_corpus(Breadth(2, 9, 2), 30, 1, tmp_path / "b") == first
    assert (tmp_path / "a/documents.jsonl.zst").read_bytes() == (tmp_path / "b/documents.jsonl.zst").read_bytes()
    assert not (tmp_path / "b" / "old").exists()


def test_a_failure_leaves_the_old_corpus(tmp_path, monkeypatch):
    manifest = generate_corpus(Breadth(1, 1, 1), 3, 0, tmp_path / "corpus")
    monkeypatch.setattr(grammar, "generate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate_corpus(Breadth(1, 1, 1), 4, 0, tmp_path / "corpus")
    assert json.loads((tmp_path / "corpus/manifest.json").read_text()) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    with pytest.raises(UserError, match="at least 1"):
        generate_corpus(Breadth(1, 1, 1), 0, 0, tmp_path / "corpus")
