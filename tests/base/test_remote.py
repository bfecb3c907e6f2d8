"""Corpora and shards by URL, on fsspec's in-memory store, which stands for gs:// and s3:// (not
tested: no such store here).
"""

import gzip

import numpy as np
import pytest
import zstandard

from divsyn_jax.base import remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import Mixture, parse_sources
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.shard_builder import build_shards
from tests.conftest import small_texts, write_jsonl

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVSYN_CACHE", str(tmp_path / "cache"))
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


def texts(spec):
    return [document.text for document in CorpusReader(spec)]


def test_corpora_are_read_in_every_form(store, tmp_path):
    written = small_texts(20)
    data = write_jsonl(tmp_path / "a.jsonl", written).read_bytes()
    store.pipe("/c/a.jsonl", data)
    store.pipe("/c/b.jsonl.gz", gzip.compress(data))
    store.pipe("/c/c.jsonl.zst", zstandard.compress(data))
    store.pipe("/c/manifest.json", b"{\n}\n")
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "b*"):
        assert texts(f"memory://c/{name}") == written
    assert texts("memory://c") == 3 * written
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": written}), tmp_path / "d.parquet")
    store.pipe("/d/d.parquet", (tmp_path / "d.parquet").read_bytes())
    assert texts("memory://d/d.parquet") == written


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://c/none.jsonl", "nothing there"),
        ("memory://x/picture.png", "unknown format; use .jsonl"),
        ("nowhere://c/a.jsonl", "nowhere://c/a.jsonl: .*nowhere"),
        ("filecache::file:///etc/passwd", "a chain of addresses"),
        ("zip://a.jsonl::memory://x/picture.png", "a chain of addresses"),
        ("reference://x", "cannot be read .*missing 1 required"),
        ("ftp://127.0.0.1:9/x.jsonl", "cannot be read .*refused"),
    ],
)
def test_what_is_not_there_is_named(store, url, message):
    store.pipe("/x/picture.png", b"x")
    with pytest.raises(UserError, match=message):
        texts(url)


def test_shards_are_copied_once_and_checked(store, tmp_path, tokenizer_dir, monkeypatch):
    corpus = write_jsonl(tmp_path / "a.jsonl", small_texts(60))
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "a"), seq_len=16, shard_bytes=3000
    )
    store.put(str(tmp_path / "a"), "/shards/a", recursive=True)
    local = Mixture(parse_sources("a", str(tmp_path)), 16, 0, 4)
    for _ in range(2):
        there = Mixture(parse_sources("a", "memory://shards"), 16, 0, 4)
        assert there.identity == local.identity
        assert np.array_equal(next(there.batches(0))["tokens"], next(local.batches(0))["tokens"])
        monkeypatch.setattr(remote.shutil, "copyfileobj", lambda *_: 1 / 0)  # not a second time
    copied = next((tmp_path / "cache").rglob("shard-00001.array_record"))
    copied.write_bytes(b"x" + copied.read_bytes()[1:])
    with pytest.raises(UserError, match="shard-00001.array_record: damaged"):
        Mixture(parse_sources("a", "memory://shards"), 16, 0, 4)
    with pytest.raises(UserError, match="memory://shards/b: no shards there"):
        Mixture(parse_sources("b", "memory://shards"), 16, 0, 4)


def test_roots_and_urls_are_joined():
    assert remote.join_url("gs://b/root/", "x") == "gs://b/root/x"
    assert remote.join_url("root", "s3://b/x") == "s3://b/x"
    assert remote.join_url("gs://b", "/abs") == "/abs"
    assert remote.join_url("root", "x") == "root/x"
    assert [source.folder for source in parse_sources("a=gs://b/x@5:2,y", "r")] == [
        "gs://b/x",
        "r/y",
    ]
