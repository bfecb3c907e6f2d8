import random

import pytest

from divsyn_jax.base.words import count_words, first_words, words


def test_words_are_unicode_segments_with_a_letter_digit_or_pictograph():
    assert words("Don't stop, e.g. 3.14 (foo_bar) x-y -- __ C++") == [
        "Don't",
        "stop",
        "e.g",
        "3.14",
        "foo_bar",
        "x",
        "y",
        "C",
    ]
    assert words("na\u00efve \u201cdon\u2019t\u201d \u2014 \u00fcber") == [
        "na\u00efve",
        "don\u2019t",
        "\u00fcber",
    ]
    assert words("") == words(" \n") == words("...") == words("\u3002") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\u9ed1\u6d1e\u5e38\u5e38\u5f71\u54cd\u5b87\u5b99\u3002",
            ["\u9ed1\u6d1e", "\u5e38\u5e38", "\u5f71\u54cd", "\u5b87\u5b99"],
        ),
        (
            "\u0e14\u0e32\u0e23\u0e32\u0e28\u0e32\u0e2a\u0e15\u0e23\u0e4c\u0e21\u0e31\u0e01\u0e21\u0e35\u0e1c\u0e25",
            [
                "\u0e14\u0e32\u0e23\u0e32\u0e28\u0e32\u0e2a\u0e15\u0e23\u0e4c",
                "\u0e21\u0e31\u0e01",
                "\u0e21\u0e35",
                "\u0e1c\u0e25",
            ],
        ),
        (
            "\u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a\u1782\u17ba\u1787\u17b6\u1797\u17b6\u179f\u17b6",
            [
                "\u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a",
                "\u1782\u17ba\u1787\u17b6",
                "\u1797\u17b6\u179f\u17b6",
            ],
        ),
        (
            "\u0e9e\u0eb2\u0eaa\u0eb2\u0ea5\u0eb2\u0ea7\u0ec0\u0e9b\u0eb1\u0e99\u0e9e\u0eb2\u0eaa\u0eb2",
            [
                "\u0e9e\u0eb2\u0eaa\u0eb2",
                "\u0ea5\u0eb2\u0ea7",
                "\u0ec0\u0e9b\u0eb1\u0e99",
                "\u0e9e\u0eb2\u0eaa\u0eb2",
            ],
        ),
        ("\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8", ["\ud55c\uad6d\uc5b4", "\ud14d\uc2a4\ud2b8"]),
        # Javanese has no dictionary: grapheme clusters.
        ("\ua9a7\ua9b1\ua997\ua9ae", ["\ua9a7", "\ua9b1", "\ua997", "\ua9ae"]),
        ("\U0001f34e\U0001f34c \U0001f600", ["\U0001f34e", "\U0001f34c", "\U0001f600"]),
    ],
)
def test_every_script_has_words(text, expected):
    assert words(text) == expected
    assert count_words(text) == len(expected)


def test_half_a_surrogate_pair_moves_no_place():
    text = "\u00e4 a\ud800b \U0001f600 c"
    assert words(text) == ["\u00e4", "a", "b", "\U0001f600", "c"]
    assert first_words(text, 4) == "\u00e4 a\ud800b \U0001f600"


def test_first_words_end_with_a_word_and_keep_what_lies_between():
    assert first_words("a b.  c, d", 3) == "a b.  c"
    assert first_words("a b.", 2) == "a b."
    assert (
        first_words("\u9ed1\u6d1e\u5e38\u5e38\u5f71\u54cd\u5b87\u5b99\u3002", 2)
        == "\u9ed1\u6d1e\u5e38\u5e38"
    )
    thai = "\u0e14\u0e32\u0e23\u0e32\u0e28\u0e32\u0e2a\u0e15\u0e23\u0e4c\u0e21\u0e31\u0e01"
    text = f"{thai} (don\u2019t) \u00e9t\u00e9 x."
    for count in range(1, 6):
        assert words(first_words(text, count)) == words(text)[:count]


def test_the_pattern_for_ascii_is_the_annex():
    breaker = pytest.importorskip("icu4py.breakers").WordBreaker
    rng = random.Random(0)
    for _ in range(4000):
        text = "".join(rng.choice("aZ09_.':,;\"-/@ \t\n+#") for _ in range(rng.randrange(1, 14)))
        segments = [part for part in breaker(text, "root") if any(map(str.isalnum, part))]
        assert words(text) == segments, repr(text)
        # A neighbour beyond ASCII takes the other way through the module.
        assert words(f"{text} \u00e9")[:-1] == segments, repr(text)
