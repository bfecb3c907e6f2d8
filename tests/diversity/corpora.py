"""Small corpora for the tests, written to files, and the command that scores them, run in its own
process.
"""

import gzip
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

REPOSITORY = pathlib.Path(__file__).parents[2]


def write_labelled(path: pathlib.Path, counts: Sequence[int]) -> pathlib.Path:
    """A corpus with counts[t] distinct documents of topic t."""
    records = [
        {"text": f"Document {number} about subject {topic}, nothing else.", "topic": f"t{topic}"}
        for topic, count in enumerate(counts)
        for number in range(count)
    ]
    return write_records(path, records)


def write_records(path: pathlib.Path, records: Sequence[dict]) -> pathlib.Path:
    """A JSONL file, compressed when its name ends in .gz."""
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def score_corpus(*arguments) -> subprocess.CompletedProcess:
    """Run the command as a user does."""
    command = [sys.executable, str(REPOSITORY / "tools" / "score_corpus.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
