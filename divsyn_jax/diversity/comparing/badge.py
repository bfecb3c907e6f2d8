"""A badge of a score: an SVG, or the JSON from which shields.io draws one."""

import json
import pathlib

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import attribute, number
from divsyn_jax.diversity.comparing.verdict import Change
from divsyn_jax.diversity.comparison import measurement
from divsyn_jax.diversity.score_records import Score

_LABEL = "diversity"
_NEUTRAL, _LESS, _MORE, _UNSURE = "#0b6e4f", "#b3361f", "#1a7f4b", "#6b757e"
_LETTER, _PADDING, _HEIGHT = 6.6, 8, 20  # pixels; Verdana at 11 is 6.6 wide on average


def write_badge(path: pathlib.Path, score: Score, changed: Change | None) -> None:
    """Write the badge of a score, beside an old one where there is one.

    Raises:
      UserError: `path` ends in neither .svg nor .json.
    """
    message, colour = _message(score, changed)
    if path.suffix == ".json":
        # https://shields.io/badges/endpoint-badge
        endpoint = {"schemaVersion": 1, "label": _LABEL, "message": message, "color": colour}
        files.write_text(path, json.dumps(endpoint) + "\n")
        return
    check_badge(path)
    files.write_text(path, _drawn(message, colour))


def check_badge(path: pathlib.Path) -> None:
    """Raise `UserError` for a name that says neither form."""
    if path.suffix not in (".svg", ".json"):
        raise UserError(f"--badge={path}: name a file that ends in .svg or .json")
    files.check_no_folder(path)


def _message(score: Score, changed: Change | None) -> tuple[str, str]:
    if changed is None:
        measured = measurement(score, "effective_clusters")
        ends = [measured.get("ci_low"), measured.get("ci_high")]
        bounds = "" if None in ends else f" [{number(ends[0])}, {number(ends[1])}]"
        return f"{number(measured['value'])}{bounds} effective clusters", _NEUTRAL
    if not changed.holds("different", 0.0):
        return "not told apart from before", _UNSURE
    word, colour = ("less", _LESS) if changed.ratio < 1 else ("more", _MORE)
    return f"{changed.ratio:.2g} times as before: {word} diverse", colour


def _drawn(message: str, colour: str) -> str:
    left, right = (round(_LETTER * len(text) + 2 * _PADDING) for text in (_LABEL, message))
    width = left + right
    middles = left / 2, left + right / 2
    texts = "".join(
        f'<text x="{x:.1f}" y="14" fill="#fff" text-anchor="middle">{attribute(text)}</text>'
        for x, text in zip(middles, (_LABEL, message), strict=True)
    )
    title = f"{_LABEL}: {message}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img"'
        f' aria-label="{attribute(title)}"><title>{attribute(title)}</title>'
        f'<clipPath id="r"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/></g>'
        f'<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )
