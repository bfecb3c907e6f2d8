"""One streaming pass over a corpus: a uniform sample of its documents, its fingerprint, sizes and
exact duplicates.

Memory is that of the sample and of a fixed-size sketch, whatever the size of the corpus.
Shapes: N documents in the sample, D draws, K documents a draw.
"""

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import count_words, first_words
from divsyn_jax.data.readers.corpus import (
    CorpusReader,
    Document,
    ReadOptions,
    TextFingerprint,
    with_progress,
)
from divsyn_jax.data.readers.records import MISSING, field_at
from divsyn_jax.diversity.estimation.whole_groups import GroupedDocuments, GroupSampler

_SKETCH_DIGESTS = 1 << 17
_RESERVOIR_STREAM, _DRAWS_STREAM, _ORDER_STREAM = range(
    3
)  # independent random streams of one --seed


@dataclasses.dataclass(frozen=True)
class DuplicateShare:
    """Share of documents that repeat an earlier one exactly; `standard_error` is 0 when every
    document was counted.
    """

    value: float
    standard_error: float


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the pass over a corpus keeps.

    Attributes:
      spec: the corpus as the reader was given it.
      index_N: the sampled documents' numbers in the corpus, from 0, increasing.
      texts, wheres: their texts and places (`file:line`).
      labels: their labels, as canonical JSON, when a label field was asked for.
      documents: documents in the corpus.
      words: words in the corpus (see `base.words`).
      words_sd: standard deviation of the words of a document, over the corpus.
      fingerprint: `TextFingerprint` of the corpus.
      label_fingerprint: the same function over the labels.
      exact_duplicates: see `DuplicateShare`.
      malformed, empty, problems: what the reader skipped.
      grouped: whole groups of documents, where a group field was asked for.
      group_fingerprint: the function of `fingerprint` over the groups.
      left_out: what stands beside the documents and is none, a line for each reason.
    """

    spec: str
    index_N: np.ndarray
    texts: list[str]
    wheres: list[str]
    labels: list[str] | None
    documents: int
    words: int
    words_sd: float
    fingerprint: str
    label_fingerprint: str | None
    exact_duplicates: DuplicateShare
    malformed: int
    empty: int
    problems: list[str]
    grouped: GroupedDocuments | None = None
    group_fingerprint: str | None = None
    left_out: list[str] = dataclasses.field(default_factory=list)
    _cut: "dict[int, Sample]" = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.texts)

    def cut_to(self, length: int) -> "Sample":
        """The sample with its documents cut to their first `length` words; the same object at every
        call."""
        if length not in self._cut:
            texts = [first_words(text, length) for text in self.texts]
            self._cut[length] = dataclasses.replace(self, texts=texts)
        return self._cut[length]


class DuplicateSketch:
    """Exact-duplicate share in fixed memory: distinct sampling (Gibbons 2001, VLDB) of 64-bit
    digests.

    Every digest under a threshold is kept with its number of occurrences; when more than 2k are
    kept, the threshold falls to the k-th smallest. The kept digests are a uniform sample of the
    distinct documents with exact counts, so the share is exact while at most 2k documents are
    distinct, and 0 for any corpus without repetition."""

    def __init__(self, digests: int = _SKETCH_DIGESTS) -> None:
        self._digests = digests
        self._threshold = 1 << 64
        self._count: dict[int, int] = {}

    def add(self, text: str) -> None:
        """Count one document."""
        digest = int.from_bytes(
            hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little"
        )
        if digest >= self._threshold:
            return
        self._count[digest] = self._count.get(digest, 0) + 1
        if len(self._count) > 2 * self._digests:
            self._threshold = sorted(self._count)[self._digests]
            self._count = {
                kept: count for kept, count in self._count.items() if kept < self._threshold
            }

    def share(self) -> DuplicateShare:
        """1 - 1/m with m the mean number of occurrences of a distinct document; the error by the
        delta method.
        """
        counts = np.fromiter(self._count.values(), dtype=np.float64)
        mean = counts.mean()
        exact = self._threshold == 1 << 64
        error = 0.0 if exact else float(counts.std(ddof=1) / math.sqrt(len(counts)) / mean**2)
        return DuplicateShare(float(1 - 1 / mean), error)


def read_sample(
    spec: str | CorpusReader,
    options: ReadOptions,
    *,
    documents: int,
    label_field: str | None,
    seed: int,
    group_field: str | None = None,
) -> Sample:
    """Read a corpus once and keep a uniform sample of its documents (all of them when there are
    fewer).

    Args:
      spec: a corpus in any form that `CorpusReader` reads, or a reader, which has its own options.
      options: how to read it.
      documents: size of the sample, at most.
      label_field: field of each record to keep as the document's label.
      seed: of the reservoir.
      group_field: field of each record that names the document's group; as many documents of whole
        groups are kept beside the sample.

    Raises:
      UserError: the corpus cannot be read (see `CorpusReader`), a document has no label or no
        group, or no group is as small as `documents`.
    """
    rng = np.random.default_rng([seed, _RESERVOIR_STREAM])
    if isinstance(spec, CorpusReader):
        reader = spec
    else:
        fields = tuple(field for field in (label_field, group_field) if field is not None)
        reader = CorpusReader(spec, options, fields)
    fingerprint, label_fingerprint, duplicates = (
        TextFingerprint(),
        TextFingerprint(),
        DuplicateSketch(),
    )
    groups = None if group_field is None else GroupSampler(group_field, documents, seed)
    group_fingerprint = TextFingerprint()
    reservoir: list[tuple[int, Document, str]] = []
    words = squares = 0
    for index, document in enumerate(with_progress(reader)):
        fingerprint.update(document.text)
        duplicates.add(document.text)
        count = count_words(document.text)
        words += count
        squares += count * count
        label = ""
        if label_field is not None:
            label = _label(document, label_field, reader.columns)
            label_fingerprint.update(label)
        if groups is not None and group_field is not None:
            group = _group(document, group_field)
            group_fingerprint.update(group)
            groups.add(group, index, document.text, label)
        kept = (
            index,
            Document(document.text, {}, document.where),
            label,
        )  # the other fields may be large
        if index < documents:
            reservoir.append(kept)
        elif (slot := rng.integers(0, index + 1)) < documents:
            reservoir[slot] = kept
    reservoir.sort(key=lambda kept: kept[0])
    total = reader.documents
    grouped = None if groups is None else groups.documents(label_field is not None)
    if grouped is not None and not len(grouped):
        raise UserError(
            f"{spec}: every group of field {group_field!r} holds over {documents:,} documents;"
            " raise --max_documents or name another --group_field"
        )
    return Sample(
        spec=reader.spec,
        index_N=np.array([index for index, _, _ in reservoir]),
        texts=[document.text for _, document, _ in reservoir],
        wheres=[document.where for _, document, _ in reservoir],
        labels=[label for _, _, label in reservoir] if label_field is not None else None,
        documents=total,
        words=words,
        words_sd=math.sqrt(max(0, total * squares - words * words) / (total * max(1, total - 1))),
        fingerprint=fingerprint.hexdigest(),
        label_fingerprint=label_fingerprint.hexdigest() if label_field is not None else None,
        exact_duplicates=duplicates.share(),
        malformed=reader.malformed,
        empty=reader.empty,
        problems=list(reader.problems),
        grouped=grouped,
        group_fingerprint=None if grouped is None else group_fingerprint.hexdigest(),
        left_out=reader.left_out(),
    )


def require_documents(sample: Sample, size: int) -> None:
    """Raise `UserError` when the sample holds fewer than `size` documents."""
    if len(sample) < size:
        few = f"{len(sample)} documents, fewer than --sample_size={size}"
        raise UserError(f"{sample.spec}: {few}; lower it or add documents")


def random_draws(sample: Sample, draws: int, size: int, seed: int = 0) -> np.ndarray:
    """Draw documents without replacement, each draw in a fresh random order.

    The stream depends on the corpus as well as on the seed, so that draws of two corpora are
    independent, as a comparison of the two supposes.

    Returns:
      [D, K] positions in the sample.

    Raises:
      UserError: the sample holds fewer than `size` documents.
    """
    require_documents(sample, size)
    rng = np.random.default_rng([seed, _DRAWS_STREAM, int(sample.fingerprint[:16], 16)])
    return draw_without_replacement(rng, len(sample), draws, size)


def draw_without_replacement(
    rng: np.random.Generator, population: int, draws: int, size: int
) -> np.ndarray:
    """[D, K] ordered samples of `size` from range(population), by Floyd's algorithm for all draws
    at once.

    More draws begin with the same ones, so that what an agent said of those is not asked again.
    """
    order_rng = rng.spawn(1)[0]
    last_K = np.arange(population - size, population)
    candidate_DK = rng.integers(0, last_K + 1, size=(draws, size))  # filled row by row
    chosen_DK = np.empty((draws, size), dtype=np.int64)
    for position, last in enumerate(last_K):
        taken_D = (chosen_DK[:, :position] == candidate_DK[:, position, None]).any(axis=1)
        chosen_DK[:, position] = np.where(taken_D, last, candidate_DK[:, position])
    # Floyd's sets are uniform, his order is not.
    return np.take_along_axis(chosen_DK, order_rng.random((draws, size)).argsort(axis=1), axis=1)


def random_order(sample: Sample, seed: int = 0) -> np.ndarray:
    """[N] the sample's positions in a random order:

    the order in which baselines read the documents.
    """
    return np.random.default_rng(
        [seed, _ORDER_STREAM, int(sample.fingerprint[:16], 16)]
    ).permutation(len(sample))


def _value(document: Document, field: str) -> Any:
    """The value of a field that tells documents apart; `MISSING` for null and NaN, which is how
    tables write null among numbers. For the same reason 1.0 is 1.
    """
    value = field_at(document.fields, field)
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    if value is None or (isinstance(value, float) and value != value):
        return MISSING
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _of_json(value: Any) -> Any:
    """What stands for a value that JSON does not have. Raises `TypeError` for one whose words may
    be its place in memory."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | Decimal | UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def _label(document: Document, field: str, columns: Sequence[str]) -> str:
    label = _value(document, field)
    if label is MISSING:
        has = ", ".join(map(str, columns or document.fields)) or "none"
        missing = f"no label in field {field!r} (it has: {has})"
        raise UserError(f"{document.where}: {missing}; name another with --label_field")
    try:
        text = json.dumps(label, sort_keys=True, ensure_ascii=False, default=_of_json)
        text.encode("utf-8")
    except (ValueError, RecursionError, TypeError):
        raise UserError(
            f"{document.where}: the label in field {field!r} ({type(label).__name__}) holds half a"
            " surrogate pair or what JSON cannot say, or is nested too deeply; correct it"
        ) from None
    return text


def _group(document: Document, field: str) -> str:
    value = _value(document, field)
    if value is MISSING:
        has = ", ".join(map(str, document.fields)) or "none"
        raise UserError(
            f"{document.where}: no group in field {field!r} (it has: {has}); name another with"
            " --group_field"
        )
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError(
                f"{document.where}: the group in field {field!r} holds half a surrogate pair;"
                " correct it"
            ) from None
        return value
    if not isinstance(value, int | float):
        raise UserError(
            f"{document.where}: field {field!r} holds {type(value).__name__}, no text or number;"
            " name a plain field with --group_field"
        )
    return str(value)
