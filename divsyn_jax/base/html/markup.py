"""Text, markup, and the elements that pages are made of."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from divsyn_jax.base.html.numbers import number
from divsyn_jax.base.html.style import STYLE


class Html(str):
    """Text that is markup by its type. Made by the functions of this kit, or written in the code.

    Whatever is derived from it by the methods of `str` is plain text again, hence escaped: a
    mistake shows as visible tags, never as markup from outside."""

    __slots__ = ()


# What may stand in a cell, a template or a page.
Part = Html | str | int | float | None

# Columns of a table that paper holds at the size of the others.
_MOST_ON_PAPER = 9
# Names that a head may break, of characters that are the same as markup.
_NAME = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")

# Controls that reorder or hide the text around them; C0 controls and the replacement of NUL.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _in_words(value: object) -> str:
    """`key value, key value`; a mapping within one stands in parentheses."""
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(
        f"{key} ({_in_words(item)})" if isinstance(item, Mapping) else f"{key} {item}"
        for key, item in value.items()
    )


def as_html(value: Part | Mapping[str, object]) -> Html:
    """Any value as markup: `Html` as it is, a number in the kit's form, '-' for None, a mapping as
    `key value` pairs, and any other text escaped and isolated (<bdi>), with control characters
    shown by their code.

    Isolation alone does not hold a text that closes the isolate itself (U+2069)."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("-")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Html(number(value))
    if isinstance(value, Mapping):
        value = _in_words(value)
    return Html(f"<bdi>{attribute(str(value))}</bdi>")


def attribute(text: str) -> Html:
    """Escaped text for an attribute or an SVG, where no <bdi> may stand."""
    shown = _CONTROLS.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
    return Html(html.escape(shown, quote=True))


def markup(template: str, /, *parts: Part, **named: Part) -> Html:
    """The template, which is markup, with `{}` and `{name}` filled by `as_html` of the values."""
    filled = {name: as_html(part) for name, part in named.items()}
    return Html(template.format(*map(as_html, parts), **filled))


def join(parts: Iterable[Part], between: str = "") -> Html:
    """Parts one after the other; `between` is markup."""
    return Html(between.join(as_html(part) for part in parts))


def interval(measured: Mapping[str, Any], digits: int | None = None, of: str = "value") -> Html:
    """`value [ci_low, ci_high]` as `Html`, or the reason why there is no value.

    `of`: the key of the value; `digits`: decimals of all three."""
    value = measured[of]
    if value is None:
        return markup('<span class="soft">{}</span>', measured.get("reason", "none"))
    if not isinstance(value, int | float):
        return as_html(value)
    if measured.get("ci_low") is None or measured.get("ci_high") is None:
        return as_html(number(value, digits))
    return markup(
        '{} <span class="soft nowrap">[{}, {}]</span>',
        number(value, digits),
        number(measured["ci_low"], digits),
        number(measured["ci_high"], digits),
    )


def table(
    header: Sequence[Part],
    rows: Iterable[Sequence[Part]],
    words: bool = False,
    stacked: bool = False,
) -> Html:
    """A table whose head repeats on every printed page; `words` aligns its cells for prose.

    A `stacked` one shows each row as a block on a phone, every cell beside the text of its head.

    A table wider than the page scrolls in its own box, with a shadow at the edge that hides more;
    paper does not scroll, so there a table of many columns is set smaller, or as blocks where it is
    a stacked one.
    """
    head = join(markup('<th scope="col">{}</th>', _breakable(cell)) for cell in header)
    body = join(
        markup(
            "<tr>{}</tr>\n",
            join(
                map(_labelled, header, row)
                if stacked
                else (markup("<td>{}</td>", cell) for cell in row)
            ),
        )
        for row in rows
    )
    many = len(header) > _MOST_ON_PAPER
    kind = Html("scroll" + " words" * words + " stacked" * stacked + " many" * many)
    return markup(
        '<div class="{kind}" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        "<tbody>\n{body}</tbody></table></div>",
        kind=kind,
        head=head,
        body=body,
    )


def _breakable(name: Part) -> Part:
    """A head whose long names may be broken behind their underscores, and nowhere within a word."""
    if isinstance(name, Html) or not isinstance(name, str) or not _NAME.fullmatch(name):
        return name
    return Html(name.replace("_", "_<wbr>"))


def _labelled(head: Part, cell: Part) -> Html:
    """A cell that knows the text of its head."""
    return markup('<td data-head="{}"><span>{}</span></td>', attribute(str(head)), cell)


def details(summary: Part, *parts: Part) -> Html:
    """A fold that is open in print."""
    return markup("<details><summary>{}</summary>{}</details>", summary, join(parts))


def bullets(items: Iterable[Part]) -> Html:
    """An unordered list."""
    return markup("<ul>{}</ul>", join(markup("<li>{}</li>", item) for item in items))


def figure(picture: Html, caption: Part, wide: bool = False) -> Html:
    """A picture with its caption; a `wide` one scrolls on a phone rather than shrink."""
    kind = Html(' class="wide"' if wide else "")
    box = Html(' class="scroll" tabindex="0"' if wide else "")
    return markup(
        "<figure{kind}><div{box}>{picture}</div><figcaption>{caption}</figcaption></figure>",
        kind=kind,
        box=box,
        picture=picture,
        caption=caption,
    )


def page(title: str, parts: Iterable[Part]) -> str:
    """A whole page; empty parts are left out."""
    body = "\n".join(as_html(part) for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{attribute(title)}</title><style>{STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )
