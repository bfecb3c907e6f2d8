"""How close each corpus is to each evaluation text, and to the other corpora: closeness.json.

Trigram models over the study's tokenizer (`ngrams`), each way, in bits a byte of the text that is
predicted: `of_evaluation` is that of an evaluation text under a model of the corpus, `of_corpus`
that of the corpus under a model of the evaluation text. A corpus stands for itself by as many bytes
of its distinct documents as every other, so that a larger one is no closer for its size. Between
corpora it is the Jensen-Shannon divergence of their token frequencies (Lin 1991), in bits."""

import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.data.tokenizer import Tokenizer, load_tokenizer
from divsyn_jax.evaluation import task_data
from divsyn_jax.study.controls.ngrams import TrigramModel
from divsyn_jax.study.recipe import Study
from divsyn_jax.study.study_file import CorpusCloseness, Divergence
from divsyn_jax.study.texts import text_key

TASKS = "tasks/mean"  # the evaluation text that the questions are; no held-out text has that name
# Rungs of one ladder of ../shared/data diverge by 0.004 to 0.047 bits, corpora of unlike kinds (a
# dialogue, code, instructions, textbooks) by 0.086 to 0.39.
UNLIKE_DIVERGENCE = 0.065
_BYTES = 300_000  # of a corpus, at most: some 80,000 tokens, a second of counting


class Closeness(TypedDict):
    """The content of closeness.json; `bytes`: of each corpus that were compared."""

    bytes: int
    corpora: dict[str, CorpusCloseness]
    divergences: list[Divergence]


def read_closeness(study: Study) -> Closeness:
    """What `measure` found, measured now where the study was prepared without it."""
    record = study.workdir / "closeness.json"
    if not record.exists():
        files.write_json(record, _measure(study))
    found: Closeness = files.read_json(record)
    return found


def unlike(found: Closeness, families: Mapping[str, str]) -> list[Divergence]:
    """Pairs of corpora of one family (of all, where none is named) that are of unlike kinds, the
    farthest first."""
    pairs = [
        pair
        for pair in found["divergences"]
        if pair["divergence"] > UNLIKE_DIVERGENCE
        and families.get(pair["first"]) == families.get(pair["second"])
    ]
    return sorted(pairs, key=lambda pair: -pair["divergence"])


def _measure(study: Study) -> Closeness:
    samples = {
        level["name"]: sample_texts(study.corpus(level), study.options)
        for level in study.recipe["levels"]
    }
    evaluation = {
        name: [row["text"] for row in files.read_jsonl(study.workdir / "heldout" / f"{name}.jsonl")]
        for name in study.recipe["heldout"]
    }
    if questions := _questions(study):
        evaluation[TASKS] = questions
    return closeness_of(samples, evaluation, load_tokenizer(str(study.workdir / "tokenizer")))


def closeness_of(
    corpora: Mapping[str, Sequence[str]],
    evaluation: Mapping[str, Sequence[str]],
    tokenizer: Tokenizer,
) -> Closeness:
    """Closeness of every corpus to every evaluation text and every other corpus.

    Corpora are cut to the bytes of the smallest."""
    limit = min(_bytes(texts) for texts in corpora.values())
    cut = {name: list(_first_bytes(texts, limit)) for name, texts in corpora.items()}
    ids = {name: tokenizer.encode(texts) for name, texts in cut.items()}
    evaluation_ids = {name: tokenizer.encode(texts) for name, texts in evaluation.items()}
    found = {name: CorpusCloseness(of_evaluation={}, of_corpus={}) for name in corpora}
    for name, of_corpus in ids.items():
        model = TrigramModel(of_corpus, tokenizer.vocab_size)
        for domain, texts in evaluation_ids.items():
            bits = model.bits(texts) / _bytes(evaluation[domain])
            found[name]["of_evaluation"][domain] = bits
    for domain, texts in evaluation_ids.items():
        model = TrigramModel(texts, tokenizer.vocab_size)
        for name, of_corpus in ids.items():
            found[name]["of_corpus"][domain] = model.bits(of_corpus) / _bytes(cut[name])
    shares = {
        name: _frequencies(of_corpus, tokenizer.vocab_size) for name, of_corpus in ids.items()
    }
    divergences = [
        Divergence(first=one, second=two, divergence=_jensen_shannon(shares[one], shares[two]))
        for one, two in itertools.combinations(ids, 2)
    ]
    return Closeness(bytes=limit, corpora=found, divergences=divergences)


def sample_texts(corpus: str, options: ReadOptions) -> list[str]:
    """Distinct documents of a corpus, 300 kB of them at most, in the order of a hash of their
    text: the same whatever the order of the corpus and however often it repeats them."""
    chosen: dict[bytes, str] = {}
    held = 0
    for document in CorpusReader(corpus, options):
        key = text_key(document.text)
        if key not in chosen:
            chosen[key] = document.text
            held += len(document.text.encode())
        if held > 4 * _BYTES:
            kept, held = {}, 0
            for key, text in sorted(chosen.items()):
                if held > _BYTES:
                    break
                kept[key] = text
                held += len(text.encode())
            chosen = kept
    return list(_first_bytes([text for _, text in sorted(chosen.items())], _BYTES))


def _questions(study: Study) -> list[str]:
    """The questions with their right answers, where the study has them in the simple form."""
    found = []
    for task in study.recipe["tasks"]:
        for item in items_as_written(study, task):
            if {"text", "choices", "label"} <= set(item):
                found.append(f"{item['text']} {item['choices'][item['label']]}")
    return found


def items_as_written(study: Study, task: str) -> Iterable[task_data.Item]:
    """The items of a task in the study's own files; none where it lies elsewhere."""
    if not study.task_data:
        return
    try:
        path = task_data.find_items(pathlib.Path(study.task_data), task)
    except UserError:  # a group of tasks: its files bear other names
        return
    yield from task_data.raw_items(path)


def _bytes(texts: Iterable[str]) -> int:
    return max(1, sum(len(text.encode()) for text in texts))


def _first_bytes(texts: Iterable[str], limit: int) -> Iterable[str]:
    """Texts up to so many bytes, the last one cut."""
    for text in texts:
        if limit <= 0:
            return
        encoded = text.encode()
        yield text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore")
        limit -= len(encoded)


def _frequencies(texts: Sequence[Sequence[int]], vocab_size: int) -> np.ndarray:
    every = np.fromiter(itertools.chain.from_iterable(texts), np.int64)
    counts = np.bincount(every, minlength=vocab_size)
    return counts / max(counts.sum(), 1)


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2

    def to_middle(of: np.ndarray) -> float:
        seen = of > 0
        return float(np.sum(of[seen] * np.log2(of[seen] / middle[seen])))

    return (to_middle(p) + to_middle(q)) / 2
