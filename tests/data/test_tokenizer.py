"""The tokenizer loses nothing, is the same every time, and is trained on equal bytes."""

import pathlib

import pytest

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.tokenizer_trainer import _sentences, train_tokenizer
from tests.conftest import small_texts, write_jsonl

HARD = [
    "plain",
    "  two leading, one trailing ",
    "tabs\tand\nnew\n\n\nlines\r\n",
    "double  spaces   kept",
    "ünïcödé ﬁ ligature, ½, İ, 漢字, 🐝👩‍🚀",
    "nul \x00 and bell \x07",
    "e\u0301 combining and \u00e9 composed",
    "",
    " ",
    "1234567890",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tok")
    corpus = write_jsonl(folder / "a.jsonl", small_texts(200))
    train_tokenizer([str(corpus)], str(folder / "tokenizer"), 400)
    return folder / "tokenizer"


def test_decoding_gives_back_the_text(trained):
    tokenizer = tokenizers.load_tokenizer(str(trained))
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(HARD)] == HARD
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id) == (400, 1, 2)


def test_real_text_round_trips(trained, shared_data):
    tokenizer = tokenizers.load_tokenizer(str(trained))
    texts = [
        document.text
        for _, document in zip(
            range(300), CorpusReader(str(shared_data / "real_wiki.jsonl.gz")), strict=False
        )
    ]
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(texts)] == texts


def test_training_is_deterministic(trained, tmp_path):
    corpus = write_jsonl(tmp_path / "other_name.jsonl.gz", small_texts(200))
    train_tokenizer([str(corpus)], str(tmp_path / "tokenizer"), 400)
    assert (
        tokenizers.load_tokenizer(str(tmp_path / "tokenizer")).sha256
        == tokenizers.load_tokenizer(str(trained)).sha256
    )


def test_every_corpus_gives_equal_bytes(tmp_path):
    small = write_jsonl(tmp_path / "small.jsonl", ["s" * 100] * 200)
    large = write_jsonl(tmp_path / "large.jsonl", ["l" * 100] * 20_000)
    from divsyn_jax.data.readers.corpus import ReadOptions

    text = "".join(
        _sentences([str(small), str(large)], [20_000, 2_000_000], 20_000, ReadOptions(), seed=0)
    )
    assert text.count("s") == 20_000
    assert 0.8 < text.count("l") / text.count("s") < 1.2


def test_errors_name_the_remedy(tmp_path):
    corpus = write_jsonl(tmp_path / "a.jsonl", ["too little"])
    with pytest.raises(UserError, match="smaller --vocab_size"):
        train_tokenizer([str(corpus)], str(tmp_path / "tokenizer"), 5000)
    assert not (tmp_path / "tokenizer").exists()
    with pytest.raises(UserError, match="make one with train_tokenizer"):
        tokenizers.load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer.model").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        tokenizers.load_tokenizer(str(tmp_path))


def test_a_damaged_hugging_face_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="not a Hugging Face tokenizer"):
        tokenizers.load_tokenizer(f"hf:{tmp_path}")


def test_outputs_that_cannot_be_replaced(tmp_path, monkeypatch):
    corpus = write_jsonl(tmp_path / "a.jsonl", small_texts(20))
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "model.bin").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    for output, message in (
        (".", "the current directory or one around it"),
        ("..", "the current directory or one around it"),
        (corpus, "is not a folder"),
        (tmp_path / "link", "is not a folder"),
        (tmp_path / "taken", "which this command did not write"),
        ("gs://bucket/tokenizer", "gs://bucket/tokenizer: is a URL; write to a local folder"),
    ):
        with pytest.raises(UserError, match=message):
            train_tokenizer([str(corpus)], str(output), 300)
    with pytest.raises(UserError, match="cannot be made a folder"):
        train_tokenizer([str(corpus)], str(corpus / "under"), 300)
    with (
        pytest.raises(UserError, match="is a URL"),
        files.kept_directory(pathlib.Path("s3://bucket/scores")),
    ):
        pass
    assert not list(pathlib.Path().iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "here", "link", "taken"]


def test_ids_with_gaps_are_all_below_the_size_of_the_vocabulary(tmp_path):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(
        models.BPE({"</s>": 0} | {piece: 10 + 3 * n for n, piece in enumerate(alphabet)}, [])
    )
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["</s>"])
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>").save_pretrained(
        tmp_path
    )
    loaded = tokenizers.load_tokenizer(f"hf:{tmp_path}")
    assert loaded.vocab_size == 10 + 3 * 255 + 1
    (ids,) = loaded.encode(["\u20ac zebra"])
    assert len(alphabet) < max(ids) < loaded.vocab_size
