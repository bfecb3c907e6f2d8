"""Running account of a corpus: what its manifest counts."""

import collections
import hashlib
from collections.abc import Mapping
from typing import Any

from divsyn_jax.data.readers.corpus import TextFingerprint
from divsyn_jax.synthesis.grammar.grammar import BETWEEN_TOPICS
from divsyn_jax.synthesis.grammar.sentences import spaced_words

# Provenance that the manifest counts.
_COUNTED = ("template", "topic", "style", "persona", "generator", "form", "format")


class RecordTotals:
    """Counts of the records entered, and which texts they have."""

    def __init__(self) -> None:
        self.records = 0
        self._words = self._bytes = 0
        self._seen: set[bytes] = set()
        self._fingerprint = TextFingerprint()
        self._counts: dict[str, collections.Counter] = {
            name: collections.Counter() for name in _COUNTED
        }

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether a record of the same text was entered."""
        return _key(record) in self._seen

    def enter(self, record: Mapping[str, Any]) -> None:
        """Count a record."""
        text = text_of(record)
        self._seen.add(_key(record))
        self._fingerprint.update(text)
        self.records += 1
        self._words += spaced_words(text)
        self._bytes += len(text.encode())
        for name, counter in self._counts.items():
            counter.update(record[name].split(BETWEEN_TOPICS) if name in record else [])

    def describe(self) -> dict[str, Any]:
        """The part of the manifest that counts."""
        return {
            "words": self._words,
            "bytes": self._bytes,
            "fingerprint": self._fingerprint.hexdigest(),
            "counts": {
                name: dict(sorted(counter.items()))
                for name, counter in self._counts.items()
                if counter
            },
        }


def _key(record: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(text_of(record).encode()).digest()[:16]


def text_of(record: Mapping[str, Any]) -> str:
    """What makes a record different from another:

    the text of a document or item, an instruction's two sides.
    """
    return record["text"] if "text" in record else f"{record['prompt']}\n\n{record['response']}"
