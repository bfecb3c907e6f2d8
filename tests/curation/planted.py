"""Corpora into which copies and evaluation items were planted, so that what is to be found is
known."""

import json
import pathlib
import random

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "ra", "lto", "")]


def passage(rng: random.Random, words: int) -> str:
    """Words drawn at random, in sentences."""
    found = [rng.choice(VOCABULARY) for _ in range(words)]
    for place in range(9, words, 10):
        found[place] = f"{found[place]}.\n" if rng.random() < 0.1 else f"{found[place]},"
    return " ".join(found)


def dropped_words(rng: random.Random, text: str, share: float = 0.08) -> str:
    """The text without each of its words with this probability."""
    return " ".join(word for word in text.split() if rng.random() >= share)


def in_disguise(rng: random.Random, words: list[str]) -> str:
    """The same words with other case, marks and white space."""
    shown = [word.upper() if rng.random() < 0.3 else word for word in words]
    return "".join(f"{word}{rng.choice([' ', ', ', chr(10), ' - ', chr(0xA0)])}" for word in shown)


def write_records(path: pathlib.Path, records) -> str:
    """Write records as JSON lines; returns the path as text."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)
