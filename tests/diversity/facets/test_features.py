import dataclasses

import numpy as np
import pytest

from divsyn_jax.diversity.facets.function_words import CLASSES
from divsyn_jax.diversity.facets.structure import layouts, same_structure
from divsyn_jax.diversity.facets.style import ROOT_VARIANCE, registers
from divsyn_jax.diversity.facets.text_parts import LINE_KINDS, text_parts
from divsyn_jax.diversity.facets.wording import fillings
from divsyn_jax.synthesis.grammar.formats import GRAMMAR_FORMATS, in_format

PROSE = (
    "The bees fly far. They carry pollen home, and the hive is warm. Nobody knows why. It rains."
    " The queen stays. Who feeds her? The workers do."
)


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("", "blank", ""),
        ("## Of bees", "heading", "Of bees"),
        ("---", "rule", ""),
        ("- fly home", "bullet", "fly home"),
        ("    * fly home", "indented item", "fly home"),
        ("3. Fly home.", "numbered", "Fly home."),
        ("> He said so.", "quote", "He said so."),
        ("| 1 | fly home |", "table", "fly home"),
        ("| - | - |", "table", ""),
        ("Ada: Why is that?", "label", "Ada: Why is that?"),
        ("**Note:** it is late.", "label", "Note: it is late."),
        ("<p>", "tag", ""),
        ("    return x", "code", ""),
        ("def fly(x):", "code", ""),
        ("x = fly(3);", "code", ""),
        ("public opinion was won;", "prose", "public opinion was won;"),
        ("A word on bees", "title", "A word on bees"),
        ("It is late.", "prose", "It is late."),
    ],
)
def test_lines_have_a_kind_and_lose_its_marks(line, kind, words):
    parts = text_parts(line or "\n")
    assert parts.kinds == (kind,)
    assert parts.running == words
    assert kind in LINE_KINDS


def test_code_between_fences_is_no_running_text():
    parts = text_parts("Look:\n```\nfor bee in hive:\n```\nDone.")
    assert parts.kinds == ("prose", "code", "code", "code", "prose")
    assert parts.running == "Look: Done."


def test_a_layout_leaves_the_running_text_and_the_style_as_they_were():
    running = [text_parts(in_format(PROSE, layout)).running for layout in GRAMMAR_FORMATS]
    plain = {text.replace("Beginning ", "").replace("Middle ", "") for text in running}
    assert {text.replace("End ", "") for text in plain} == {PROSE}
    laid_out = layouts([text_parts(in_format(PROSE, layout)) for layout in GRAMMAR_FORMATS])
    alike = same_structure(laid_out, laid_out)
    assert np.diag(alike) == pytest.approx(1)
    assert (alike - np.eye(len(GRAMMAR_FORMATS))).max() < 0.6


def test_structure_is_blind_to_words():
    one = [text_parts(f"# {word}\n\n- {word}\n- {word}\n") for word in ("bee", "star")]
    found = layouts(one)
    assert same_structure(found, found).min() == pytest.approx(1)


def test_style_parts_registers_and_not_subjects():
    def letter(a, b):
        return f"I am so glad you saw my {a}! Didn't you love it? We will bring you a {b}."

    def report(a, b):
        return f"The {a} is formally defined by its {b}; under ordinary conditions, it is stable."

    pairs = (("hive", "comb"), ("sextant", "star"), ("ledger", "debit"))
    texts = [write(*pair) * 4 for write in (letter, report) for pair in pairs]
    alike = registers(texts).same_style(slice(0, 6))
    assert alike[:3, :3].min() > 0.9
    assert alike[:3, 3:].max() < 0.1


def test_short_texts_are_no_more_diverse_in_style_than_long_ones():
    rng = np.random.default_rng(0)
    words = [word for name in sorted(CLASSES) for word in sorted(CLASSES[name])] + ["bee"] * 200

    def mean(length, corrected=True):
        texts = [" ".join(rng.choice(words, length)) + "." for _ in range(60)]
        found = registers(texts)
        if not corrected:
            found = dataclasses.replace(found, noise_N=np.zeros(60))
        return found.same_style(slice(0, 60)).mean()

    # One process writes all of them.
    assert mean(400) > 0.85
    assert mean(80) > 0.55
    assert mean(80, corrected=False) < 0.05


def test_a_count_tells_the_sampling_variance_of_its_root():
    rng = np.random.default_rng(0)
    for mean in (0.05, 0.3, 1, 2, 3, 5, 10):
        counts = rng.poisson(mean, 200_000)
        told = ROOT_VARIANCE[np.minimum(counts, len(ROOT_VARIANCE) - 1)].mean()
        assert told == pytest.approx(np.sqrt(counts).var(), abs=0.06)


def test_fillings_are_what_fills_one_place():
    found = fillings(["It is well known that bees fly.", "It is well established that ice melts."])
    same, choices = found.agreements(slice(0, 2))
    # "is well _ that" and "that _ _ .": two places that both fill, each with words of its own.
    assert choices[0, 1] == 2
    assert same[0, 1] == 0
    same, choices = fillings(["It is well known that bees fly."] * 2).agreements(slice(0, 2))
    assert same[0, 1] == choices[0, 1] >= 1
