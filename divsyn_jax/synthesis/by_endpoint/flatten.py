"""An answer's parts as one plain text, whose lead-ins, option markers and answer labels vary from
document to document.

The published example documents vary in the same way; a fixed frame would be the one thing that all
documents share."""

import random
from collections.abc import Mapping
from typing import Any

_LEAD_INS = (
    "",
    "Question: ",
    "Q: ",
    "Exercise. ",
    "Check your understanding: ",
    "Consider the following question. ",
    "Test yourself. ",
    "Quiz: ",
    "Problem: ",
    "Something to think about: ",
)
_MARKERS = ("A.", "A)", "(A)", "A:", "a.", "a)", "(a)", "1.", "1)", "(1)", "[A]", "- A:")
_ANSWER_LABELS = (
    "Answer: {marker}",
    "Answer: {marker} {option}",
    "Correct answer: {marker} {option}",
    "The answer is {marker} {option}",
    "Solution: {marker}",
    "The right choice is {marker} {option}",
    "Key: {marker}",
)
_EXPLANATION_LABELS = (
    "",
    "Explanation: ",
    "Why: ",
    "Reasoning: ",
    "Here is why. ",
    "Step by step: ",
)
_ALPHABETS = {"A": "ABCD", "a": "abcd", "1": "1234"}


def flatten(document: Mapping[str, Any], rng: random.Random) -> str:
    """Passages, question, options in a random order, answer and explanation (the answer now and
    then comes last).
    """
    question = document["question"]
    options = [" ".join(option.split()) for option in question["options"]]
    right = options[question["answer"] - 1]
    rng.shuffle(options)
    form = rng.choice(_MARKERS)
    symbol = next(symbol for symbol in _ALPHABETS if symbol in form)
    markers = [form.replace(symbol, name) for name in _ALPHABETS[symbol]]
    answer = rng.choice(_ANSWER_LABELS).format(
        marker=_bare(markers[options.index(right)]), option=right
    )
    explanation = rng.choice(_EXPLANATION_LABELS) + question["explanation"].strip()
    closing = [answer, explanation] if rng.random() < 0.7 else [explanation, answer]
    listed = (f"{marker} {option}" for marker, option in zip(markers, options, strict=True))
    return "\n\n".join(
        [
            *(passage["text"].strip() for passage in document["passages"]),
            rng.choice(_LEAD_INS) + question["question"].strip() + "\n" + "\n".join(listed),
            "\n".join(closing),
        ]
    )


def _bare(marker: str) -> str:
    """A marker as running text names it: (A) stays, A. and A: lose their point."""
    return marker.removeprefix("- ").rstrip(".:")
