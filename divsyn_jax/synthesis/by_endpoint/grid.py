"""The grid of a corpus that an endpoint writes:

topics x styles x personas x models, a fixed number of documents a cell.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from divsyn_jax.synthesis.grammar.grammar import seeded
from divsyn_jax.synthesis.seeds import TopicSeed


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
      topics: the cell's own topic, and those that may be combined with it.
      style: name of a style.
      personas: those the model chooses from; empty where the template has none.
      model: index of the model that writes.
      name: what tells the cell from all others, also in a grid of other seeds.
    """

    topics: tuple[TopicSeed, ...]
    style: str
    personas: tuple[str, ...]
    model: int
    name: str


@dataclasses.dataclass(frozen=True)
class Grid:
    """Cells are visited in an order shuffled by the seed, so that any front part of the corpus is
    spread over all axes.

    Attributes: topics, styles, personas, models: the axes. Personas are dealt into panels of
      `personas_shown`. topics_per_document: topics that a prompt shows. generations: documents of a
      cell.
    """

    topics: Sequence[TopicSeed]
    styles: Sequence[str]
    personas: Sequence[str]
    models: Sequence[str]
    topics_per_document: int
    personas_shown: int
    generations: int
    seed: int

    @property
    def template(self) -> str:
        """Which of the four prompt templates of Chen et al. 2024 the grid asks with."""
        if self.topics_per_document > 1:
            return "multi_topic_styles_persona"
        if self.personas:
            return "topic_styles_persona"
        return "topic_styles" if len(self.styles) > 1 else "topic"

    @property
    def panels(self) -> list[tuple[str, ...]]:
        """The personas in a shuffled order, so many at a time; one empty panel where there are
        none.
        """
        dealt = list(self.personas)
        if self.personas_shown > 1:
            seeded("panels", self.seed, 0).shuffle(dealt)
        starts = range(0, len(dealt), self.personas_shown)
        return [tuple(dealt[start : start + self.personas_shown]) for start in starts] or [()]

    def __len__(self) -> int:
        return len(self.topics) * len(self.styles) * len(self.panels) * len(self.models)

    def cells(self) -> Iterator[Cell]:
        """All cells, in grid order."""
        panels, order = self.panels, list(range(len(self)))
        seeded("cells", self.seed, 0).shuffle(order)
        for place in order:
            place, model = divmod(place, len(self.models))
            place, panel = divmod(place, len(panels))
            place, style = divmod(place, len(self.styles))
            yield self._cell(place, self.styles[style], panels[panel], model)

    def _cell(self, place: int, style: str, panel: tuple[str, ...], model: int) -> Cell:
        topic = self.topics[place]
        name = " / ".join(
            (topic.name, style, " | ".join(panel) or "no persona", self.models[model])
        )
        others = seeded(f"further topics/{name}", self.seed, 0).sample(
            range(len(self.topics)), self.topics_per_document
        )
        further = [other for other in others if other != place][: self.topics_per_document - 1]
        return Cell((topic, *(self.topics[other] for other in further)), style, panel, model, name)

    def describe(self) -> dict[str, Any]:
        """For the manifest: the axes' sizes and names, long lists by fingerprint."""
        return {
            "topics": len(self.topics),
            "topics_fingerprint": _fingerprint(
                [dataclasses.astuple(topic) for topic in self.topics]
            ),
            "styles": list(self.styles),
            "personas": len(self.personas),
            "personas_fingerprint": _fingerprint(self.personas),
            "topics_per_document": self.topics_per_document,
            "personas_shown": self.personas_shown,
            "models": list(self.models),
            "cells": len(self),
            "generations": self.generations,
        }


def _fingerprint(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()
