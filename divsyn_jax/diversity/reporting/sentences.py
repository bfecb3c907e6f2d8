"""Sentences about corpora, for the terminal and for a page."""

import dataclasses
import html
from collections.abc import Sequence

from divsyn_jax.base.html import Html, Part, markup, number
from divsyn_jax.base.terminal_text import one_line


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence with what strangers wrote (names of corpora) kept apart from our own words.

    Attributes:
      template: plain text with `{}` for each part.
      parts: texts and numbers.
    """

    template: str
    parts: tuple[Part, ...] = ()

    def text(self) -> str:
        """For a terminal."""
        return self.template.format(*map(_plain, self.parts))

    def html(self) -> Html:
        """For a page."""
        return markup(html.escape(self.template, quote=False), *self.parts)


def _plain(part: Part) -> str:
    if isinstance(part, int | float):
        return number(part)
    return one_line(str(part))


def one_sentence(items: Sequence[Sentence], between: str) -> Sentence:
    """One sentence of several, with `between` between them."""
    parts = tuple(part for item in items for part in item.parts)
    return Sentence(between.join(item.template for item in items), parts)


def around(before: str, items: Sequence[Sentence], between: str, after: str = ".") -> Sentence:
    """As `one_sentence`, with words before and after."""
    found = one_sentence(items, between)
    return Sentence(f"{before}{found.template}{after}", found.parts)
