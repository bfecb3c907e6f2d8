"""Whole groups of a stream, and the field that names them."""

import collections
import json

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity.estimation.whole_groups import GroupSampler
from divsyn_jax.diversity.sampling import read_sample
from tests.diversity.corpora import write_records


def kept(seed, room, groups=40, size=5):
    """The groups kept of `groups` interleaved ones."""
    sampler = GroupSampler("g", room, seed)
    for index in range(groups * size):
        sampler.add(f"g{index % groups}", index, f"text {index}", "")
    return sampler.documents(labelled=False)


def test_groups_are_whole_and_the_rest_is_counted():
    found = kept(seed=0, room=33)
    counts = collections.Counter(found.groups)
    assert set(counts.values()) == {5}
    assert 5 <= len(counts) <= 6
    assert found.left_out == 200 - len(found)
    assert found.index == sorted(found.index)
    assert [f"g{index % 40}" for index in found.index] == found.groups
    assert kept(seed=0, room=200).left_out == 0


def test_every_group_is_as_likely():
    counts = collections.Counter(
        group for seed in range(400) for group in set(kept(seed, 50, 20, 5).groups)
    )
    # 10 of 20 groups fit: 200 of 400 each, with a standard deviation of 10.
    assert len(counts) == 20
    assert 155 < min(counts.values()) <= max(counts.values()) < 245


def sample(path, documents=5000, field="prompt_id"):
    return read_sample(
        str(path),
        ReadOptions(),
        documents=documents,
        label_field=None,
        seed=0,
        group_field=field,
    )


def records(values):
    return [{"text": f"text {number}", "prompt_id": value} for number, value in enumerate(values)]


def test_numbers_and_texts_name_groups_and_the_sample_stays_uniform(tmp_path):
    path = write_records(tmp_path / "c.jsonl", records([1, 1, "a", "a", 2.5, True] * 10))
    found = sample(path)
    assert found.grouped.groups[:6] == ["1", "1", "a", "a", "2.5", "True"]
    assert found.grouped.index == found.index_N.tolist()
    few = sample(path, documents=30)
    assert len(few) == 30
    assert set(collections.Counter(few.grouped.groups).values()) <= {10, 20}
    assert len(few.grouped) + few.grouped.left_out == 60
    other = write_records(tmp_path / "d.jsonl", records([1, 1, "a", "b", 2.5, True] * 10))
    assert sample(other).group_fingerprint != found.group_fingerprint
    assert sample(other).fingerprint == found.fingerprint


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"id": 1}, r"c.jsonl:3: field 'prompt_id' holds dict"),
        ([1], r"c.jsonl:3: field 'prompt_id' holds list"),
        (None, r"c.jsonl:3: no group in field 'prompt_id' \(it has: text, prompt_id\)"),
        ("\ud800", r"c.jsonl:3: the group in field 'prompt_id' holds half a surrogate"),
    ],
)
def test_a_group_that_is_none_is_named(tmp_path, value, message):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records([1, 2, value, 3])))
    with pytest.raises(UserError, match=message):
        sample(path)


def test_groups_larger_than_the_sample_are_refused(tmp_path):
    path = write_records(tmp_path / "c.jsonl", records(["a"] * 20 + ["b"] * 20))
    with pytest.raises(UserError, match="every group .* over 10 documents; raise --max_documents"):
        sample(path, documents=10)
