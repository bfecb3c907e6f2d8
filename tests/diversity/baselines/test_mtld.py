import random

import pytest

from divsyn_jax.diversity.baselines import Settings, compute, largest_shared_text
from divsyn_jax.diversity.baselines.mtld import mtld


def _passes(words):
    """Forward and backward words per factor, by ratios recomputed from each stretch."""
    found = []
    for order in (words, words[::-1]):
        factors, start = 0.0, 0
        for end in range(1, len(order) + 1):
            stretch = order[start:end]
            if len(set(stretch)) / len(stretch) <= 0.72:
                factors, start = factors + 1, end
        rest = order[start:]
        if rest:
            factors += (1 - len(set(rest)) / len(rest)) / 0.28
        found.append(len(order) / factors)
    return found


def test_equals_the_slow_reference():
    rng = random.Random(0)
    for vocabulary in (3, 20, 90):
        words = [f"w{rng.randrange(vocabulary)}" for _ in range(700)]
        assert mtld(words) == pytest.approx(sum(_passes(words)) / 2)


def test_by_hand():
    # a b a: ratio 2/3 is a factor; then b a b: another. Six words, two factors, both ways.
    assert mtld(list("ababab")) == 3
    # Forward: a b c d a (0.8) is no factor: the part 0.2 / 0.28 of one.
    assert mtld(list("abcda")) == pytest.approx(5 / (0.2 / 0.28))
    assert mtld(list("abc")) is None
    assert mtld([]) is None


def test_more_words_of_one_kind_move_it_little_and_copies_move_it_much(make_sample):
    def value(texts):
        sample = make_sample([{"text": text} for text in texts])
        shared = largest_shared_text(sample.texts, 100_000)
        return compute(sample, shared, Settings(("mtld",)), None)["mtld"]["value"]

    rng = random.Random(0)
    texts = [" ".join(f"w{rng.randrange(200)}" for _ in range(20)) for _ in range(200)]
    assert value(texts[:50]) == pytest.approx(value(texts), rel=0.15)
    assert value(texts[:1] * 200) < value(texts) / 3
    one = " ".join(texts[:50])
    assert value([one.upper()]) == value([one])  # without case
