"""Shards:

every token is a target once, output does not depend on workers, damage is named at opening.
"""

import hashlib
import json
import random
import shutil

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import shards
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.readers.corpus import TextFingerprint
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import ShardedWindows
from tests.conftest import conversations, small_texts, write_conversations, write_jsonl

TEXTS = small_texts(120, words=30)


def stream(tokenizer, texts):
    """The token stream by definition: BOS text EOS, one after the other."""
    return [
        token
        for ids in tokenizer.encode(texts)
        for token in (tokenizer.bos_id, *ids, tokenizer.eos_id)
    ]


def test_concat_windows_hold_the_stream(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    manifest = build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16)
    windows = ShardedWindows(tmp_path / "out")
    expected = stream(tokenizers.load_tokenizer(str(tokenizer_dir)), TEXTS)
    rebuilt = [int(windows[0][0])] + [int(t) for i in range(len(windows)) for t in windows[i][1:]]
    assert rebuilt == expected
    assert all(len(windows[i]) == 17 for i in range(len(windows) - 1))
    assert (
        manifest["targets"]
        == len(expected) - 1
        == sum(len(windows[i]) - 1 for i in range(len(windows)))
    )
    assert manifest["tokens"] == len(expected) - 2 * len(TEXTS)
    fingerprint = TextFingerprint()
    for text in TEXTS:
        fingerprint.update(text)
    assert manifest["sources"][0]["fingerprint"] == fingerprint.hexdigest()


def test_windows_never_cross_a_shard(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, shard_bytes=4000
    )
    windows = ShardedWindows(tmp_path / "out")
    bos = tokenizers.load_tokenizer(str(tokenizer_dir)).bos_id
    first = 0
    assert len(windows.manifest["shards"]) > 3
    for shard in windows.manifest["shards"]:
        assert windows[first][0] == bos  # a shard begins with a document
        first += shard["windows"]


def test_output_does_not_depend_on_workers(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)

    def digest(workers):
        out = tmp_path / f"out{workers}"
        build_shards(
            [str(corpus)],
            str(tokenizer_dir),
            str(out),
            seq_len=16,
            shard_bytes=3000,
            workers=workers,
        )
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}

    one = digest(1)
    assert one == digest(2)
    assert len(one) > 5


def test_document_packing(tmp_path, tokenizer_dir):
    texts = ["a", *TEXTS[:5], TEXTS[5] * 4]
    corpus = write_jsonl(tmp_path / "a.jsonl", texts)
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, packing="document"
    )
    windows = ShardedWindows(tmp_path / "out")
    tokenizer = tokenizers.load_tokenizer(str(tokenizer_dir))
    index = 0
    for text, document in zip(texts, windows.documents(), strict=True):
        ids = [tokenizer.bos_id, *tokenizer.encode([text])[0]]
        rebuilt = [int(windows[index][0])]
        for _ in range(document["windows"]):
            assert windows[index][0] == rebuilt[-1]
            rebuilt += [int(t) for t in windows[index][1:]]
            index += 1
        assert rebuilt == ids
        assert document["bytes"] == len(text.encode())
    assert index == len(windows)


def test_large_vocabularies_use_four_bytes():
    assert shards.token_dtype(65536) == np.dtype("<u2")
    assert shards.token_dtype(65537) == np.dtype("<u4")


def _flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated or replaced"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "truncated or replaced"),
        (lambda path: path.write_bytes(b"\7" * path.stat().st_size), "damaged"),
        (lambda path: _flip_a_bit(path), "damaged"),
    ],
)
def test_damaged_shards_are_named(tmp_path, tokenizer_dir, damage, message):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, shard_bytes=3000
    )
    damage(tmp_path / "out" / "shard-00002.array_record")
    with pytest.raises(UserError, match=rf"shard-00002.array_record: .*{message}"):
        ShardedWindows(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: [manifest], "not the manifest of shards"),
        (lambda manifest: {**manifest, "shards": []}, "'shards'"),
        (lambda manifest: {**manifest, "shards": ["x"]}, "'shards'"),
        (lambda manifest: {**manifest, "tokenizer": {}}, "'tokenizer'"),
        (lambda manifest: {**manifest, "dtype": "zz"}, "'dtype'"),
        (
            lambda manifest: {key: value for key, value in manifest.items() if key != "packing"},
            "'packing'",
        ),
    ],
)
def test_damaged_manifests_are_named(tmp_path, tokenizer_dir, change, message):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS[:5])
    manifest = build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16)
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(change(manifest)))
    with pytest.raises(UserError, match=rf"manifest.json: .*{message}.*build the shards again"):
        ShardedWindows(tmp_path / "out")


def test_damaged_documents_are_named(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS[:5])
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, packing="document"
    )
    for damage in ("[1, 2]", '[{"bytes": 3, "windows": 1}]', "{}"):
        (tmp_path / "out" / "documents.json").write_text(damage)
        with pytest.raises(UserError, match="documents.json: damaged"):
            ShardedWindows(tmp_path / "out").documents()


def test_output_that_is_not_shards_is_left_alone(tmp_path, tokenizer_dir, capsys):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS[:5])
    for name in ("taken/inner/thesis.txt", "noted/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("years of work")
        folder = tmp_path / name.split("/")[0]
        with pytest.raises(UserError, match="which this command did not write"):
            build_shards([str(corpus)], str(tokenizer_dir), str(folder), seq_len=16)
        assert (tmp_path / name).read_text() == "years of work"
    (tmp_path / "b.jsonl").write_text("broken\n")
    with pytest.raises(UserError):
        build_shards(
            [str(tmp_path / "b.jsonl")], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16
        )
    assert (
        capsys.readouterr().err == ""
    )  # no progress bar beside the one line that the command prints


def test_failure_leaves_nothing_behind(tmp_path, tokenizer_dir):
    corpus = tmp_path / "a.jsonl"
    corpus.write_text('{"text": "fine"}\n' * 50 + "broken\n")
    with pytest.raises(UserError, match="a.jsonl:51"):
        build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    with pytest.raises(UserError, match="make them with build_shards"):
        ShardedWindows(tmp_path / "out")


def test_the_first_tokens_alone(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    manifest = build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, shard_bytes=3000
    )
    whole = ShardedWindows(tmp_path / "out")
    for tokens in (1, 16, 17, manifest["shards"][0]["targets"], 1000, manifest["targets"]):
        part = ShardedWindows(tmp_path / "out", tokens)
        held = np.cumsum([len(whole[i]) - 1 for i in range(len(whole))])
        assert len(part) == 1 + np.searchsorted(held, tokens)
        assert np.array_equal(part[len(part) - 1], whole[len(part) - 1])
        assert part.fingerprint == whole.fingerprint
    with pytest.raises(UserError, match="1 fewer than are asked for"):
        ShardedWindows(tmp_path / "out", manifest["targets"] + 1)


@pytest.mark.parametrize("packing", ["document", "best_fit"])
def test_the_first_tokens_of_windows_that_are_not_full_are_refused(
    tmp_path, tokenizer_dir, packing
):
    if packing == "best_fit":
        corpus = write_conversations(tmp_path / "a.jsonl", conversations(20))
    else:
        corpus = str(write_jsonl(tmp_path / "a.jsonl", TEXTS))
    build_shards([corpus], str(tokenizer_dir), str(tmp_path / "out"), 160, packing)
    with pytest.raises(
        UserError, match=f"@100 takes shards packed as concat, these are {packing}; leave it out"
    ):
        ShardedWindows(tmp_path / "out", 100)


def test_windows_read_together(tmp_path, tokenizer_dir):
    corpus = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "out"), seq_len=16, shard_bytes=3000
    )
    windows = ShardedWindows(tmp_path / "out")
    indices = [5, len(windows) - 1, 0, 5]
    assert all(
        np.array_equal(a, windows[i]) for i, a in zip(indices, windows.read(indices), strict=True)
    )


def _with_content(shards, folder, content, **of_manifest):
    """A copy of a shards folder whose one file holds `content`, with a manifest that says so."""
    shutil.copytree(shards / "a", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (entry,) = manifest["shards"]
    (folder / entry["file"]).write_bytes(content)
    entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({**manifest, **of_manifest}))
    return folder


@pytest.mark.parametrize("kind", ["random", "empty", "half", "changed"])
def test_a_shard_that_the_library_cannot_read_is_one_line(shards, tmp_path, kind):
    (path,) = (shards / "a").glob("*.array_record")
    whole = path.read_bytes()
    content = {
        "random": random.Random(0).randbytes(len(whole)),
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "changed": bytes(byte ^ (place % 997 == 0) for place, byte in enumerate(whole)),
    }[kind]
    folder = _with_content(shards, tmp_path / "a", content)
    with pytest.raises(UserError, match="a shard cannot be read") as refused:
        ShardedWindows(str(folder)).read(range(20))
    assert "\n" not in str(refused.value)


def test_an_id_beyond_the_vocabulary_is_refused(shards, tmp_path):
    (path,) = (shards / "a").glob("*.array_record")
    tokenizer = json.loads((shards / "a" / "manifest.json").read_text())["tokenizer"]
    folder = _with_content(
        shards, tmp_path / "a", path.read_bytes(), tokenizer={**tokenizer, "vocab_size": 20}
    )
    opened = ShardedWindows(str(folder))
    with pytest.raises(UserError, match="in a vocabulary of 20"):
        opened.read(range(len(opened)))
