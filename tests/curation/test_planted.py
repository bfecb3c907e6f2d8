"""Planted copies and leaks are found, and clean documents are left alone."""

import random

import numpy as np
import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import near_duplicates
from divsyn_jax.curation.evaluation_items import read_items
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.curation.sketching import sketch_corpus
from divsyn_jax.data.readers.options import ReadOptions
from tests.curation.planted import dropped_words, in_disguise, passage, write_records

NONE = CurationSettings(workers=1)


def sketched(tmp_path, texts, items=None, settings=NONE):
    corpus = write_records(tmp_path / "corpus.jsonl", ({"text": text} for text in texts))
    folder = tmp_path / "sketches"
    folder.mkdir()
    file = None
    if items is not None:
        file = folder / "items.npz"
        read_items([write_records(tmp_path / "items.jsonl", items)], ReadOptions()).save(file)
    return sketch_corpus(corpus, settings, file, folder)


@pytest.mark.parametrize("words", [60, 250])
def test_near_duplicates_with_a_twelfth_of_their_words_dropped_are_found(tmp_path, words):
    rng = random.Random(words)
    texts = [passage(rng, words) for _ in range(400)]
    copies = [dropped_words(rng, text) for text in texts[:200]]
    sketches = sketched(tmp_path, texts + copies)
    of_N, similarity_N = near_duplicates.near_repeats(sketches, np.ones(600, bool), 0.45)
    assert (of_N[:400] < 0).all()
    assert (of_N[400:] == np.arange(200)).mean() >= 0.95
    found = of_N >= 0
    exact = [_jaccard((texts + copies)[i], texts[of_N[i]]) for i in np.flatnonzero(found)]
    np.testing.assert_allclose(similarity_N[found], exact, atol=1e-6)


def _jaccard(first, second):
    from divsyn_jax.curation.ngrams import normalised_words

    sets = []
    for text in (first, second):
        found = normalised_words(text)
        sets.append({tuple(found[place : place + 3]) for place in range(len(found) - 2)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_leaks_of_thirteen_words_are_found_and_clean_documents_are_not(tmp_path):
    rng = random.Random(1)
    items = [
        {"id": f"item-{number}", "question": passage(rng, 30), "choices": [passage(rng, 5)] * 4}
        for number in range(200)
    ]
    clean = [passage(rng, 120) for _ in range(1000)]
    leaky = []
    for number in range(200):
        words = items[number]["question"].replace(",", "").replace(".", "").split()
        start = rng.randrange(len(words) - 12)
        leak = in_disguise(rng, words[start : start + 13])
        leaky.append(f"{passage(rng, 50)} {leak} {passage(rng, 50)}")
    sketches = sketched(tmp_path, clean + leaky, items)
    found = {document: leak.item for document, leak in sketches.leaks.items()}
    right = sum(found.get(1000 + number) == number for number in range(200))
    assert right >= 198
    assert sum(document < 1000 for document in found) <= 1


LETTERS = "a b c d e f g h i j k l m n"
EIGHT = "one two three four five six seven eight"
MARKS = "it's \ufb01ne to stay \u00adwith the old mill by Ärger a b"
OTHER_MARKS = "IT\u2019S FINE to stay with the old MILL by äRGER a b"
HAN = "我们今天去北京大学看望老师和同学然后回家吃饭休息睡觉"


@pytest.mark.parametrize(
    ("item", "document", "leaks"),
    [
        # Twelve words of a longer text are too few, thirteen are a leak.
        (LETTERS, "x a b c d e f g h i j k l y", False),
        (LETTERS, "x b c d e f g h i j k l m n y", True),
        # A text of 8 to 12 words counts whole.
        (EIGHT, f"x {EIGHT}", True),
        (EIGHT, EIGHT.replace("eight", "nine"), False),
        # Quotation marks, compatible forms, soft hyphens and case are no difference.
        (MARKS, OTHER_MARKS, True),
        # Scripts without spaces.
        (HAN, f"昨天{HAN}了", True),
        # Words of two documents in a row are of none.
        ("a b c d e f g h i j k l m", "a b c d e f g", False),
    ],
)
def test_what_a_leak_is(tmp_path, item, document, leaks):
    sketches = sketched(tmp_path, [document, "h i j k l m"], [{"q": item}])
    assert (0 in sketches.leaks) == leaks
    assert 1 not in sketches.leaks


def test_a_question_and_its_answer_are_one_text(tmp_path):
    item = {"text": "a b c d e f g h i j", "choices": ["no", "k l m n"], "label": 1}
    sketches = sketched(tmp_path, ["x b c d e f g h i j: k l m n o p", "k l m n"], [item])
    assert sketches.leaks[0].item == 0
    assert 1 not in sketches.leaks


def test_items_too_short_to_be_looked_for_are_counted(tmp_path):
    path = write_records(tmp_path / "i.jsonl", [{"q": "a b c"}, {"q": "a b c d e f g h"}])
    assert read_items([path], ReadOptions()).unchecked == 1
    short = write_records(tmp_path / "short.jsonl", [{"q": "a b c"}])
    with pytest.raises(UserError, match="none of its 1 items"):
        read_items([short], ReadOptions())


def test_exact_duplicates_are_of_the_first(tmp_path):
    sketches = sketched(tmp_path, ["a", "b", "a", "a ", "b", "a"])
    of_N = near_duplicates.exact_duplicates(sketches.digests_N2)
    assert of_N.tolist() == [-1, -1, 0, -1, 1, 0]


def test_short_and_wordless_documents_are_no_copies_of_others(tmp_path):
    sketches = sketched(tmp_path, ["!!!", "???", "one", "two", "one two", "one!", "..."])
    of_N, _ = near_duplicates.near_repeats(sketches, np.ones(7, bool), 0.45)
    assert of_N.tolist() == [-1, -1, -1, -1, -1, 2, -1]


def test_copies_without_number_cost_linearly_many_pairs():
    bands = [np.zeros(2000, np.uint64)]
    earlier_P, later_P = near_duplicates.candidate_pairs(bands, np.arange(2000))
    assert len(earlier_P) < 2000 * 25
    assert (earlier_P < later_P).all()
    assert set(later_P.tolist()) == set(range(1, 2000))  # each meets one before it
    of_N, _ = near_duplicates.first_come(earlier_P, later_P, np.ones(len(later_P)), 2000)
    assert (of_N[1:] == 0).all()


def test_what_repeats_a_dropped_document_only_stays():
    # 1 is near 0, 2 is near 1 and not near 0.
    of_N, _ = near_duplicates.first_come(np.array([0, 1]), np.array([1, 2]), np.ones(2), 3)
    assert of_N.tolist() == [-1, 0, -1]
