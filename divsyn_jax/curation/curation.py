"""Curating a corpus: what is dropped and why, what stays, and what both were worth."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

import numpy as np

from divsyn_jax.base import files, owned_folders
from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import near_duplicates, selection
from divsyn_jax.curation.evaluation_items import EvaluationItems, read_items
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.curation.sketching import SCRATCH, CorpusSketches, remove_scratch, sketch_corpus
from divsyn_jax.data.readers.corpus import CorpusReader, check_apart
from divsyn_jax.embedding.store import FILE as VECTORS

CURATION_VERSION = 1
CURATED_FILES = (
    *("documents.jsonl.zst", "documents.parquet", "README.md", "curation.json", "clusters.jsonl"),
    *(f"{VECTORS}*", SCRATCH),
)
Reason = Literal[
    "exact_duplicate",
    "leaked_words",
    "leaked_meaning",
    "near_duplicate",
    "semantic_duplicate",
    "not_selected",
]
# In the order in which they are looked for; a document has the first that holds.
REASONS: dict[Reason, str] = {
    "exact_duplicate": "its text is that of an earlier document",
    "leaked_words": "it holds words of an evaluation item",
    "leaked_meaning": "its vector is near that of an evaluation item",
    "near_duplicate": "it shares most word 3-grams with an earlier document that stays",
    "semantic_duplicate": "its vector is near that of an earlier document that stays",
    "not_selected": "the selection did not choose it",
}
_CODES: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS, 1)}


class DroppedRecord(TypedDict, total=False):
    """Why one document is gone; `of` is the document, or the item, that it repeats.

    `document` counts from 0.
    """

    document: int
    where: str
    reason: Reason
    of: int
    of_where: str
    similarity: float
    runs: int
    words: str


@dataclasses.dataclass(frozen=True)
class Decisions:
    """What becomes of every document.

    Attributes:
      code_N: 0 for one that stays, else the place of its reason in `REASONS`, from 1.
      of_N: the earlier document or the item that it repeats, -1 for none.
      similarity_N: Jaccard similarity or cosine to it.
      candidates: documents that the selection chose among, ascending.
      model: who made the vectors, if any were needed.
    """

    code_N: np.ndarray
    of_N: np.ndarray
    similarity_N: np.ndarray
    candidates: np.ndarray
    model: str | None

    @property
    def stays(self) -> np.ndarray:
        """[N] whether each document stays."""
        return self.code_N == 0

    def counts(self) -> dict[Reason, int]:
        """Documents dropped, by reason."""
        return {reason: int((self.code_N == code).sum()) for reason, code in _CODES.items()}

    def reason(self, document: int) -> Reason | None:
        """Why a document is dropped; None for one that stays."""
        code = int(self.code_N[document])
        return None if code == 0 else list(REASONS)[code - 1]


def curate_corpus(
    spec: str, settings: CurationSettings, output: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write what stays of a corpus to the folder `output`, with its card and curation.json.

    Returns:
      the content of curation.json without the list of what was dropped.

    The same corpus and settings give the same bytes, whatever reads the texts (processes, Apache
    Beam) and however many. Vectors are kept across a stop; nothing else is visible before the end.
    Raises `UserError` for a corpus, items or fields that cannot be used, and when nothing stays.
    """
    from divsyn_jax.curation import output as outputs

    files.check_replaceable(output, CURATED_FILES)
    check_apart(spec, output)
    items = None
    if settings.decontaminate:
        items = read_items(settings.decontaminate, settings.read)
    identity = {"corpus": spec, "settings": settings_record(settings)}
    with (
        files.resumed_directory(output, identity, CURATED_FILES) as folder,
        _only_vectors_left(folder),
    ):
        remove_scratch(folder)
        _take_over_vectors(pathlib.Path(output), folder)
        items_file = None
        if items is not None and "ngram" in settings.decontaminate_by:
            items_file = folder / "scratch-items.npz"
            items.save(items_file)
        sketches = sketch_corpus(spec, settings, items_file, folder)
        decisions = decide(spec, settings, sketches, items, folder)
        if not decisions.stays.any():
            raise UserError(f"{spec}: no document stays; relax what is dropped")
        summary = outputs.write_corpus(spec, settings, sketches, decisions, items, folder)
        remove_scratch(folder)
    return summary


@contextlib.contextmanager
def _only_vectors_left(folder: pathlib.Path) -> Iterator[None]:
    """Leave nothing of a block that fails but the vectors that it paid for, if any."""
    try:
        yield
    except BaseException:
        marks = (owned_folders.SETTINGS, owned_folders.LOCK)
        vectors = [path.name for path in folder.glob(f"{VECTORS}*")]
        owned_folders.remove_written(
            folder, CURATED_FILES, keep=(*vectors, *marks) if vectors else ()
        )
        if not vectors:
            folder.rmdir()
        raise


def decide(
    spec: str,
    settings: CurationSettings,
    sketches: CorpusSketches,
    items: EvaluationItems | None,
    folder: pathlib.Path,
) -> Decisions:
    """Which documents stay; texts are read again only where their vectors are needed."""
    total = sketches.documents
    code_N, of_N = np.zeros(total, np.int8), np.full(total, -1, np.int64)
    similarity_N = np.ones(total, np.float32)

    def drop(reason: Reason, of: np.ndarray, similarity: np.ndarray | None = None) -> None:
        fresh = (of >= 0) & (code_N == 0)
        code_N[fresh], of_N[fresh] = _CODES[reason], of[fresh]
        if similarity is not None:
            similarity_N[fresh] = similarity[fresh]

    if "exact" in settings.dedup:
        drop("exact_duplicate", near_duplicates.exact_duplicates(sketches.digests_N2))
    leaked_N = np.full(total, -1, np.int64)
    for document, leak in sketches.leaks.items():
        leaked_N[document] = leak.item
    drop("leaked_words", leaked_N)
    if "minhash" in settings.dedup:
        drop(
            "near_duplicate",
            *near_duplicates.verified_copies(sketches, code_N == 0, settings.near_duplicate),
        )
    model = None
    if settings.needs_vectors:
        from divsyn_jax.curation import vectors

        embedding = vectors.Embedding(settings.embedding_model, settings.embedding_cache or folder)
        model = embedding.name
        left = np.flatnonzero(code_N == 0)
        texts = (text for _, text in chosen_texts(spec, settings, code_N == 0))
        found = embedding.of_documents(texts, left, folder, spec)
        if items is not None and "embedding" in settings.decontaminate_by:
            items_ME = embedding.vectors(items.texts, "evaluation items")
            near = vectors.nearest_items(found, items_ME, settings.semantic_distance, total)
            drop("leaked_meaning", *near)
            found = found.among(code_N == 0)
        if "semantic" in settings.dedup:
            same = vectors.semantic_duplicates(found, settings.semantic_distance, total)
            drop("semantic_duplicate", *same)
            found = found.among(code_N == 0)
    candidates = np.flatnonzero(code_N == 0)
    if settings.by is not None and settings.keep is not None:
        count = selection.chosen_count(len(candidates), settings.keep)
        if settings.by == "random":
            chosen = selection.random_subset(len(candidates), count, settings.seed)
        else:
            chosen = selection.select(found.vectors_AE, count, settings.by, settings.seed)
        lost = np.ones(len(candidates), bool)
        lost[chosen] = False
        code_N[candidates[lost]] = _CODES["not_selected"]
    return Decisions(code_N, of_N, similarity_N, candidates, model)


def chosen_texts(
    spec: str, settings: CurationSettings, chosen_N: np.ndarray
) -> Iterator[tuple[int, str]]:
    """(number, text) of the documents that are chosen, in order. Raises `UserError` where the
    corpus has other documents than it had.
    """
    number = -1
    for number, document in enumerate(CorpusReader(spec, settings.read)):
        if number >= len(chosen_N):
            break
        if chosen_N[number]:
            yield number, document.text
    if number + 1 != len(chosen_N):
        raise changed(spec)


def changed(spec: str) -> UserError:
    """What to raise where a corpus is not what it was a minute ago."""
    return UserError(f"{spec}: changed while it was read; run the command again")


def settings_record(settings: CurationSettings) -> dict[str, Any]:
    """The settings that determine the output, as JSON."""
    found = dataclasses.asdict(settings)
    for name in ("workers", "runner", "beam_options", "embedding_cache"):
        del found[name]
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in found.items()
    }


def _take_over_vectors(output: pathlib.Path, folder: pathlib.Path) -> None:
    """Vectors of an earlier corpus at `output` serve the new one."""
    earlier, own = output / VECTORS, folder / VECTORS
    if earlier.is_file() and not earlier.is_symlink() and not own.exists():
        with owned_folders.replacing_file(own) as file:
            file.write(earlier.read_bytes())
        own.chmod(0o600)
