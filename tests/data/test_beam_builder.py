"""build_shards on Apache Beam: the bytes that the process pool writes.

Needs the environment of `make env-beam`.
"""

import sys

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.shard_builder import build_shards
from tests.conftest import small_texts, write_jsonl


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("packing", ["concat", "document"])
def test_the_runner_and_its_workers_change_no_byte(tmp_path, tokenizer_dir, packing):
    pytest.importorskip(
        "apache_beam", reason="Apache Beam has an environment of its own: make test-beam"
    )
    corpus = write_jsonl(tmp_path / "a.jsonl", small_texts(200, words=30))

    def build(name, **how):
        build_shards(
            [str(corpus)],
            str(tokenizer_dir),
            str(tmp_path / name),
            seq_len=16,
            packing=packing,
            shard_bytes=3000,
            **how,
        )
        return contents(tmp_path / name)

    plain = build("plain")
    assert len(plain) > 8
    for workers in (1, 2):
        assert build(f"beam{workers}", runner="DirectRunner", workers=workers) == plain


def test_failures_leave_nothing(tmp_path, tokenizer_dir):
    pytest.importorskip(
        "apache_beam", reason="Apache Beam has an environment of its own: make test-beam"
    )
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n' * 50 + "broken\n")
    with pytest.raises(UserError, match="a.jsonl:51"):
        build_shards(
            [str(tmp_path / "a.jsonl")],
            str(tokenizer_dir),
            str(tmp_path / "o"),
            seq_len=16,
            runner="DirectRunner",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_without_beam_its_environment_is_named(tmp_path, tokenizer_dir, monkeypatch):

    monkeypatch.setitem(sys.modules, "apache_beam", None)
    corpus = write_jsonl(tmp_path / "a.jsonl", small_texts(3))
    with pytest.raises(UserError, match="make env-beam"):
        build_shards(
            [str(corpus)],
            str(tokenizer_dir),
            str(tmp_path / "out"),
            seq_len=16,
            runner="DirectRunner",
        )
    assert not (tmp_path / "out").exists()
