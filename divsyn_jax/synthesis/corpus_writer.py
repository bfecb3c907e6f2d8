"""Writing what the built-in grammar makes:

records with their provenance, and a manifest of how they came to be.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tqdm import tqdm

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.synthesis.grammar import grammar, questions
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.record_file import RecordWriter, recover
from divsyn_jax.synthesis.record_totals import RecordTotals

RECORD_KINDS = ("documents", "instructions", "items")
# What the folder of a corpus consists of, its score included.
WRITTEN = (*(f"{kind}.jsonl.zst" for kind in RECORD_KINDS), "manifest.json", "score.json")
# A breadth that runs out of new texts is told so, instead of trying for ever.
_MAX_REJECTS_PER_RECORD = 10


def generate_corpus(
    breadth: Breadth, count: int, seed: int, output: str | os.PathLike, kind: str = "documents"
) -> dict[str, Any]:
    """Write `count` records of a kind to the folder `output` and return its manifest.

    Of instructions and items, 0 means all there are. A text that the corpus already holds is
    rejected and counted, and the next one takes its place. What a killed process had written is
    continued, to the same bytes; a corpus that is there with these settings is left as it is.
    Raises `UserError` when there are not so many records."""
    count = _checked_count(breadth, count, seed, kind)
    settings = {
        "kind": kind,
        "version": grammar.GRAMMAR_VERSION,
        "template": breadth.template,
        "breadth": breadth.to_dict(),
        "seed": seed,
        kind: count,
    }
    earlier = pathlib.Path(output, "manifest.json")
    if earlier.is_file() and (manifest := files.read_json(earlier)).items() >= settings.items():
        return manifest
    with files.resumed_directory(output, settings, WRITTEN) as folder:
        path = folder / f"{kind}.jsonl.zst"
        totals = _Totals()
        for record in recover(path):
            totals.add(record)
        bar = tqdm(
            total=count, initial=totals.records, unit="record", desc=kind, mininterval=1, delay=2
        )
        with bar, RecordWriter(path) as writer:
            for record in _accepted(_candidates(breadth, seed, kind, totals.tried), totals, count):
                writer.write(record)
                bar.update()
        manifest = {"source": "grammar", **settings, **totals.describe()}
        files.write_json(folder / "manifest.json", manifest)
    return manifest


def _checked_count(breadth: Breadth, count: int, seed: int, kind: str) -> int:
    if kind == "documents":
        if count < 1:
            raise UserError(f"documents={count}: give at least 1")
        return count
    most = len(_questions(breadth, seed, kind))
    if not 0 <= count <= most:
        raise UserError(
            f"questions={count}: {breadth.topics} topics have {most} {kind}; give 1 to {most}, or 0"
            " for all"
        )
    return count or most


def _questions(breadth: Breadth, seed: int, kind: str) -> list[dict[str, Any]]:
    return (questions.instructions if kind == "instructions" else questions.items)(
        seed, breadth.topics
    )


def _candidates(breadth: Breadth, seed: int, kind: str, first: int) -> Iterator[dict[str, Any]]:
    if kind == "documents":
        return grammar.generate_passages(breadth, seed, first)
    return iter(_questions(breadth, seed, kind)[first:])


def _accepted(
    candidates: Iterable[dict[str, Any]], totals: "_Totals", count: int
) -> Iterator[dict[str, Any]]:
    """New records until the corpus holds `count`."""
    while totals.records < count:
        record = next(iter(candidates))
        if totals.add(record):
            yield record
        elif totals.tried - totals.records > _MAX_REJECTS_PER_RECORD * count:
            raise UserError(
                f"{totals.records} different texts found, not {count}; ask for fewer or for more"
                " breadth"
            )


class _Totals(RecordTotals):
    """The account of a corpus that recovered and new records enter alike."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def add(self, record: Mapping[str, Any]) -> bool:
        """Enter a record unless its text is there already; says whether it was entered."""
        # The number at the end of an id counts candidates, so the rejected ones before it are
        # known.
        self.tried = int(record["id"].rpartition("-")[2]) + 1
        if self.holds(record):
            return False
        self.enter(record)
        return True

    def describe(self) -> dict[str, Any]:
        """The part of the manifest that counts."""
        return {"rejects": {"duplicate": self.tried - self.records}, **super().describe()}
