import json
import os
import signal
import subprocess
import sys
import time

import pytest

from configs import diversity, synthesis
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, TextFingerprint
from divsyn_jax.synthesis import corpus_writer, record_file
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar import grammar
from divsyn_jax.synthesis.grammar.grammar import Breadth
from tests.conftest import ROOT, fails_with_one_line

COMMAND = [sys.executable, str(ROOT / "tools" / "generate_corpus.py")]


def run(*arguments, template="topic_styles_persona"):
    config = f"--config=configs/synthesis.py:{template}"
    return subprocess.run(
        [*COMMAND, config, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def records(folder):
    return [document.fields for document in CorpusReader(str(folder))]


def first_documents(breadth, seed, count):
    return [grammar.document(breadth, seed, index) for index in range(count)]


def test_command_writes_corpus_and_manifest(tmp_path):
    output = tmp_path / "corpus"
    knobs = [
        f"--config.grammar.{name}={value}"
        for name, value in (("topics", 3), ("styles", 2), ("personas", 2))
    ]
    result = run(*knobs, "--config.documents=25", "--config.seed=5", f"--output={output}")
    assert result.returncode == 0, result.stderr
    assert "25 documents" in result.stdout
    documents = records(output)
    assert documents == first_documents(Breadth(3, 2, 2), 5, 25)
    fingerprint = TextFingerprint()
    for document in documents:
        fingerprint.update(document["text"])
    manifest = json.loads((output / "manifest.json").read_text())
    counts = manifest.pop("counts")
    assert manifest == {
        "source": "grammar",
        "kind": "documents",
        "version": grammar.GRAMMAR_VERSION,
        "template": "topic_styles_persona",
        "breadth": {
            "topics": 3,
            "styles": 2,
            "personas": 2,
            "topics_per_document": 1,
            "generators": ["grammar"],
        },
        "seed": 5,
        "documents": 25,
        "rejects": {"duplicate": 0},
        "words": sum(len(document["text"].split()) for document in documents),
        "bytes": sum(len(document["text"].encode()) for document in documents),
        "fingerprint": fingerprint.hexdigest(),
    }
    assert sorted(counts["topic"].values()) == [8, 8, 9]
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "corpus",
        "documents.jsonl.zst",
        "manifest.json",
    ]


@pytest.mark.parametrize(
    "level", [name for name, level in diversity.LEVELS.items() if level.template]
)
def test_every_level_has_a_grammar(level):
    config = synthesis.get_config(level)
    breadth = Breadth(**config.grammar)
    assert breadth.template == diversity.LEVELS[level].template
    assert config.documents >= 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config.grammar.topics=99"],
            "--config.grammar.topics must be a whole number from 1 to 32, not 99",
        ),
        (["--config.grammar.styles=0"], "styles must be a whole number from 1 to"),
        (["--config.grammar.personas=many"], "personas"),
        (
            ["--config.grammar.wordings=7"],
            "--config.grammar.wordings must be a whole number from 0 to 6, not 7",
        ),
        (["--config.grammar.formats=-1"], "formats must be a whole number from 0 to 8"),
        (
            ["--config.grammar.wordings=2", "--base_url=http://localhost:1/v1", "--model=m"],
            "--config.grammar.wordings is a knob of the built-in grammar",
        ),
        (["--config.grammar.colours=3"], "colours"),
        (["--config.documents=0"], "documents=0: give at least 1"),
        (
            ["--kind=items", "--config.questions=999"],
            "questions=999: 31 topics have 248 items; give 1 to 248, or 0 for all",
        ),
        (["--kind=poems"], "kind"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_bad_values_exit_2_with_one_line_and_leave_nothing(tmp_path, arguments, message):
    fails_with_one_line(run(*arguments, f"--output={tmp_path / 'corpus'}"), message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("template", ["haiku", "real_only"])
def test_unknown_templates_are_refused(tmp_path, template):
    fails_with_one_line(run(f"--output={tmp_path / 'corpus'}", template=template), template)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    fails_with_one_line(
        run("--config.documents=3", f"--output={tmp_path}"), "which this command did not write"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_output_is_required():
    fails_with_one_line(run("--config.documents=5"), "--output is required")


def test_help():
    result = run("--help")
    assert result.returncode == 0
    assert all(flag in result.stdout for flag in ("--config", "--kind", "--output"))


@pytest.mark.parametrize(
    ("kind", "fields"), [("instructions", {"prompt", "response"}), ("items", {"choices", "label"})]
)
def test_instructions_and_items(tmp_path, kind, fields):
    result = run(f"--kind={kind}", "--config.questions=40", f"--output={tmp_path / kind}")
    assert result.returncode == 0, result.stderr
    written = list(record_file.recover(tmp_path / kind / f"{kind}.jsonl.zst"))
    assert len(written) == 40
    assert all(fields <= record.keys() for record in written)
    assert json.loads((tmp_path / kind / "manifest.json").read_text())[kind] == 40


def test_the_same_arguments_write_the_same_bytes_and_replace_the_folder(tmp_path):
    first = generate_corpus(Breadth(2, 9, 2), 30, 1, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "instructions.jsonl.zst").touch()  # of another kind of the same command
    assert generate_corpus(Breadth(2, 9, 2), 30, 1, tmp_path / "b") == first
    assert (tmp_path / "a/documents.jsonl.zst").read_bytes() == (
        tmp_path / "b/documents.jsonl.zst"
    ).read_bytes()
    assert not (tmp_path / "b" / "instructions.jsonl.zst").exists()


def test_a_finished_corpus_is_not_written_again(tmp_path, monkeypatch):
    manifest = generate_corpus(Breadth(1, 1, 1), 3, 0, tmp_path / "corpus")
    monkeypatch.setattr(grammar, "generate_passages", lambda *_: 1 / 0)
    assert generate_corpus(Breadth(1, 1, 1), 3, 0, tmp_path / "corpus") == manifest
    with pytest.raises(ZeroDivisionError):
        generate_corpus(Breadth(1, 1, 1), 4, 0, tmp_path / "corpus")
    assert (
        json.loads((tmp_path / "corpus/manifest.json").read_text()) == manifest
    )  # a failure leaves the old corpus
    with pytest.raises(UserError, match="at least 1"):
        generate_corpus(Breadth(1, 1, 1), 0, 0, tmp_path / "corpus")


def test_texts_that_are_there_already_are_rejected_counted_and_replaced(tmp_path, monkeypatch):
    real = grammar.document
    # Every third document is the one before it once more.
    monkeypatch.setattr(
        grammar,
        "document",
        lambda breadth, seed, index: {
            **real(breadth, seed, index - (index % 3 == 2)),
            "id": f"grammar-{seed}-{index}",
        },
    )
    monkeypatch.setattr(record_file, "BLOCK", 4)
    manifest = generate_corpus(Breadth(2, 2, 2), 20, 0, tmp_path / "a")
    texts = [record["text"] for record in records(tmp_path / "a")]
    assert len(texts) == len(set(texts)) == 20
    assert manifest["rejects"] == {"duplicate": 9}
    monkeypatch.setattr(
        grammar, "document", lambda *_: {**real(Breadth(1, 1, 1), 0, 0), "id": "grammar-0-9"}
    )
    monkeypatch.setattr(corpus_writer, "_MAX_REJECTS_PER_RECORD", 0)
    with pytest.raises(UserError, match="1 different texts found, not 5"):
        generate_corpus(Breadth(1, 1, 1), 5, 0, tmp_path / "b")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_corpus_is_continued_to_the_same_bytes(tmp_path, number):
    settings = ("--config.documents=2500", "--config.grammar.topics=4", "--config.grammar.styles=9")
    arguments = [
        *COMMAND,
        "--config=configs/synthesis.py:topic_styles",
        *settings,
        f"--output={tmp_path / 'a'}",
    ]
    data = tmp_path / ".a.partial" / "documents.jsonl.zst"
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (data.exists() and data.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (75 if number == signal.SIGTERM else -signal.SIGKILL)
    assert not (tmp_path / "a").exists()
    with open(data, "ab") as file:  # half a frame, as a kill within a write leaves it
        file.write(data.read_bytes()[: os.path.getsize(data) // 3])
    assert subprocess.run(arguments, cwd=ROOT, capture_output=True, check=False).returncode == 0
    manifest = generate_corpus(Breadth(4, 9, 1), 2500, 0, tmp_path / "b")
    assert json.loads((tmp_path / "a/manifest.json").read_text()) == manifest
    assert (tmp_path / "a/documents.jsonl.zst").read_bytes() == (
        tmp_path / "b/documents.jsonl.zst"
    ).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
