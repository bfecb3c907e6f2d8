import datetime
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import Document, ReadOptions, TextFingerprint
from divsyn_jax.diversity import sampling

from .corpora import write_labelled, write_records


def _read(path, documents=100, label_field=None, seed=0):
    return sampling.read_sample(
        str(path), ReadOptions(), documents=documents, label_field=label_field, seed=seed
    )


def test_a_small_corpus_is_taken_whole(tmp_path):
    texts = ["one two", "three", "one two", "four five six"]
    sample = _read(write_records(tmp_path / "c.jsonl", [{"text": text} for text in texts]))
    assert sample.texts == texts
    assert sample.index_N.tolist() == [0, 1, 2, 3]
    assert (sample.documents, sample.words) == (4, 8)
    assert sample.words_sd == pytest.approx(np.std([2, 1, 2, 3], ddof=1))
    assert sample.exact_duplicates == sampling.DuplicateShare(0.25, 0.0)
    fingerprint = TextFingerprint()
    for text in texts:
        fingerprint.update(text)
    assert sample.fingerprint == fingerprint.hexdigest()


def test_the_sample_is_uniform_seeded_and_in_order(tmp_path):
    path = write_labelled(tmp_path / "c.jsonl", [40])
    seen = Counter()
    for seed in range(400):
        sample = _read(path, documents=10, seed=seed)
        assert sorted(set(sample.index_N.tolist())) == sample.index_N.tolist()
        seen.update(sample.index_N.tolist())
    # 400 samples of 10 from 40: each document 100 times, standard deviation 8.7.
    assert max(abs(seen[index] - 100) for index in range(40)) < 40
    assert (
        sum((seen[index] - 100) ** 2 / 75 for index in range(40)) < 75
    )  # chi-square, 39 degrees: p = 0.0005
    assert (
        _read(path, documents=10, seed=7).index_N.tolist()
        == _read(path, documents=10, seed=7).index_N.tolist()
    )


def test_labels(tmp_path):
    sample = _read(write_labelled(tmp_path / "c.jsonl", [2, 1]), label_field="topic")
    assert sample.labels == ['"t0"', '"t0"', '"t1"']
    path = write_records(tmp_path / "d.jsonl", [{"text": "a", "topic": 1}, {"text": "b"}])
    with pytest.raises(UserError, match=r"d\.jsonl:2: no label in field 'topic' \(it has: text\)"):
        _read(path, label_field="topic")


def test_draws_are_uniform_without_replacement():
    draws_DK = sampling.draw_without_replacement(np.random.default_rng(0), 6, 60_000, 3)
    assert all(len(set(draw)) == 3 for draw in draws_DK.tolist())
    counts = Counter(map(tuple, draws_DK.tolist()))
    assert len(counts) == 6 * 5 * 4  # every ordered triple, 500 times each, standard deviation 22
    assert (
        sum((count - 500) ** 2 / 500 for count in counts.values()) < 175
    )  # chi-square, 119 degrees: p = 0.0006
    whole = sampling.draw_without_replacement(np.random.default_rng(0), 4, 10, 4)
    assert all(sorted(draw) == [0, 1, 2, 3] for draw in whole.tolist())


def test_draws_depend_on_the_corpus_and_the_seed(tmp_path):
    one, other = (
        _read(write_labelled(tmp_path / "a.jsonl", [50])),
        _read(write_labelled(tmp_path / "b.jsonl", [25, 25])),
    )
    assert np.array_equal(
        sampling.random_draws(one, 20, 5, seed=1), sampling.random_draws(one, 20, 5, seed=1)
    )
    assert not np.array_equal(
        sampling.random_draws(one, 20, 5, seed=1), sampling.random_draws(one, 20, 5, seed=2)
    )
    assert not np.array_equal(
        sampling.random_draws(one, 20, 5, seed=1), sampling.random_draws(other, 20, 5, seed=1)
    )
    # More draws go on from fewer: answers that an endpoint was paid for are used again.
    assert np.array_equal(
        sampling.random_draws(one, 35, 5, seed=1)[:20], sampling.random_draws(one, 20, 5, seed=1)
    )
    with pytest.raises(UserError, match="50 documents, fewer than --sample_size=51"):
        sampling.random_draws(one, 20, 51)


def test_duplicate_sketch_beyond_its_size():
    sketch = sampling.DuplicateSketch(digests=500)
    for index in range(20_000):
        for _ in range(1 + index % 3):  # one, two or three copies: half of the documents repeat one
            sketch.add(f"text {index}")
    share = sketch.share()
    assert len(sketch._count) <= 1000
    assert 0 < share.standard_error < 0.02
    assert abs(share.value - 0.5) < 4 * share.standard_error
    distinct = sampling.DuplicateSketch(digests=500)
    for index in range(20_000):
        distinct.add(f"text {index}")
    assert distinct.share() == sampling.DuplicateShare(0.0, 0.0)


def _labels(values, read=sampling._label):
    documents = [Document("text", {"topic": value}, "c:1") for value in values]
    if read is sampling._group:
        return [read(document, "topic") for document in documents]
    return [read(document, "topic", ()) for document in documents]


@pytest.mark.parametrize("read", [sampling._label, sampling._group])
def test_a_number_is_one_label_however_a_table_writes_it(read):
    """A column of whole numbers with one null is a column of floats, whose nulls are NaN."""
    assert len(set(_labels([1, 1.0, np.int64(1), np.float32(1)], read))) == 1
    assert len(set(_labels([1, 1.5, "x"], read))) == 3
    for missing in (None, float("nan"), np.float64("nan")):
        with pytest.raises(UserError, match=r"c:1: no (label|group) in field 'topic'"):
            _labels([missing], read)


def test_labels_that_json_does_not_have():
    assert _labels([np.array(["a"]), ["a"]]) == ['["a"]'] * 2
    assert _labels([b"a", "a"]) == ['"a"'] * 2
    assert _labels([datetime.date(2020, 1, 2), Decimal("1.50")]) == ['"2020-01-02"', '"1.50"']
    # Its words hold its place in memory, so that every document had a label of its own.
    for value in (object(), b"\xff", {1: 2, "a": 3}):
        with pytest.raises(UserError, match=r"c:1: the label in field .*what JSON cannot say"):
            _labels([value])
