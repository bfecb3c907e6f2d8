"""Twins of small invented corpora in three scripts: what one structure of repetition gives in
English it gives in Chinese and Thai, which write no spaces.
"""

import random

import pytest

from divsyn_jax.diversity.baselines import (
    PARITY,
    Settings,
    baseline_names,
    common_shared_text,
    compute,
    largest_shared_text,
)
from divsyn_jax.diversity.baselines.baseline import BASELINES

# Word for word the same: animals, places and acts in the three languages.
LEXICON = {
    "en": (
        ["dog", "cat", "horse", "bird", "fish", "cow"],
        ["river", "mountain", "school", "market", "hospital", "house"],
        ["sleep", "sing", "walk", "eat", "work", "study"],
        "{0} often at {1} {2}, because {3} near {4}. {5} also like {6}.",
    ),
    "zh": (
        ["小狗", "小猫", "骏马", "小鸟", "鲤鱼", "母牛"],
        ["河流", "高山", "学校", "市场", "医院", "房子"],
        ["睡觉", "唱歌", "散步", "吃饭", "工作", "学习"],
        "{0}经常在{1}{2}，因为{3}靠近{4}。{5}也喜欢{6}。",
    ),
    "th": (
        ["สุนัข", "แมว", "ม้า", "นก", "ปลา", "วัว"],
        ["แม่น้ำ", "ภูเขา", "โรงเรียน", "ตลาด", "โรงพยาบาล", "บ้าน"],
        ["นอน", "ร้องเพลง", "เดิน", "กิน", "ทำงาน", "เรียน"],
        "{0}มักจะ{2}ที่{1}เพราะ{3}ใกล้{4}และ{5}ก็ชอบ{6}",
    ),
}
LEXICAL = [name for name in baseline_names() if BASELINES[name].needs == "texts"]


def _corpus(language, kind):
    """40 documents of six sentences: copies of one, documents of a few words, or of all."""
    animals, places, acts, template = LEXICON[language]
    vocabulary = 2 if kind == "narrow" else 6
    rng = random.Random(1)

    def sentence():
        lists = (animals, places, acts, animals, places, animals, acts)
        return template.format(*(words[rng.randrange(vocabulary)] for words in lists))

    join = " " if language == "en" else ""
    documents = [join.join(sentence() for _ in range(6)) for _ in range(40)]
    return documents[:1] * 40 if kind == "copies" else documents


def _values(make_sample, corpora, **settings):
    samples = [make_sample([{"text": text} for text in texts]) for texts in corpora]
    shared = common_shared_text([largest_shared_text(each.texts, 100_000) for each in samples])
    return [compute(each, shared, Settings(LEXICAL, **settings), None) for each in samples]


def test_every_lexical_metric_orders_twins_as_the_english(make_sample):
    kinds = ("copies", "narrow", "broad")
    found = {
        language: _values(make_sample, [_corpus(language, kind) for kind in kinds])
        for language in LEXICON
    }

    def order(language, name):
        values = [entry[name]["value"] for entry in found[language]]
        assert len(set(values)) == len(kinds), (language, name, values)
        return sorted(kinds, key=lambda kind: values[kinds.index(kind)])

    for name in LEXICAL:
        english = order("en", name)
        assert order("zh", name) == order("th", name) == english, name
        narrow, broad = english.index("narrow"), english.index("broad")
        assert (narrow < broad) == (BASELINES[name].direction == "up"), name


@pytest.mark.parametrize("language", ["zh", "th"])
def test_copies_of_one_document_repeat_themselves_in_every_script(make_sample, language):
    (copies,) = _values(make_sample, [_corpus(language, "copies")])
    (english,) = _values(make_sample, [_corpus("en", "copies")])
    assert copies["self_repetition"]["value"] == pytest.approx(
        english["self_repetition"]["value"], rel=0.15
    )
    assert copies["ngram_diversity"]["value"] < 1
    # The published package has white space alone.
    (published,) = _values(make_sample, [_corpus(language, "copies")], parity=PARITY)
    assert published["self_repetition"]["value"] is None
    assert "4 words" in published["self_repetition"]["reason"]


def test_context_length_counts_words_of_every_script(make_sample):
    sample = make_sample([{"text": text} for text in _corpus("zh", "broad")])
    shared = largest_shared_text(sample.texts, 100_000)
    found = compute(sample, shared, Settings(("context_length",)), None)["context_length"]
    assert found["value"] > 50
    assert found["quantiles"]["0.5"] > 50
