"""A corpus larger than the memory it may take."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from .corpora import REPOSITORY

GIB = 1 << 30
_WORDS = 1 << 20
_MEAN_WORDS = 300  # about 2 KB a document


def write_large(path: pathlib.Path, size: int) -> None:
    """A JSONL of `size` bytes and a little more:

    documents of 1 to several thousand words, all different, of 50 topics.
    """
    rng = np.random.default_rng(0)
    vocabulary = [
        "".join(map(chr, rng.integers(97, 123, rng.integers(2, 12)))) for _ in range(20_000)
    ]
    words = [vocabulary[rank] for rank in np.minimum(rng.zipf(1.3, _WORDS), 20_000) - 1]
    written = number = 0
    with path.open("w", encoding="ascii") as file:
        while written < size:
            starts, lengths = rng.integers(0, _WORDS, 1000), rng.geometric(1 / _MEAN_WORDS, 1000)
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                text = " ".join(words[start : start + length])
                written += file.write(f'{{"text": "{number} {text}", "topic": {number % 50}}}\n')
                number += 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_gigabytes_are_scored_within_two_gigabytes(tmp_path):
    corpus, output = tmp_path / "large.jsonl", tmp_path / "out"
    try:
        write_large(corpus, 2 * GIB)
        command = [
            sys.executable,
            str(REPOSITORY / "tools" / "score_corpus.py"),
            str(corpus),
            f"--output={output}",
        ]
        command += ["--agent=oracle", "--label_field=topic"]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        corpus.unlink(missing_ok=True)
    assert (output / "large" / "score.json").exists()
    peak = usage.ru_maxrss * 1024
    print(f"peak resident memory {peak / GIB:.2f} GiB")
    assert peak < 2 * GIB
