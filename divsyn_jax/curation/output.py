"""Writing what stays: the corpus, its card, curation.json and clusters.jsonl."""

import collections
import json
import pathlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.curation import card, scores
from divsyn_jax.curation.curation import (
    CURATION_VERSION,
    REASONS,
    Decisions,
    DroppedRecord,
    changed,
    settings_record,
)
from divsyn_jax.curation.evaluation_items import FEWEST_ITEM_WORDS, LEAK_WORDS, EvaluationItems
from divsyn_jax.curation.record_forms import JsonLines, ParquetFile, written_record
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.curation.sketching import CorpusSketches
from divsyn_jax.data.readers.corpus import CorpusReader, Document, TextFingerprint

_COPIES = ("exact_duplicate", "near_duplicate", "semantic_duplicate")
_NAMED = 10  # copies that a line of clusters.jsonl names; all are counted
_DROPPED = "scratch-dropped.jsonl"


def write_corpus(
    spec: str,
    settings: CurationSettings,
    sketches: CorpusSketches,
    decisions: Decisions,
    items: EvaluationItems | None,
    folder: pathlib.Path,
) -> dict[str, Any]:
    """Write everything to `folder`; returns the content of curation.json but what was dropped.

    Raises `UserError` where the corpus changed since it was sketched, or a record cannot be
    written.
    """
    path = folder / f"documents.{settings.format}"
    after = TextFingerprint()
    copies = _Copies(decisions)
    with (
        _writer(path, spec, settings, decisions) as writer,
        (folder / _DROPPED).open("w", encoding="utf-8") as dropped,
    ):
        places = _Places(decisions)
        for number, document in _again(spec, settings, sketches):
            places.enter(number, document.where)
            if decisions.stays[number]:
                after.update(document.text)
                writer.write(written_record(document, settings), document.where)
                continue
            record = _dropped(number, document.where, decisions, sketches, items, places)
            copies.enter(record)
            dropped.write(json.dumps(record, ensure_ascii=False) + "\n")
    found = scores.scores(spec, settings, decisions, settings.embedding_cache or folder)
    summary: dict[str, Any] = {
        "version": CURATION_VERSION,
        "corpus": spec,
        "settings": settings_record(settings),
        "embedding_model": decisions.model,
        "before": {
            "documents": sketches.documents,
            "fingerprint": sketches.fingerprint,
            "words": int(sketches.words_N.sum(dtype=np.int64)),
            "malformed": sketches.malformed,
            "empty": sketches.empty,
            "problems": sketches.problems,
            "left_out": sketches.left_out,
        },
        "after": {
            "file": path.name,
            "documents": int(decisions.stays.sum()),
            "fingerprint": after.hexdigest(),
            "words": int(sketches.words_N[decisions.stays].sum(dtype=np.int64)),
            "numbers_written_as_null": writer.nulled,
        },
        "dropped_by_reason": decisions.counts(),
        "reasons": REASONS,
        "evaluation_items": None if items is None else _items_record(settings, decisions, items),
        "covariates": _covariates(settings, sketches, decisions),
        "scores": found,
    }
    files.write_text(folder / "README.md", card.write_curation_card(summary))
    copies.write(folder / "clusters.jsonl", places)
    _write_record(folder / "curation.json", summary, folder / _DROPPED)
    return summary


def _writer(
    path: pathlib.Path, spec: str, settings: CurationSettings, decisions: Decisions
) -> JsonLines | ParquetFile:
    if settings.format == "jsonl.zst":
        return JsonLines(path)
    reader = CorpusReader(spec, settings.read, fields=None)
    # The columns of all that stay are known only when all were read.
    stays = (
        (written_record(document, settings), document.where)
        for number, document in enumerate(reader)
        if number < len(decisions.code_N) and decisions.stays[number]
    )
    return ParquetFile(path, stays)


def _again(
    spec: str, settings: CurationSettings, sketches: CorpusSketches
) -> Iterator[tuple[int, Document]]:
    """The documents, numbered; raises `UserError` where they are not those of the sketches."""
    fingerprint, number = TextFingerprint(), -1
    for number, document in enumerate(CorpusReader(spec, settings.read, fields=None)):
        if number >= sketches.documents:
            raise changed(spec)
        fingerprint.update(document.text)
        yield number, document
    if fingerprint.hexdigest() != sketches.fingerprint:
        raise changed(spec)


class _Places:
    """Where the documents stand of which others are copies."""

    def __init__(self, decisions: Decisions) -> None:
        codes = [place for place, reason in enumerate(REASONS, 1) if reason in _COPIES]
        self._wanted = np.zeros(len(decisions.code_N), bool)
        self._wanted[decisions.of_N[np.isin(decisions.code_N, codes)]] = True
        self._of: dict[int, str] = {}

    def enter(self, number: int, where: str) -> None:
        if self._wanted[number]:
            self._of[number] = where

    def __getitem__(self, number: int) -> str:
        return self._of[number]


def _dropped(
    number: int,
    where: str,
    decisions: Decisions,
    sketches: CorpusSketches,
    items: EvaluationItems | None,
    places: _Places,
) -> DroppedRecord:
    reason = decisions.reason(number)
    assert reason is not None
    record: DroppedRecord = {"document": number, "where": where, "reason": reason}
    if reason == "not_selected":
        return record
    of = int(decisions.of_N[number])
    record["of"] = of
    if reason in _COPIES:
        record["of_where"] = places[of]
    elif items is not None:
        record["of_where"] = items.places[of]
    if reason == "leaked_words":
        record["words"] = sketches.leaks[number].words
        record["runs"] = sketches.leaks[number].runs
    else:
        record["similarity"] = round(float(decisions.similarity_N[number]), 4)
    return record


class _Copies:
    """Documents dropped as copies, by the document that they are copies of."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._counts: dict[int, collections.Counter[str]] = {}
        self._named: dict[int, list[DroppedRecord]] = {}

    def enter(self, record: DroppedRecord) -> None:
        if record["reason"] not in _COPIES:
            return
        root = self._root(int(record["of"]))
        self._counts.setdefault(root, collections.Counter())[record["reason"]] += 1
        named = self._named.setdefault(root, [])
        if len(named) < _NAMED:
            named.append(record)

    def _root(self, document: int) -> int:
        """The document that a copy of a copy is of, too."""
        while self._decisions.reason(document) in _COPIES:
            document = int(self._decisions.of_N[document])
        return document

    def write(self, path: pathlib.Path, places: _Places) -> None:
        """A line for each document with copies, the one with the most first."""
        order = sorted(self._counts, key=lambda root: (-self._counts[root].total(), root))
        with path.open("w", encoding="utf-8") as file:
            for root in order:
                line = {
                    "document": root,
                    "where": places[root],
                    "stays": bool(self._decisions.stays[root]),
                    "copies": self._counts[root].total(),
                    "by_reason": dict(sorted(self._counts[root].items())),
                    "named": self._named[root],
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _items_record(
    settings: CurationSettings, decisions: Decisions, items: EvaluationItems
) -> dict[str, Any]:
    leaked = [place for place, reason in enumerate(REASONS, 1) if reason.startswith("leaked")]
    hit = np.unique(decisions.of_N[np.isin(decisions.code_N, leaked)])
    return {
        "corpora": list(settings.decontaminate),
        "items": len(items.places),
        "leaked": len(hit),
        "words_in_a_row": LEAK_WORDS,
        "fewest_words": FEWEST_ITEM_WORDS,
        "unchecked": items.unchecked,
    }


def _covariates(
    settings: CurationSettings, sketches: CorpusSketches, decisions: Decisions
) -> dict[str, Any]:
    """Means of what selection may move beside diversity, before, after and at random."""
    values = {"words": sketches.words_N.astype(np.float64)}
    if settings.quality_field is not None and sketches.quality_N is not None:
        values[settings.quality_field] = sketches.quality_N
    corpora = {"before": np.ones(sketches.documents, bool), "after": decisions.stays}
    subset_N = scores.random_subset_of(settings, decisions)
    if subset_N is not None:
        corpora["random"] = subset_N
    return {
        name: {corpus: _moments(of_N[chosen_N]) for corpus, chosen_N in corpora.items()}
        for name, of_N in values.items()
    }


def _moments(values: np.ndarray) -> dict[str, float | int | None]:
    known = values[np.isfinite(values)]
    return {
        "mean": float(known.mean()) if len(known) else None,
        "standard_error": float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else None,
        "documents": len(known),
        "missing": len(values) - len(known),
    }


def _write_record(path: pathlib.Path, summary: dict[str, Any], dropped: pathlib.Path) -> None:
    """curation.json: the summary, and every dropped document on a line of its own."""
    head = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    with path.open("w", encoding="utf-8") as file, dropped.open(encoding="utf-8") as lines:
        file.write(head.removesuffix("\n}") + ',\n "dropped": [')
        _copy_lines(lines, file)
        file.write("\n ]\n}\n")


def _copy_lines(lines: IO[str], file: IO[str]) -> None:
    separator = "\n  "
    for line in lines:
        file.write(separator + line.rstrip("\n"))
        separator = ",\n  "
