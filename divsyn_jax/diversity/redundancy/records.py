"""What the lines of clusters.jsonl and map.jsonl hold, as types; docs/clusters.md has words.

Documents are numbers in the corpus, from 0, as in draws.jsonl.
"""

import dataclasses
from typing import Literal, TypedDict

TemplateKind = Literal["opening", "skeleton", "heading", "phrase"]


class ShownDocument(TypedDict):
    """A document and how it begins."""

    document: int
    where: str
    start: str


class OpeningSummary(TypedDict):
    """How many documents share their opening of so many words with another."""

    words: int
    sharing: int
    share: float
    distinct: int


class SummaryLine(TypedDict):
    """The first line: what the rest is of."""

    type: Literal["summary"]
    sampled: int
    distinct_texts: int
    clustered: int
    cut: float
    kinds: int
    single: int
    largest_share: float
    near_duplicates: int
    near_duplicate_distance: float
    near_duplicate_pairs: int
    openings: list[OpeningSummary]
    with_headings: int
    sharing_headings: int
    map_variance: float


class KindLine(TypedDict):
    """A kind of two documents or more; `documents` its central, a middling and its outermost one,
    `members` all of them."""

    type: Literal["kind"]
    rank: int
    size: int
    share: float
    key_words: list[str]
    documents: list[ShownDocument]
    members: list[int]


class NearDuplicateLine(TypedDict):
    """A document that nearly repeats an earlier one; `shared_phrases` is the Jaccard index of their
    phrases of three words, `equal` whether their texts are the same."""

    type: Literal["near_duplicate"]
    document: int
    where: str
    repeats: int
    repeats_where: str
    distance: float
    equal: bool
    shared_phrases: float
    start: str


class TemplateLine(TypedDict):
    """Words that several distinct texts share: how they open, their headings in order, a heading,
    or a phrase anywhere in them. `words` is the number of words, of headings for a skeleton."""

    type: TemplateKind
    words: int
    text: str
    texts: int
    share: float
    documents: list[ShownDocument]


RedundancyLine = SummaryLine | KindLine | NearDuplicateLine | TemplateLine


class MapPoint(TypedDict):
    """Where a document stands on the map; `kind` is the rank of its kind, None for a single one."""

    document: int
    kind: int | None
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Redundancy:
    """Where a corpus repeats itself: the lines of clusters.jsonl by type, the points of map.jsonl
    in the order of the documents."""

    summary: SummaryLine
    kinds: list[KindLine]
    near_duplicates: list[NearDuplicateLine]
    templates: list[TemplateLine]
    points: list[MapPoint]

    def lines(self) -> list[RedundancyLine]:
        """The lines of clusters.jsonl in their order."""
        return [self.summary, *self.kinds, *self.near_duplicates, *self.templates]
