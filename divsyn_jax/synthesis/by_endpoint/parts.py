"""A corpus written in parts: each takes its share of the grid's cells, a merge makes the corpus.

A part cannot know what the others accepted, so it keeps every candidate of its cells, with the
reason of those that fail by themselves; the merge goes through all cells in grid order with the
code of one process and judges duplicates across parts. So it makes the corpus of one process, byte
for byte, and asks only for what takes the place of a duplicate from another part."""

import dataclasses
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import zstandard

from divsyn_jax.base import files, json_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.parts import WorkPart, in_part_order
from divsyn_jax.data.readers.lines import TooLong, bounded_lines
from divsyn_jax.synthesis.by_endpoint.forms import AnswerForm, RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid

CANDIDATES = "candidates.jsonl.zst"  # in the folder of a part
_TEXTS = ("text", "prompt", "response")  # of a record, as its kind has them
PART_KIND = "candidates"  # of its manifest, so that it is not taken for a corpus


CandidateOutcome = (
    dict[str, Any] | RejectedAnswer
)  # of a candidate: the record of a document, or why there is none


def line_of(cell: Cell, outcomes: Sequence[CandidateOutcome]) -> dict[str, Any]:
    """A cell with its candidates, for the file of a part."""
    return {
        "cell": cell.name,
        "candidates": [
            {"rejected": outcome.reason} if isinstance(outcome, RejectedAnswer) else outcome
            for outcome in outcomes
        ],
    }


def settings_of(settings: Mapping[str, Any], part: WorkPart) -> dict[str, Any]:
    """What the manifest of a part says of the corpus with these settings."""
    of = {"kind_of_parts": settings["kind"], "part": dataclasses.asdict(part)}
    return {**settings, "kind": PART_KIND, **of}


def form_of_parts(folders: Sequence[str], forms: Sequence[AnswerForm]) -> AnswerForm:
    """The one of `forms` in which the first part was asked for; `check_parts` compares the rest."""
    path = pathlib.Path(folders[0], "manifest.json")
    written = files.read_object(path).get("form") if path.is_file() else None
    return next((form for form in forms if form.settings().get("form") == written), forms[0])


def check_parts(folders: Sequence[str], settings: Mapping[str, Any]) -> list[pathlib.Path]:
    """The folders of the parts in their order.

    Raises `UserError` where one is unfinished, of other settings, missing or there twice."""
    found: list[tuple[str, WorkPart]] = []
    for folder in folders:
        path = pathlib.Path(folder, "manifest.json")
        if not path.is_file():
            raise UserError(
                f"--merge: {folder} holds no finished part (no manifest.json); run the command of"
                " that part again"
            )
        manifest = files.read_object(path)
        part = manifest.get("part")
        if not isinstance(part, dict) or manifest.get("kind") != PART_KIND:
            raise UserError(f"--merge: {folder} is no part of a corpus (written without --part)")
        place = WorkPart.parse(f"{part.get('index')}/{part.get('of')}")
        expected = settings_of(settings, place)
        other = [key for key, value in expected.items() if manifest.get(key) != value]
        if other:
            raise UserError(
                f"--merge: {folder} was written with another setting of {', '.join(other)}; repeat"
                " the command of the parts with --merge in place of --part"
            )
        found.append((folder, place))
    return [pathlib.Path(folder) for folder in in_part_order(found)]


def cells_of(
    grid: Grid, part: WorkPart | None, folders: Sequence[pathlib.Path]
) -> Iterator[tuple[Cell, Sequence[CandidateOutcome]]]:
    """The cells of a grid, or those of a part of it, with the candidates that the parts in
    `folders` have.

    Raises `UserError` naming a file that holds not exactly the cells of its part."""
    every = [_outcomes(folder / CANDIDATES) for folder in folders]
    for place, cell in enumerate(grid.cells()):
        if part is None or part.holds(place):
            yield cell, next(every[place % len(every)])(cell) if every else ()
    for folder, lines in zip(folders, every, strict=True):
        if next(lines).holds_something:
            raise UserError(
                f"{folder / CANDIDATES}: holds more cells than its part has; run the command of"
                " this part again"
            )


def with_usage(counted: dict[str, Any], folders: Sequence[pathlib.Path]) -> dict[str, Any]:
    """The counts of a merge with what its parts used and cost added."""
    for folder in folders:
        manifest = files.read_object(folder / "manifest.json")
        for name in ("usage", "cost"):
            counted[name] = _added(counted.get(name), manifest.get(name))
    return counted


def _added(one: Any, two: Any) -> Any:
    """The sums of numbers, or of what stands under equal names; None where one is unknown."""
    if isinstance(one, dict) and isinstance(two, dict):
        both = {name: _added(one[name], two[name]) for name in one.keys() & two.keys()}
        return {name: both.get(name, value) for name, value in {**two, **one}.items()}
    known = all(isinstance(value, int | float) for value in (one, two))
    return one + two if known else None


class _Line:
    """One line of a part's file, to be read as that of a cell."""

    def __init__(self, where: str, data: bytes | TooLong | None) -> None:
        self._where, self._data = where, data

    @property
    def holds_something(self) -> bool:
        """Whether there is a line."""
        return self._data is not None

    def __call__(self, cell: Cell) -> list[CandidateOutcome]:
        if self._data is None:
            raise self._bad(f"ends before the cell {cell.name!a}")
        if isinstance(self._data, TooLong):
            raise self._bad("a line that is too long")
        try:
            line = json_text.parse_json(self._data)
        except ValueError as error:
            raise self._bad(f"not JSON ({error})") from None
        if not isinstance(line, dict) or line.get("cell") != cell.name:
            raise self._bad(f"not the cell {cell.name!a}, which comes here")
        found = line.get("candidates")
        if not isinstance(found, list):
            raise self._bad("no candidates")
        return [self._outcome(cell, number, each) for number, each in enumerate(found)]

    def _outcome(self, cell: Cell, number: int, value: Any) -> CandidateOutcome:
        if isinstance(value, dict) and isinstance(reason := value.get("rejected"), str):
            return RejectedAnswer(reason)
        texts = [value[key] for key in _TEXTS if key in value] if isinstance(value, dict) else []
        is_record = bool(texts) and all(isinstance(text, str) for text in texts)
        if not is_record or (value.get("cell"), value.get("candidate")) != (cell.name, number):
            raise self._bad(f"candidate {number} is none of this cell")
        return value

    def _bad(self, why: str) -> UserError:
        return UserError(f"{self._where}: {why}; run the command of this part again")


def _outcomes(path: pathlib.Path) -> Iterator[_Line]:
    """The lines of a part's file; after the last one a line that cannot be read as a cell's."""
    try:
        with path.open("rb") as packed:
            stream = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            number = 0
            for number, line in enumerate(bounded_lines(io.BufferedReader(stream)), 1):
                yield _Line(f"{path}:{number}", line)
    except (OSError, zstandard.ZstdError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); run the command of this part again"
        ) from None
    yield _Line(f"{path}:{number + 1}", None)
