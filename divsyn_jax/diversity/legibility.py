"""What the embedding model could not see of scored corpora, in words for terminal and report."""

from collections.abc import Mapping
from typing import Any


def warning(score: Mapping[str, Any]) -> str | None:
    """What speaks against the numbers of this score that rest on embeddings; None for nothing.

    A score of 0.1.0 carries no reading and gets no warning.
    """
    reading = score.get("reading")
    if not reading or not reading["warning"]:
        return None
    return f"{score['corpus']['name']}: {reading['warning']}"


def cut(score: Mapping[str, Any]) -> str | None:
    """How many documents are longer than the model reads; None where none is or none is known."""
    reading = score.get("reading")
    if not reading or not reading["documents_cut"]:
        return None
    return (
        f"{score['corpus']['name']}: {reading['documents_cut']:.1%} of the documents are"
        f" longer than the first {reading['max_pieces']} word pieces that the embedding model"
        " reads of each"
    )
