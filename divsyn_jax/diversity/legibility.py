"""What the embedding model could not see of scored corpora, in words for terminal and report."""

from collections.abc import Mapping, Sequence
from typing import Any


def warning(score: Mapping[str, Any]) -> str | None:
    """What speaks against the numbers of this score that rest on embeddings; None for nothing.

    A score of 0.1.0 carries no reading and gets no warning.
    """
    reading = score.get("reading")
    if not reading or not reading["warning"]:
        return None
    return f"{score['corpus']['name']}: {reading['warning']}"


def cuts(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """As `cut`, for several scores; what is said of them alike is said once."""
    by_length: dict[int, list[Mapping[str, Any]]] = {}
    for score in scores:
        if cut(score) is not None:
            by_length.setdefault(score["reading"]["max_pieces"], []).append(score)
    found = []
    for pieces, alike in by_length.items():
        if len(alike) == 1:
            found.append(str(cut(alike[0])))
            continue
        *most, last = (
            f"{score['reading']['documents_cut']:.1%} in {score['corpus']['name']}"
            for score in alike
        )
        found.append(
            f"Documents longer than the first {pieces} word pieces that the embedding model"
            f" reads of each: {', '.join(most)} and {last}"
        )
    return found


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
