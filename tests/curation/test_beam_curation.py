"""Curation on Apache Beam: the bytes that the process pool writes.

Needs the environment of `make env-beam`.
"""

import random
import sys

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import sketching
from divsyn_jax.curation.curation import curate_corpus
from divsyn_jax.curation.settings import CurationSettings
from tests.curation.planted import dropped_words, passage, write_records


def corpus_and_items(tmp_path):
    rng = random.Random(0)
    texts = [passage(rng, 60) for _ in range(60)]
    items = write_records(tmp_path / "items.jsonl", ({"q": text} for text in texts[:5]))
    texts += texts[:10] + [dropped_words(rng, text, 0.05) for text in texts[10:30]]
    return write_records(tmp_path / "c.jsonl", ({"text": text} for text in texts)), items


def test_the_runner_and_its_workers_change_no_byte(tmp_path, monkeypatch):
    pytest.importorskip(
        "apache_beam", reason="Apache Beam has an environment of its own: make test-beam"
    )
    monkeypatch.setattr(sketching, "_BLOCK_CHARACTERS", 5_000)
    corpus, items = corpus_and_items(tmp_path)

    def curated(name, **how):
        settings = CurationSettings(decontaminate=(items,), score_documents=0, **how)
        curate_corpus(corpus, settings, tmp_path / name)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    plain = curated("plain", workers=1)
    for workers in (1, 2):
        assert curated(f"beam{workers}", runner="DirectRunner", workers=workers) == plain
    assert not list(tmp_path.glob(".beam-*"))


def test_without_beam_its_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    corpus, _ = corpus_and_items(tmp_path)
    settings = CurationSettings(runner="DirectRunner", score_documents=0)
    with pytest.raises(UserError, match="make env-beam"):
        curate_corpus(corpus, settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
