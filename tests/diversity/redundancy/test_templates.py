"""Openings, headings and phrases planted in texts are found with their exact numbers."""

import random

import pytest

from divsyn_jax.diversity.redundancy import templates

WORDS = [f"word{number}" for number in range(5000)]


def _filler(seed: int, length: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def test_openings_are_counted_by_their_length():
    texts = [f"As a language model I think {_filler(n)}" for n in range(7)]
    texts += [f"As a reader you know {_filler(n)}" for n in range(7, 10)]
    texts += [_filler(n) for n in range(10, 30)]
    found = {each.words: each for each in templates.shared_openings(texts)}
    assert [found[size].sharing for size in (3, 5, 8)] == [10, 10, 0]
    assert found[3].commonest[0].text == "as a language"
    assert found[5].commonest[1].text == "as a reader you know"
    assert found[5].commonest[0].texts == tuple(range(7))
    assert found[5].distinct == 22


def test_openings_of_a_script_without_spaces_are_found():
    pytest.importorskip("icu4py")
    texts = [f"今天的天气非常好我们一起去公园散步{number}号" for number in range(4)]
    assert templates.shared_openings(texts)[0].sharing == 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# Cells\n## What is it?\ntext\n### In 3 steps ###\n", ["what is it?", "in 0 steps"]),
        ("**Summary**\ntext\n__More:__\n", ["summary", "more"]),
        ("Question: why?\nAnswer: so.\n", ["question", "answer"]),
        ("See https://a.example/b and 12:30.\n", []),
        ("He told the others who came later that day: no.\n", []),
        ("## One\n# Not a title any more\n", ["one", "not a title any more"]),
        ("Überblick:\nText\n", ["überblick"]),
        ("# " + " " * 5000 + "#" * 5000 + " x\n", []),
    ],
)
def test_headings(text, found):
    assert templates.headings(text) == found


def test_skeletons_are_shared_whatever_the_title_and_numbers():
    texts = [f"# {n}\n## Introduction\n{_filler(n)}\n## Chapter {n}\nx" for n in range(4)]
    texts += [f"# {n}\n## Method\n{_filler(n)}" for n in range(2)] + [_filler(9)]
    found = templates.shared_headings(texts, 5)
    assert (found.texts, found.sharing) == (6, 6)
    assert [each.text for each in found.skeletons] == ["introduction | chapter 0", "method"]
    assert [len(each.texts) for each in found.headings] == [4, 4, 2]


def test_a_planted_phrase_is_found_whole_and_once():
    phrase = "in this section we will explore the many ways in which"
    texts = [f"{_filler(n, 30)} {phrase} {_filler(n + 500, 30)}" for n in range(40)]
    texts += [_filler(n) for n in range(1000, 1040)]
    found = templates.shared_phrases(texts, 5)
    assert found[0].text == phrase
    assert found[0].texts == tuple(range(40))
    assert all(phrase.split()[0] not in each.text.split() for each in found[1:])


def test_a_phrase_stops_where_its_texts_part():
    texts = [f"{_filler(n, 5)} a b c d e f g h {_filler(n + 99, 20)}" for n in range(6)]
    (found,) = templates.shared_phrases(texts, 5)
    assert (found.text, found.size) == ("a b c d e f g h", 8)


def test_short_and_empty_texts_have_no_phrases():
    assert templates.shared_phrases(["one two", "", "three"], 5) == []
    assert templates.shared_phrases([], 5) == []


def test_phrase_overlap_is_the_jaccard_index():
    assert templates.phrase_overlap("a b c d", "a b c e") == pytest.approx(1 / 3)
    assert templates.phrase_overlap("a b", "A B") == 1
    assert templates.phrase_overlap("", "") == 1
    assert templates.phrase_overlap("a b c d e", "v w x y z") == 0
