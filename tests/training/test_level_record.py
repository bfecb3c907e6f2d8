"""What a run keeps about its data: sizes, level, and the score of the very corpus it reads."""

import json

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import Mixture, Source
from divsyn_jax.data.readers.corpus import CorpusReader, TextFingerprint
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.training import level_record as training_data


@pytest.fixture
def corpus(tmp_path, tokenizer_dir):
    """A corpus folder and its shards."""
    generate_corpus(Breadth(2, 2, 1), 20, 0, tmp_path / "corpus")
    file = tmp_path / "corpus" / "documents.jsonl.zst"
    build_shards([str(file)], str(tokenizer_dir), str(tmp_path / "shards"), seq_len=16)
    fingerprint = TextFingerprint()
    for document in CorpusReader(str(file)):
        fingerprint.update(document.text)
    return tmp_path, {
        "corpus": {"fingerprint": fingerprint.hexdigest()},
        "cluster_score": {"value": 3.5},
    }


def describe(root, level=None, tokens=None):
    return training_data.describe_level(
        level or {}, Mixture([Source("s", str(root / "shards"), 2.0, tokens)], 16, 0, 4)
    )


def test_sizes_and_level(corpus):
    root, score = corpus
    content = describe(root, {"name": "topic"})
    manifest = json.loads((root / "shards" / "manifest.json").read_text())
    assert content["level"] == {"name": "topic"}
    source = content["sources"]["s"]
    assert source["score"] is None
    assert source["weight"] == 2.0
    assert source["unique_tokens"] == manifest["targets"]
    assert source["windows"] == manifest["windows"]
    assert source["corpora"][0]["fingerprint"] == score["corpus"]["fingerprint"]
    limited = describe(root, tokens=160)["sources"]["s"]
    assert (limited["unique_tokens"], limited["windows"]) == (160, 10)


def test_the_level_of_the_shards_is_kept_unless_the_recipe_names_one(corpus):
    root, _ = corpus
    assert describe(root)["level"] == {}
    (root / "shards" / "level.json").write_text('{"name": "narrow", "topics": 2}')
    assert describe(root)["level"] == {"name": "narrow", "topics": 2}
    assert describe(root, {"name": "topic"})["level"] == {"name": "topic"}


@pytest.mark.parametrize("folder", ["shards", "corpus"])
def test_the_score_of_the_corpus_is_kept(corpus, folder):
    root, score = corpus
    (root / folder / "score.json").write_text(json.dumps(score))
    assert describe(root)["sources"]["s"]["score"] == score
    # A corpus with a score in its folder is still a corpus.
    assert len(list(CorpusReader(str(root / "corpus")))) == 20


@pytest.mark.parametrize("folder", ["shards", "corpus"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"corpus": {"fingerprint": "f" * 64}}, "score of another corpus or version"),
        ({"score": 3}, "not a score"),
    ],
)
def test_a_score_of_anything_else_is_refused(corpus, folder, content, message):
    root, _ = corpus
    (root / folder / "score.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"{folder}/score.json: .*{message}"):
        describe(root)
