"""How to curate a corpus: every setting, its default and what it must satisfy."""

import dataclasses
import os
from typing import Literal, get_args

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.beam_runner import Runner
from divsyn_jax.data.readers.options import ReadOptions

Selector = Literal["facility_location", "novelsum", "kinds", "random"]
OutputFormat = Literal["jsonl.zst", "parquet"]
DEDUPLICATIONS = ("exact", "minhash", "semantic")
DECONTAMINATIONS = ("ngram", "embedding")
FEWEST_SCORED = 10  # documents: those of one draw


@dataclasses.dataclass(frozen=True)
class CurationSettings:
    """How to curate a corpus.

    Attributes:
      dedup: duplicates to drop, comma-separated: exact (equal text), minhash (shared word 3-grams),
        semantic (near vectors of the embedding model); empty for none.
      near_duplicate: Jaccard similarity of word 3-grams from which a document is a near-duplicate.
      semantic_distance: cosine distance up to which a document is a semantic duplicate.
      decontaminate: evaluation items, comma-separated corpora whose records may have any fields;
        documents that hold text of them are dropped.
      decontaminate_by: how text of items is found: ngram (13 words in a row), embedding (vectors
        within --semantic_distance), or both.
      keep: share of the documents to keep, chosen by --by.
      by: how to choose them: facility_location, novelsum, kinds (equally many of each kind) or
        random.
      quality_field: numeric field whose mean is reported before and after.
      keep_fields: fields to write beside the text, comma-separated; by default all.
      format: of the corpus written.
      score_documents: documents of a corpus that are scored before and after, at most; 0 for none.
      seed: of samples and of ties.
      embedding_cache: folder that keeps vectors, such as that of score_corpus; by default OUTPUT.
      embedding_model: sentence-transformers model, a folder or hub name; by default
        all-MiniLM-L6-v2 in JAX.
      workers: processes that read texts; by default one for each core.
      runner: read texts on Apache Beam; by default processes of this machine do.
      beam_options: options of Beam and its runner, comma-separated.
      read: how to read the corpus.

    Raises `UserError` for a value that cannot be used.
    """

    dedup: tuple[str, ...] = ("exact", "minhash")
    near_duplicate: float = 0.45
    semantic_distance: float = 0.1
    decontaminate: tuple[str, ...] = ()
    decontaminate_by: tuple[str, ...] = ("ngram",)
    keep: float | None = None
    by: Selector | None = None
    quality_field: str | None = None
    keep_fields: tuple[str, ...] = ()
    format: OutputFormat = "jsonl.zst"
    score_documents: int = 1_000
    seed: int = 0
    embedding_cache: str | os.PathLike[str] | None = None
    embedding_model: str | None = None
    workers: int | None = None
    runner: Runner | None = None
    beam_options: tuple[str, ...] = ()
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        for flag, known in (("dedup", DEDUPLICATIONS), ("decontaminate_by", DECONTAMINATIONS)):
            given = tuple(name for name in getattr(self, flag) if name)
            object.__setattr__(self, flag, given)
            for name in given:
                if name not in known:
                    raise UserError(f"--{flag}={name}: choose among {', '.join(known)}")
        _require(0 < self.near_duplicate <= 1, "near_duplicate", self, "give a share in (0, 1]")
        _require(0 <= self.semantic_distance < 2, "semantic_distance", self, "give 0 to 2")
        _require(
            self.score_documents == 0 or self.score_documents >= FEWEST_SCORED,
            "score_documents",
            self,
            f"give {FEWEST_SCORED} or more, or 0",
        )
        _require(self.seed >= 0, "seed", self, "give 0 or more")
        _require(self.workers is None or self.workers >= 1, "workers", self, "give 1 or more")
        if (self.keep is None) != (self.by is None):
            raise UserError(
                f"--keep and --by go together: give both, e.g. --keep=0.5 --by={_EXAMPLE}"
            )
        _require(self.keep is None or 0 < self.keep < 1, "keep", self, "give a share in (0, 1)")
        if self.decontaminate and not self.decontaminate_by:
            raise UserError("--decontaminate_by is empty: give ngram, embedding or both")
        if self.beam_options and not self.runner:
            raise UserError("--beam_options are for --runner")

    @property
    def needs_vectors(self) -> bool:
        """Whether anything but the score needs the vectors of all documents."""
        by_vectors = self.by not in (None, "random")
        leaks = bool(self.decontaminate) and "embedding" in self.decontaminate_by
        return by_vectors or leaks or "semantic" in self.dedup


_EXAMPLE = get_args(Selector)[0]


def _require(holds: bool, flag: str, settings: CurationSettings, wants: str) -> None:
    if not holds:
        raise UserError(f"--{flag}={getattr(settings, flag)}: {wants}")
