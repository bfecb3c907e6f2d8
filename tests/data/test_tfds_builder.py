"""A grammar corpus as a TFDS dataset, built and read back without TensorFlow, in a process of its
own (it reads $TFDS_DATA_DIR).
"""

import json
import subprocess
import sys

import pytest

from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth
from tests.conftest import ROOT, fails_with_one_line, write_jsonl

pytest.importorskip("tensorflow_datasets")
READ = """
import sys, json
from divsyn_jax.data.readers.corpus import CorpusReader
documents = list(CorpusReader("tfds:divsyn_corpus/narrow:train"))
fields = {name: value.decode() if isinstance(value, bytes) else int(value)
          for name, value in documents[0].fields.items()}
print(json.dumps([[d.text for d in documents], fields, "tensorflow" in sys.modules]))
"""


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def test_a_corpus_comes_back_through_the_reader(tmp_path, data_dir, command):
    generate_corpus(Breadth(3, 2, 2), 30, 0, tmp_path / "narrow")
    written = [document.fields for document in CorpusReader(str(tmp_path / "narrow"))]
    corpus = tmp_path / "narrow" / "documents.jsonl.zst"
    build = ("divsyn_jax.data.tfds_builder", f"--input={corpus}", "--level=narrow")
    result = command(*build)
    assert result.returncode == 0, result.stderr
    assert "tfds:divsyn_corpus/narrow:train: 30 documents" in result.stdout
    assert list(data_dir.rglob("*.array_record*"))
    read = subprocess.run(
        [sys.executable, "-c", READ], cwd=ROOT, capture_output=True, text=True, check=True
    )
    texts, fields, tensorflow = json.loads(read.stdout)
    assert texts == [record["text"] for record in written]
    assert fields == written[0]
    assert not tensorflow
    fails_with_one_line(command(*build), "prepared before")


def test_what_cannot_be_built_is_refused(tmp_path, data_dir, command):
    corpus = write_jsonl(tmp_path / "a.jsonl", ["one"])
    corpus.write_text(corpus.read_text() + '{"text": "two", "more": 1}\n')
    build = ("divsyn_jax.data.tfds_builder", f"--input={corpus}")
    fails_with_one_line(command(*build, "--level=x/y"), "--level=x/y: give a name")
    fails_with_one_line(command(*build, "--level=mixed"), "a.jsonl:2: has other fields")
    assert not list(data_dir.rglob("*.array_record*"))
