"""A sample of whole groups of documents from one pass over a corpus.

A uniform sample of documents would leave a document or two of each prompt's ten answers, which say
nothing of the diversity within it. So groups are sampled: those whose seeded hash is smallest, as
many as their documents fit into the limit (bottom-k sampling, Cohen and Kaplan 2007). A group that
is left out once never comes back, so memory is that of the limit.
"""

import dataclasses
import hashlib
import heapq


@dataclasses.dataclass(frozen=True)
class GroupedDocuments:
    """The documents of whole groups.

    Attributes:
      field: that names a document's group.
      groups: the group of each document.
      texts: theirs.
      labels: theirs, where a label field was asked for.
      index: their numbers in the corpus, from 0, increasing.
      left_out: documents of other groups, for which there was no room.
    """

    field: str
    groups: list[str]
    texts: list[str]
    labels: list[str] | None
    index: list[int]
    left_out: int

    def __len__(self) -> int:
        return len(self.texts)


class GroupSampler:
    """Keeps whole groups of a stream, `documents` documents at most."""

    def __init__(self, field: str, documents: int, seed: int) -> None:
        self._field, self._room, self._seed = field, documents, seed
        self._held: dict[str, list[tuple[int, str, str]]] = {}
        self._largest: list[tuple[int, str]] = []  # heap of (minus hash, group)
        self._kept = self._seen = 0
        self._limit = 1 << 64  # groups of this hash or a larger one are left out

    def add(self, group: str, index: int, text: str, label: str) -> None:
        """Offer one document."""
        self._seen += 1
        if group not in self._held:
            digest = _hash(f"{self._seed}\n{group}")
            if digest >= self._limit:
                return
            heapq.heappush(self._largest, (-digest, group))
            self._held[group] = []
        self._held[group].append((index, text, label))
        self._kept += 1
        while self._kept > self._room:
            minus, last = heapq.heappop(self._largest)
            self._limit = -minus
            self._kept -= len(self._held.pop(last))

    def documents(self, labelled: bool) -> GroupedDocuments:
        """Those that were kept, in the order of the corpus."""
        rows = sorted(
            (index, text, label, group)
            for group, held in self._held.items()
            for index, text, label in held
        )
        return GroupedDocuments(
            field=self._field,
            groups=[row[3] for row in rows],
            texts=[row[1] for row in rows],
            labels=[row[2] for row in rows] if labelled else None,
            index=[row[0] for row in rows],
            left_out=self._seen - len(rows),
        )


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
