"""Puts together what clusters.jsonl and map.jsonl say of one sample.

Shapes: N documents, E embedding dimensions.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import BIN, PairDistances
from divsyn_jax.diversity.estimation.near_copies import NearCopy, near_copies
from divsyn_jax.diversity.redundancy import templates
from divsyn_jax.diversity.redundancy.key_words import KeyWords
from divsyn_jax.diversity.redundancy.projection import principal_plane
from divsyn_jax.diversity.redundancy.records import (
    KindLine,
    MapPoint,
    NearDuplicateLine,
    Redundancy,
    ShownDocument,
    SummaryLine,
    TemplateKind,
    TemplateLine,
)
from divsyn_jax.diversity.redundancy.sample_kinds import (
    SampleKind,
    clustered_documents,
    sample_kinds,
)
from divsyn_jax.diversity.sampling import Sample, random_order

_START_CHARACTERS = 200
_COMMONEST = 10  # openings of a length, skeletons, headings, phrases
_SHOWN = 3  # documents of each
_DIGITS = 4  # of distances and places


def find_redundancy(
    sample: Sample,
    judged: Sample,
    vectors_NE: np.ndarray,
    distances: PairDistances,
    cut: float,
    near_distance: float,
    seed: int,
) -> Redundancy:
    """Look for what repeats in a sample.

    Args:
      sample: the documents whole: templates are of these.
      judged: the same documents as they were embedded, perhaps cut: kinds are of these.
      vectors_NE: [N, E] unit vectors of `judged`.
      distances: of all pairs of them.
      cut: cosine distance of average linkage at which kinds part.
      near_distance: cosine distance of near duplicates.
      seed: of the choice of documents where there are more than can be linked.
    """
    linked = clustered_documents(len(sample), random_order(sample, seed))
    kinds = sample_kinds(vectors_NE[linked], cut)
    places_N2, variance = principal_plane(vectors_NE[linked])
    key_words = KeyWords([judged.texts[at] for at in linked])
    kind_lines = [
        _kind_line(sample, linked, rank, kind, key_words)
        for rank, kind in enumerate(kinds, 1)
        if len(kind.members_M) > 1
    ]
    near = [_near_line(sample, pair) for pair in near_copies(vectors_NE, near_distance)]
    first = list({text: at for at, text in reversed(list(enumerate(sample.texts)))}.values())[::-1]
    texts = [sample.texts[at] for at in first]
    openings = templates.shared_openings(texts, _COMMONEST)
    headed = templates.shared_headings(texts, _COMMONEST)
    template_lines = [
        *(_template(sample, first, "opening", each) for of in openings for each in of.commonest),
        *(_template(sample, first, "skeleton", each) for each in headed.skeletons),
        *(_template(sample, first, "heading", each) for each in headed.headings),
        *(
            _template(sample, first, "phrase", each)
            for each in templates.shared_phrases(texts, _COMMONEST)
        ),
    ]
    summary: SummaryLine = {
        "type": "summary",
        "sampled": len(sample),
        "distinct_texts": len(texts),
        "clustered": len(linked),
        "cut": cut,
        "kinds": len(kinds),
        "single": len(kinds) - len(kind_lines),
        "largest_share": len(kinds[0].members_M) / len(linked),
        "near_duplicates": len(near),
        "near_duplicate_distance": near_distance,
        "near_duplicate_pairs": int(distances.pairs_B[: round(near_distance / BIN)].sum()),
        "openings": [
            {
                "words": of.words,
                "sharing": of.sharing,
                "share": of.sharing / len(texts),
                "distinct": of.distinct,
            }
            for of in openings
        ],
        "with_headings": headed.texts,
        "sharing_headings": headed.sharing,
        "map_variance": variance,
    }
    points = _map_points(sample, linked, kinds, places_N2)
    return Redundancy(summary, kind_lines, near, template_lines, points)


def _kind_line(
    sample: Sample, linked: np.ndarray, rank: int, kind: SampleKind, key_words: KeyWords
) -> KindLine:
    size = len(kind.members_M)
    return {
        "type": "kind",
        "rank": rank,
        "size": size,
        "share": size / len(linked),
        "key_words": key_words.of(kind.members_M.tolist()),
        "documents": _shown(sample, (int(linked[at]) for at in kind.shown)),
        "members": [int(number) for number in sample.index_N[linked[kind.members_M]]],
    }


def _near_line(sample: Sample, pair: NearCopy) -> NearDuplicateLine:
    text, earlier = sample.texts[pair.document], sample.texts[pair.earlier]
    return {
        "type": "near_duplicate",
        "document": int(sample.index_N[pair.document]),
        "where": sample.wheres[pair.document],
        "repeats": int(sample.index_N[pair.earlier]),
        "repeats_where": sample.wheres[pair.earlier],
        "distance": round(pair.distance, _DIGITS),
        "equal": text == earlier,
        "shared_phrases": (
            1.0 if text == earlier else round(templates.phrase_overlap(text, earlier), _DIGITS)
        ),
        "start": start_of(text),
    }


def _template(
    sample: Sample, first: Sequence[int], kind: TemplateKind, shared: templates.SharedWords
) -> TemplateLine:
    return {
        "type": kind,
        "words": shared.size,
        "text": shared.text,
        "texts": len(shared.texts),
        "share": len(shared.texts) / len(first),
        "documents": _shown(sample, (first[at] for at in shared.texts[:_SHOWN])),
    }


def _shown(sample: Sample, places: Iterable[int]) -> list[ShownDocument]:
    return [
        {
            "document": int(sample.index_N[at]),
            "where": sample.wheres[at],
            "start": start_of(sample.texts[at]),
        }
        for at in places
    ]


def start_of(text: str, characters: int = _START_CHARACTERS) -> str:
    """How a text begins, on one line; what was cut is marked."""
    line = " ".join(text[: 2 * characters].split())
    whole = len(line) <= characters and len(text) <= 2 * characters
    return line if whole else f"{line[:characters]}…"


def _map_points(
    sample: Sample, linked: np.ndarray, kinds: Sequence[SampleKind], places_N2: np.ndarray
) -> list[MapPoint]:
    rank_N: list[int | None] = [None] * len(linked)
    for rank, kind in enumerate(kinds, 1):
        if len(kind.members_M) > 1:
            for at in kind.members_M:
                rank_N[int(at)] = rank
    return [
        {
            "document": int(sample.index_N[at]),
            "kind": rank_N[place],
            "x": round(float(x), _DIGITS),
            "y": round(float(y), _DIGITS),
        }
        for place, (at, (x, y)) in enumerate(zip(linked, places_N2, strict=True))
    ]
