"""The personas of the grammar:

one TOML file a voice in voices/, and the voice that colours one passage with it.
"""

import dataclasses
import functools
import importlib.resources
import random
import tomllib
from collections.abc import Mapping
from typing import Any

from divsyn_jax.synthesis.grammar.sentences import with_article


@dataclasses.dataclass(frozen=True)
class Persona:
    """Who speaks. The neutral persona has a name and nothing else: it leaves a passage uncoloured.

    Attributes:
      name: noun phrase without article, such as "chess coach".
      world: where the persona is at home, with article.
      openings: whole sentences in the first person; {name} is the topic.
      asides: whole sentences that may follow any statement.
      things: noun phrases from the persona's world, for comparisons.
      sayings: maxims, as lower-case clauses.
      connectives: phrases that may stand, with a comma, before a clause.
      closings: whole sentences of farewell.
    """

    name: str
    world: str = ""
    openings: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    sayings: tuple[str, ...] = ()
    connectives: tuple[str, ...] = ()
    closings: tuple[str, ...] = ()

    @property
    def neutral(self) -> bool:
        """Whether the persona leaves passages uncoloured."""
        return not self.world


@functools.cache
def personas() -> tuple[Persona, ...]:
    """All personas in file-name order, the neutral one first; raises `ValueError` naming a file
    with a list left empty.
    """
    folder = importlib.resources.files("divsyn_jax.synthesis.grammar") / "voices"
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    loaded = []
    for entry in files:
        values = tomllib.loads(entry.read_text(encoding="utf-8"))
        attributes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        persona = Persona(**attributes)
        if not persona.neutral and not all(dataclasses.astuple(persona)):
            raise ValueError(f"{entry.name}: a persona that has a world needs every other list too")
        loaded.append(persona)
    return tuple(loaded)


class Voice:
    """A persona's lists shuffled for one passage, so that it says nothing twice; and how it words
    the passage.

    Attributes:
      generator, wording: which templates, in which words.
      aim: words to be reached with statements; 0: a passage finds its own length.
    """

    def __init__(
        self,
        persona: Persona,
        rng: random.Random,
        generator: str = "grammar",
        wording: int = 0,
        aim: int = 0,
    ) -> None:
        self.persona = persona
        self.generator = generator
        self.wording = wording
        self.aim = aim
        self.neutral = persona.neutral
        self._introduced = False
        self._piles = {}
        for name in ("openings", "asides", "things", "sayings", "connectives", "closings"):
            pile = list(getattr(persona, name))
            rng.shuffle(pile)
            self._piles[name] = pile
        # Not every passage, or the connectives would give a persona away at once.
        self._connects = not self.neutral and rng.random() < 0.5

    def connective(self) -> str | None:
        """The phrase that opens the passage's one connected clause; None after the first call, and
        where none is due.
        """
        if not self._connects:
            return None
        self._connects = False
        return self._piles["connectives"][0]

    def values(self, topic_name: str) -> Mapping[str, str]:
        """Fresh values for one coloured place: {role}, {persona}, {world}, {thing}, {saying},
        {opening}, {aside}, {closing}.
        """
        # A second mention in the same passage is of a person already known.
        role = f"the {self.persona.name}" if self._introduced else with_article(self.persona.name)
        self._introduced = True
        return {
            "role": role,
            "persona": self.persona.name,
            "world": self.persona.world,
            "thing": self._piles["things"].pop(),
            "saying": self._piles["sayings"].pop(),
            "opening": self._piles["openings"].pop().format(name=topic_name),
            "aside": self._piles["asides"].pop(),
            "closing": self._piles["closings"].pop(),
        }
