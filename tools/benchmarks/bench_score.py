"""`make bench-score`: our baselines beside PyPI diversity 0.3.1, metric by metric, in one process
on the same documents.

  python tools/benchmarks/bench_score.py [--corpus=...] [--documents=2000] \\
      [--homogenization_documents=200]

Values are ours under parity and have to be equal. Theirs of homogenisation takes hours on 2,000
documents, so it is
measured on the first --homogenization_documents (0: all) and its time on all of them is
extrapolated by pairs, in a row that says so; ours is measured on both. The embedding of documents
is left out on both sides: theirs is given an encoder that returns random unit vectors. Importing
their package tries to download data for a metric that is not measured here; the download is stubbed
out."""

import datetime
import gc
import importlib.metadata
import itertools
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import nltk

nltk.download = lambda *_, **__: False

import diversity
import diversity.embedding
import numpy as np
import rapidfuzz  # noqa: F401  ours imports it on first use: not a part of the first measurement
import sklearn.cluster  # noqa: F401
from absl import app, flags

from divsyn_jax.base import files
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.diversity.baselines import PARITY, embedding, homogenization, lexical

_CORPUS = flags.DEFINE_string(
    "corpus",
    str(ROOT.parent / "shared" / "data" / "syn_textbooks_mistral.jsonl.gz"),
    "Corpus to measure on.",
)
_DOCUMENTS = flags.DEFINE_integer(
    "documents", 2000, "First documents of the corpus to read.", lower_bound=3
)
_PAIRED = flags.DEFINE_integer(
    "homogenization_documents", 200, "Of them, to their homogenisation; 0: all."
)
_REPEATS = flags.DEFINE_integer(
    "repeats", 3, "Times a metric is measured; the median counts. Homogenisation once."
)
_OUTPUT = flags.DEFINE_string(
    "output", str(ROOT / "tools" / "benchmarks" / "bench_score.md"), "Table to write."
)


class _Encoder:
    """In place of SentenceTransformer:

    random unit vectors of 384 dimensions, the same for both sides.
    """

    vectors_NE = None

    def __init__(self, _: str) -> None:
        pass

    def encode(self, texts: Sequence[str], **_):
        return self.vectors_NE[: len(texts)]


def main(_: list[str]) -> None:
    texts = [
        document.text
        for document in itertools.islice(CorpusReader(_CORPUS.value), _DOCUMENTS.value)
    ]
    paired = texts[: _PAIRED.value or None]
    vectors_NE = (
        np.random.default_rng(0).normal(0.02, 1 / 384**0.5, (len(texts), 384)).astype(np.float32)
    )
    vectors_NE /= np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    _Encoder.vectors_NE = vectors_NE
    diversity.embedding.SentenceTransformer = _Encoder
    rows = [
        _measure(
            "compression ratio",
            texts,
            diversity.compression_ratio,
            _ours(lexical.compression_ratio),
            1e-3,
        ),
        _measure(
            "n-gram diversity",
            texts,
            diversity.ngram_diversity_score,
            _ours(lexical.ngram_diversity),
            0,
        ),
        _measure(
            "self-repetition",
            texts,
            _quiet(diversity.self_repetition_score),
            lexical.self_repetition,
            1e-12,
        ),
        _measure(
            "remote clique",
            texts,
            _quiet(diversity.remote_clique),
            _of(embedding.remote_clique, vectors_NE),
            1e-6,
        ),
        _measure(
            "chamfer",
            texts,
            _quiet(diversity.chamfer_dist),
            _of(embedding.chamfer, vectors_NE),
            1e-6,
        ),
        _measure(
            "homogenization",
            paired,
            _quiet(diversity.homogenization_score),
            _ours(homogenization.homogenization),
            0,
            1,
        ),
    ]
    lines = [
        (
            "| metric | documents | diversity 0.3.1 (s) | ours (s) | ratio | value theirs | value"
            " ours, parity |"
        ),
        "|---|---|---|---|---|---|---|",
        *map(_line, rows),
        _line(_total("total, as measured", rows)),
    ]
    if len(paired) < len(texts):
        pairs = len(texts) * (len(texts) - 1) / (len(paired) * (len(paired) - 1))
        seconds, value = _timed(lambda: _ours(homogenization.homogenization)(texts))
        all_pairs = (
            "homogenization, theirs EXTRAPOLATED by pairs",
            len(texts),
            rows[-1][2] * pairs,
            seconds,
            None,
            value,
        )
        lines += [
            _line(all_pairs),
            _line(_total("total with that row, EXTRAPOLATED", [*rows[:-1], all_pairs])),
        ]
    table = "\n".join(lines)
    print(table)
    files.write_text(_OUTPUT.value, f"{_conditions(texts)}\n\n{table}\n")


def _quiet(metric: Callable) -> Callable:
    return lambda texts: metric(texts, verbose=False)


def _ours(metric: Callable) -> Callable:
    return lambda texts: _value(metric(texts, parity=PARITY))


def _of(metric: Callable, vectors_NE) -> Callable:
    return lambda _: _value(metric(vectors_NE, parity=PARITY))


def _value(found) -> float:
    return found["value"] if isinstance(found, dict) else found


def _timed(work: Callable) -> tuple[float, float]:
    gc.collect()
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, float(value)


def _measure(
    name: str,
    texts: Sequence[str],
    theirs: Callable,
    ours: Callable,
    tolerance: float,
    repeats: int | None = None,
) -> tuple:
    """Both in turn, so that other work on the machine hits both."""
    pairs = []
    for _ in range(repeats or _REPEATS.value):
        pairs.append((_timed(lambda: theirs(texts)), _timed(lambda: ours(texts))))
        print(f"{name}: theirs {pairs[-1][0]}, ours {pairs[-1][1]}", file=sys.stderr, flush=True)
    value_theirs, value_ours = pairs[-1][0][1], pairs[-1][1][1]
    if abs(value_theirs - value_ours) > tolerance + 1e-9:
        sys.exit(f"{name}: theirs {value_theirs}, ours {value_ours}: not the same metric")
    seconds = [statistics.median(pair[side][0] for pair in pairs) for side in (0, 1)]
    return name, len(texts), *seconds, value_theirs, value_ours


def _total(name: str, rows: Sequence[tuple]) -> tuple:
    return name, None, sum(row[2] for row in rows), sum(row[3] for row in rows), None, None


def _line(row: tuple) -> str:
    name, documents, theirs, ours, *values = row
    shown = ["" if value is None else f"{value:.6g}" for value in values]
    return (
        f"| {name} | {documents or ''} | {theirs:.3f} | {ours:.4f} | {theirs / ours:.1f} |"
        f" {' | '.join(shown)} |"
    )


def _conditions(texts: Sequence[str]) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("numpy", "rapidfuzz", "rouge-score", "nltk", "scikit-learn")
    )
    return (
        f"# Baselines beside PyPI diversity {importlib.metadata.version('diversity')} (`make"
        f" bench-score`)\n\n{datetime.date.today()}, commit {commit.stdout.strip()}, Python"
        f" {platform.python_version()}, {versions}; {len(os.sched_getaffinity(0))} cores"
        f" ({_processor()}), load at the end {os.getloadavg()[0]:.1f}."
        f" {pathlib.Path(_CORPUS.value).name}, first {len(texts):,} documents,"
        f" {sum(len(t.split()) for t in texts):,} words. Both in one process in turn, median of"
        f" {_REPEATS.value} (homogenization once); embedding left out on both sides, their encoder"
        " replaced by one that returns random unit vectors; their download at import stubbed out."
    )


def _processor() -> str:
    lines = (
        pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if os.path.exists("/proc/cpuinfo")
        else []
    )
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


if __name__ == "__main__":
    app.run(main)
