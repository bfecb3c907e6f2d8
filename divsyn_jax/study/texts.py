"""The texts of a study:

level corpora, the real part of the mixture, and held-out domains that no level was trained on.
"""

import dataclasses
import hashlib
import itertools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from divsyn_jax.base import files, remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions, TextFingerprint
from divsyn_jax.study.factorial.pools import HELDOUT_OF_POOLS
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages, limits

# Topics of CPython's documentation that go to the held-out side, one in so many.
_PYDOC_HELDOUT_ONE_IN = 3
_PASSAGE_WORDS = 60
# Seeds of training corpora are small; held-out grammar text must never coincide with one.
_HELDOUT_SEED = 1_000_003
_KNOBS = dataclasses.fields(Breadth)


def breadth_of(level: Mapping[str, Any]) -> Breadth:
    """What the grammar corpus of a level draws on.

    Raises `ValueError` for a number out of range."""
    return Breadth(**{knob.name: level[knob.name] for knob in _KNOBS if knob.name in level})


def write_level_corpus(level: Mapping[str, Any], documents: int, folder: pathlib.Path) -> None:
    """Write a grammar corpus for a level of the recipe, unless it is there: `documents` of them, or
    as many as the level says."""
    if not (folder / "manifest.json").exists():
        generate_corpus(breadth_of(level), level.get("documents", documents), level["seed"], folder)


def write_in_order_of_hash(source: str, path: pathlib.Path, options: ReadOptions) -> None:
    """Write a corpus again, fields and all, its documents in the order of a hash of their text,
    unless it is there. Holds the corpus in memory."""
    if path.exists():
        return
    documents = sorted(CorpusReader(source, options), key=lambda read: text_key(read.text))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(path, ({**read.fields, options.text_field: read.text} for read in documents))


def pydoc_passages(heldout: bool) -> Iterator[dict[str, str]]:
    """Passages of 60 words or more from `pydoc_data.topics`, CPython's own documentation: text
    nobody generated.

    Whole topics go to one side or the other, chosen by a hash of their names.
    """
    from pydoc_data.topics import topics

    for name in sorted(topics):
        on_heldout_side = hashlib.sha256(name.encode()).digest()[0] % _PYDOC_HELDOUT_ONE_IN == 0
        if on_heldout_side != heldout:
            continue
        passage: list[str] = []
        for paragraph in re.split(r"\n\s*\n", topics[name].strip()):
            passage.append(paragraph)
            if sum(len(part.split()) for part in passage) >= _PASSAGE_WORDS:
                yield {"text": "\n\n".join(passage), "topic": name}
                passage = []
        if passage:
            yield {"text": "\n\n".join(passage), "topic": name}


def write_jsonl(path: pathlib.Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write documents, one JSON object a line, in one step."""
    files.write_text(
        path, "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
    )


class TextAmount(TypedDict):
    """How much text a corpus holds, and how much of it is distinct (by `text_key`)."""

    documents: int
    distinct_documents: int
    bytes: int
    distinct_bytes: int


def text_amount(corpus: str, options: ReadOptions) -> TextAmount:
    """Count a corpus in one pass; memory grows with its distinct documents, 16 bytes each."""
    seen: set[bytes] = set()
    found = TextAmount(documents=0, distinct_documents=0, bytes=0, distinct_bytes=0)
    for document in CorpusReader(corpus, options):
        size, key = len(document.text.encode()), text_key(document.text)
        found["documents"] += 1
        found["bytes"] += size
        if key not in seen:
            seen.add(key)
            found["distinct_documents"] += 1
            found["distinct_bytes"] += size
    return found


def distinct_text(shards: pathlib.Path, corpus: str, options: ReadOptions) -> TextAmount:
    """How much of a corpus is distinct, kept beside its shards; counted once, also for a study of
    0.1.0."""
    record = shards / "distinct.json"
    if not record.exists():
        files.write_json(record, text_amount(corpus, options))
    found: TextAmount = files.read_json(record)
    return found


EQUAL_WITHIN = 0.01  # of the bytes that every corpus is cut to


def write_equal_corpora(
    sources: Mapping[str, str], folder: pathlib.Path, options: ReadOptions
) -> None:
    """Write the distinct documents of every corpus, cut to the bytes of the smallest, as
    `<name>.jsonl` in `folder`, unless they are there.

    Documents are taken in the order of a hash of their text, so the choice does not depend on
    theirs; one that would go over is passed over. A corpus that so ends more than 1% short (its
    documents are too long) is named on a line."""
    if folder.exists():
        return
    size: dict[str, dict[bytes, int]] = {name: {} for name in sources}
    for name, source in sources.items():
        for document in CorpusReader(source, options):
            size[name].setdefault(text_key(document.text), len(document.text.encode()))
    target = min(sum(of_corpus.values()) for of_corpus in size.values())
    with files.new_directory(folder) as temporary:
        for name, source in sources.items():
            kept: set[bytes] = set()
            total = 0
            for key, length in sorted(size[name].items()):
                if total + length <= target:
                    kept.add(key)
                    total += length
            if total < (1 - EQUAL_WITHIN) * target:
                print(
                    f"equal_text: {name} is cut to {total:,} bytes, {1 - total / target:.1%} short"
                    f" of {target:,}: its documents are too long to come within {EQUAL_WITHIN:.0%}"
                )
            with open(temporary / f"{name}.jsonl", "w", encoding="utf-8") as file:
                for document in CorpusReader(source, options):
                    key = text_key(document.text)
                    if key in kept:
                        kept.remove(key)
                        record = {options.text_field: document.text}
                        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_questions(
    kind: str, levels: Sequence[Mapping[str, Any]], count: int, folder: pathlib.Path
) -> None:
    """Write the grammar's `instructions` or `items` (`count`; 0:

    all) about the topics of all levels, unless they are there.
    """
    generate_corpus(widest(levels), count, 0, folder, kind)


def widest(levels: Sequence[Mapping[str, Any]]) -> Breadth:
    """The breadth that holds that of every grammar level, one topic a document."""
    written = [breadth_of(level) for level in levels if "topics" in level]
    generators = dict.fromkeys(name for breadth in written for name in breadth.generators)
    return Breadth(
        **{axis: max(getattr(breadth, axis) for breadth in written) for axis in limits()},
        generators=tuple(generators),
    )


# Built-in held-out text, beside any corpus. The last ones are new on one axis: of what no level
# uses there, and otherwise of what every level has (`seen`: new in nothing but the text).
_AXES = ("topics", "styles", "personas", "wordings", "formats")
_UNSEEN: dict[str, str | None] = {"seen": None} | {f"unseen_{axis}": axis for axis in _AXES}
BUILT_IN = ("grammar", "pydoc", *_UNSEEN, *HELDOUT_OF_POOLS)


def check_unseen(source: str, levels: Sequence[Mapping[str, Any]]) -> None:
    """Raise `UserError` for a held-out text that must be unseen where the levels leave nothing."""
    if source in _UNSEEN:
        unseen(levels, _UNSEEN[source])


def unseen(levels: Sequence[Mapping[str, Any]], axis: str | None) -> Breadth:
    """What held-out text draws on that is new on one axis (None: on none): there, all entries that
    no level uses; elsewhere, those that every level uses.

    Raises `UserError` where the levels use all there are."""
    written = [breadth_of(level) for level in levels if "topics" in level]
    if not written:
        raise UserError("config.heldout: seen and unseen_... need levels that the grammar writes")
    common = {name: min(getattr(each, name) for each in written) for name in limits()}
    if axis is None:
        return Breadth(**common)
    used, there = getattr(widest(levels), axis), limits()[axis]
    if used >= there:
        raise UserError(
            f"config.heldout: unseen_{axis}: the levels use all {there} {axis}, and none is left;"
            " give them fewer"
        )
    # Off (0) is the first wording alone.
    common[axis] = there - max(used, 1)
    return Breadth(**common, from_back=(axis,))


def heldout_source(
    name: str,
    source: str,
    levels: Sequence[Mapping[str, Any]],
    documents: int,
    options: ReadOptions,
) -> Iterator[str]:
    """Texts of a held-out domain before decontamination: one of `BUILT_IN`, or any corpus.

    Raises `UserError` for an axis on which the levels leave nothing unseen."""
    if source == "grammar":
        for written in itertools.islice(
            generate_passages(widest(levels), _HELDOUT_SEED), 2 * documents
        ):
            yield written["text"]
    elif source in _UNSEEN:
        passages = generate_passages(unseen(levels, _UNSEEN[source]), _HELDOUT_SEED)
        for written in itertools.islice(passages, 2 * documents):
            yield written["text"]
    elif source == "pydoc":
        for passage in pydoc_passages(heldout=True):
            yield passage["text"]
    else:
        for read in CorpusReader(source, options):
            yield read.text


def write_heldout(
    path: pathlib.Path, texts: Iterable[str], training_texts: set[bytes], documents: int
) -> dict[str, Any]:
    """Choose `documents` held-out texts that no training corpus contains and write them.

    The choice is by a hash of the text, so it does not depend on the order or number of the texts
    around. Returns what was
    done: `candidates`, `in_training` (dropped), `documents`, `fingerprint`. Raises `UserError` when
    nothing is left."""
    chosen: dict[bytes, str] = {}
    candidates = in_training = 0
    for text in texts:
        candidates += 1
        key = text_key(text)
        if key in training_texts:
            in_training += 1
            continue
        chosen[key] = text
        if (
            len(chosen) > 4 * documents
        ):  # keep memory bounded: only the smallest hashes can be chosen
            chosen = dict(sorted(chosen.items())[:documents])
    kept = [text for _, text in sorted(chosen.items())[:documents]]
    if not kept:
        raise UserError(
            f"{path.stem}: all {candidates} held-out documents are in a training corpus; give other"
            " text to --eval"
        )
    fingerprint = TextFingerprint()
    for text in kept:
        fingerprint.update(text)
    write_jsonl(path, ({"text": text} for text in kept))
    return {
        "candidates": candidates,
        "in_training": in_training,
        "documents": len(kept),
        "fingerprint": fingerprint.hexdigest(),
    }


def text_key(text: str) -> bytes:
    """Identity of a document for decontamination: white space and case do not count."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).digest()[:16]


def training_keys(corpora: Iterable[str], options: ReadOptions) -> set[bytes]:
    """`text_key` of every document of the corpora."""
    return {
        text_key(document.text) for corpus in corpora for document in CorpusReader(corpus, options)
    }


def is_local(corpus: str) -> bool:
    """Whether a corpus is a path or glob on this machine, not a URL and no data set of TFDS or the
    hub.
    """
    return not (remote.is_remote(corpus) or corpus.startswith(("tfds:", "hf:")))


def corpus_fingerprint(reader: CorpusReader) -> str:
    """The text fingerprint of what a reader reads, in one streaming pass."""
    fingerprint = TextFingerprint()
    for document in reader:
        fingerprint.update(document.text)
    return fingerprint.hexdigest()
