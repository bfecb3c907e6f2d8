import sqlite3
import stat

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding import embeddings
from divsyn_jax.embedding.pieces import Pieces
from divsyn_jax.embedding.store import FILE


class Letters:
    """A model whose vectors are the first letters of a text; it remembers what it embedded."""

    name, weights, precision, max_pieces, reads_by_letter = "letters", "0", "float32", 8, True

    def __init__(self, batch: int = 64) -> None:
        self.embedded: list[str] = []
        self.batch = batch

    def read(self, texts):
        return [
            Pieces(np.frombuffer(text.encode()[:8], np.uint8).astype(np.int32), text, True, 0, 0, 0)
            for text in texts
        ]

    def encode(self, texts):
        for start in range(0, len(texts), self.batch):
            some = texts[start : start + self.batch]
            self.embedded += [text.text for text in some]
            vectors = np.array([[*text.ids_L[:3], 1, 1, 1][:3] for text in some], np.float32)
            yield np.arange(start, start + len(some)), vectors


def embed(model, texts, cache=None):
    return embeddings.embed(model.read(texts), model, cache)


@pytest.fixture
def store(tmp_path):
    """A store of three vectors, and its rows."""
    embed(Letters(), ["one", "two", "six"], tmp_path)
    return sqlite3.connect(tmp_path / FILE, isolation_level=None)


def test_a_warm_cache_gives_equal_vectors_without_the_model(tmp_path):
    cold = embed(Letters(), ["one", "two", "one"], tmp_path)
    warm = Letters()
    assert np.array_equal(embed(warm, ["one", "two", "one"], tmp_path), cold)
    assert not warm.embedded
    assert np.array_equal(cold[0], cold[2])
    assert np.linalg.norm(cold, axis=1) == pytest.approx(1, abs=1e-6)


def test_each_distinct_text_is_embedded_once(tmp_path):
    model = Letters()
    embed(model, ["a", "b", "a", "a"], tmp_path)
    embed(model, ["c", "a"], tmp_path)
    assert sorted(model.embedded) == ["a", "b", "c"]


def test_a_kill_in_the_middle_keeps_what_was_embedded(tmp_path):
    texts = [f"{number:03} text" for number in range(200)]

    class Killed(Letters):
        def encode(self, some):
            for number, batch in enumerate(super().encode(some)):
                if number == 2:
                    raise KeyboardInterrupt
                yield batch

    with pytest.raises(KeyboardInterrupt):
        embed(Killed(), texts, tmp_path)
    again = Letters()
    embed(again, texts, tmp_path)
    assert len(again.embedded) == 200 - 2 * 64


@pytest.mark.parametrize("attribute", ["weights", "precision", "max_pieces"])
def test_the_key_depends_on_the_model(attribute):
    model = Letters()
    (text,) = model.read(["text"])
    key = embeddings._key(text, model)
    setattr(model, attribute, 64)
    assert embeddings._key(text, model) != key


def test_a_damaged_cache_is_named(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(UserError, match=r"embeddings\.sqlite: embedding cache unusable"):
        embed(Letters(), ["text"], tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE unit_vectors SET vector = substr(vector, 1, 4)",
        "UPDATE unit_vectors SET vector = x'007e007e007e'",
        "UPDATE unit_vectors SET vector = 'text'",
        "UPDATE unit_vectors SET vector = (SELECT vector FROM unit_vectors WHERE rowid = 1)",
        "UPDATE unit_vectors SET vector = x''",
    ],
    ids=["cut", "nan", "text", "another's", "empty"],
)
def test_damaged_rows_are_computed_anew_and_said(tmp_path, store, capsys, damage):
    expected = embed(Letters(), ["one", "two", "six"])
    store.execute(damage + " WHERE rowid > 1")
    model = Letters()
    assert np.array_equal(embed(model, ["one", "two", "six"], tmp_path), expected)
    assert len(model.embedded) == 2
    assert "2 stored vectors are damaged; they are computed anew" in capsys.readouterr().err
    embed(model, ["one", "two", "six"], tmp_path)
    assert len(model.embedded) == 2  # mended
    assert "damaged" not in capsys.readouterr().err


def test_a_forged_row_with_nan_is_not_believed(tmp_path, store):
    from divsyn_jax.embedding.store import _digest

    forged = np.full(3, np.nan, "<f2").tobytes()
    for (key,) in store.execute("SELECT key FROM unit_vectors").fetchall():
        digest = _digest(key, forged)
        store.execute("UPDATE unit_vectors SET vector = ?, digest = ?", (forged, digest))
    assert np.isfinite(embed(Letters(), ["one", "two", "six"], tmp_path)).all()


def test_only_the_owner_reads_the_store(tmp_path, store):
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    embed(Letters(), ["one"], tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_vectors_are_stored_as_float16(store):
    rows = store.execute("SELECT vector FROM unit_vectors").fetchall()
    assert [len(content) for (content,) in rows] == [2 * 3] * 3


def test_a_vector_without_direction_is_an_error():
    class Zero(Letters):
        def encode(self, texts):
            yield np.arange(len(texts)), np.zeros((len(texts), 3), np.float32)

    with pytest.raises(UserError, match="letters: a document has no direction"):
        embed(Zero(), ["one"])
