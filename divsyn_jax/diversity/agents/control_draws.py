"""Draws whose answer is known, put among the others: may this judge be believed?

Two copies of a document are of one kind, and a document is of one kind with itself in other white
space and letter case, whatever the criteria say; documents far apart are not all of one kind. A
judge that cannot tell is found out by draws of each, which it cannot tell from the others. What is
judged is its own partition, before verification.

Shapes: D draws, K documents a draw.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import ControlDrawsRecord

# [N, E] unit vectors of a sample's documents; None where they cannot be told by vectors.
FarApart = Callable[[Sample], np.ndarray | None]

_STREAM = 5  # of the random streams of one --seed; sampling, criteria and orders have 0 to 4
# Draws of each kind. With 5% of the documents misplaced at random all of them together find fault
# with an honest judge in fewer than one run of a thousand (tests/diversity/agents).
DRAWS = {"twins": 2, "repeated": 3, "apart": 2}
# Twins parted, pairs of one repeated document parted, pairs of far documents joined: the share from
# which the judge has failed. 5% of misplaced documents give 0.1, 0.1 and 0.01 on average.
_MOST = {"twins": 0.5, "repeated": 0.45, "apart": 0.25}
_BY_PLACE_Z = 3.0
_FEWEST_ANSWERED = 0.5  # of the control draws, below which the judge has failed too
_FAR_COSINE = 0.2  # at most, between any two documents of a draw of far ones
_SENTENCE_END = re.compile(r"([.!?;:。！？]) ")
_CANDIDATES = 400  # documents among which far ones are looked for


def most_draws(vectors: bool) -> int:
    """Control draws of a run, at most; without vectors there are none of documents far apart."""
    return sum(count for kind, count in DRAWS.items() if vectors or kind != "apart")


@dataclasses.dataclass(frozen=True)
class ControlDraws:
    """Control draws of a comparison: the documents of all, which each holds and of what kind it is.

    `missing` says why a kind could not be made.
    """

    sample: Sample
    documents_DK: np.ndarray
    kinds: tuple[str, ...]
    missing: tuple[str, ...]


def make(
    samples: Sequence[Sample],
    size: int,
    seed: int,
    far_apart: FarApart | None = None,
) -> ControlDraws:
    """Control draws of `size` documents from the corpora in turn.

    Args:
      far_apart: vectors, for draws of documents far apart.
    """
    rng = np.random.default_rng([seed, _STREAM])
    texts: list[str] = []
    rows: list[list[int]] = []
    kinds: list[str] = []
    missing: list[str] = []

    def add(kind: str, chosen: Sequence[str]) -> None:
        rows.append([len(texts) + place for place in rng.permutation(len(chosen)).tolist()])
        texts.extend(chosen)
        kinds.append(kind)

    for number in range(DRAWS["twins"]):
        shown = _distinct(samples[number % len(samples)], size // 2, rng)
        odd = shown[:1] if size % 2 else []
        add("twins", [*shown, *shown, *odd])
    for number in range(DRAWS["repeated"]):
        (text,) = _distinct(samples[number % len(samples)], 1, rng)
        add("repeated", [_reworded(text, copy) for copy in range(size)])
    for number in range(DRAWS["apart"] if far_apart is not None else 0):
        assert far_apart is not None
        found = _far(samples[number % len(samples)], size, rng, far_apart)
        if found is not None:
            add("apart", found)
    if "apart" not in kinds:
        missing.append(
            "no draw of documents far apart: "
            + ("no vectors" if far_apart is None else "the corpora hold too few far ones")
        )
    first = samples[0]
    # The fingerprint is part of the draws' identity in the cache.
    sample = dataclasses.replace(
        first,
        spec="control draws",
        index_N=np.arange(len(texts)),
        texts=texts,
        wheres=[""] * len(texts),
        labels=None,
        documents=len(texts),
    )
    return ControlDraws(sample, np.array(rows), tuple(kinds), tuple(missing))


def verdict(
    controls: ControlDraws, labels_DK: np.ndarray, order_DK: np.ndarray, answered_D: np.ndarray
) -> ControlDrawsRecord:
    """What the judge made of the control draws.

    Args:
      labels_DK: its partitions before verification.
      order_DK: the order in which the documents were shown.
      answered_D: whether there is an answer.

    `faults` names in what way it fails, in words; empty for a judge that may be believed.
    """
    counts: dict[str, list[int]] = {kind: [0, 0] for kind in DRAWS}  # wrong pairs, pairs
    placed: list[tuple[float, float, float]] = []
    for row, kind in enumerate(controls.kinds):
        if not answered_D[row]:
            continue
        joined_KK = labels_DK[row][:, None] == labels_DK[row][None, :]
        first_P, second_P = np.triu_indices(len(labels_DK[row]), 1)
        joined_P = joined_KK[first_P, second_P]
        shown = [controls.sample.texts[place] for place in controls.documents_DK[row]]
        if kind == "twins":
            same_P = np.array(
                [shown[a] == shown[b] for a, b in zip(first_P, second_P, strict=True)]
            )
            wrong, pairs = int((~joined_P[same_P]).sum()), int(same_P.sum())
        elif kind == "repeated":
            wrong, pairs = int((~joined_P).sum()), len(joined_P)
            place_K = np.argsort(order_DK[row])
            near_P = np.abs(place_K[first_P] - place_K[second_P]) == 1
            placed.append((joined_P[near_P].mean(), joined_P[~near_P].mean(), float(near_P.sum())))
        else:
            wrong, pairs = int(joined_P.sum()), len(joined_P)
        counts[kind][0] += wrong
        counts[kind][1] += pairs
    shares = {kind: wrong / pairs for kind, (wrong, pairs) in counts.items() if pairs}
    failed = {kind for kind, share in shares.items() if share > _MOST[kind]}
    faults = []
    answered = int(answered_D.sum())
    if answered < _FEWEST_ANSWERED * len(controls.kinds):
        faults.append("unanswered: most control draws got no usable answer")
    if failed & {"twins", "repeated"}:
        faults.append(
            "biased: it goes by the place of a document, not by its text"
            if _by_place(placed)
            else "splitting: it parts documents that are the same"
        )
    if "apart" in failed:
        everything = shares["apart"] > 0.9
        faults.append(
            "gullible: it puts everything together"
            if everything
            else "lumping: it joins documents that are far apart"
        )
    return {
        "usable": not faults,
        "faults": faults,
        "draws": len(controls.kinds),
        "answered": answered,
        "twins_parted": counts["twins"],
        "repeats_parted": counts["repeated"],
        "far_joined": counts["apart"],
        "missing": list(controls.missing),
    }


def line(record: ControlDrawsRecord) -> str:
    """The verdict in one line, with its counts."""
    counted = (
        (record["twins_parted"], "copies parted"),
        (record["repeats_parted"], "pairs of one document parted"),
        (record["far_joined"], "pairs of far documents joined"),
    )
    parts = [f"{words} {wrong} of {asked}" for (wrong, asked), words in counted if asked]
    said = "; ".join([*parts, *record["missing"]])
    answered = f"{record['answered']} of {record['draws']} control draws answered"
    if record["usable"]:
        return f"control draws passed ({answered}; {said})"
    return f"this judge is unusable: {'; '.join(record['faults'])} ({answered}; {said})"


def _by_place(placed: Sequence[tuple[float, float, float]]) -> bool:
    """Whether copies of one document are joined by where they stand:

    neighbours more than others.
    """
    if not placed:
        return False
    near, far, pairs = (np.array(each) for each in zip(*placed, strict=True))
    rate = float(np.clip((near.mean() + far.mean()) / 2, 0.05, 0.95))
    spread = np.sqrt(rate * (1 - rate) / pairs.sum())
    return float(near.mean() - far.mean()) > _BY_PLACE_Z * float(spread)


def _distinct(sample: Sample, count: int, rng: np.random.Generator) -> list[str]:
    """So many documents of different texts, where there are; else some again."""
    order = rng.permutation(len(sample)).tolist()
    texts = list(dict.fromkeys(sample.texts[place] for place in order))
    return (texts * (1 + count // len(texts)))[:count]


def _reworded(text: str, copy: int) -> str:
    """The text in other white space and letter case; copy 0 is the text itself.

    A sentence may begin on a new line, and one word of the second half changes the case of its
    first letter: no reader takes that for another document."""
    if copy == 0:
        return text
    words = text.split(" ")
    late = [place for place in range(len(words) // 2, len(words)) if words[place][:1].isalpha()]
    if late:
        place = late[copy % len(late)]
        words[place] = words[place][0].swapcase() + words[place][1:]
    apart = ("\n", "  ", "\n\n")[copy % 3]
    return "\n" * (copy // 5) + _SENTENCE_END.sub(rf"\1{apart}", " ".join(words)) + " " * (copy % 5)


def _far(
    sample: Sample,
    size: int,
    rng: np.random.Generator,
    far_apart: FarApart,
) -> list[str] | None:
    """Documents of which no two are near, found one by one; None where the corpus has too few."""
    chosen_N = rng.permutation(len(sample))[:_CANDIDATES]
    vectors = far_apart(sample)
    if vectors is None:
        return None
    vectors_NE = vectors[chosen_N]
    taken = [0]
    nearest_N = vectors_NE @ vectors_NE[0]
    while len(taken) < size:
        farthest = int(np.argmin(nearest_N))
        if nearest_N[farthest] > _FAR_COSINE:
            return None
        taken.append(farthest)
        nearest_N = np.maximum(nearest_N, vectors_NE @ vectors_NE[farthest])
    return [sample.texts[chosen_N[place]] for place in taken]
