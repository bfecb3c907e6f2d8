"""What lm-evaluation-harness writes of every item, made up.

The layout of a line is that of lm_eval 0.4.13 (evaluator.py, loggers/evaluation_tracker.py).
"""

import gzip
import hashlib
import json
import random


def sample_line(number, acc, *, seen="arc", filtered="none", prompt="p", **more):
    metrics = {"acc": acc, **more}
    return {
        "doc_id": number,
        "doc": {"question": f"{seen} {number}", "choices": {"text": ["a", "b"], "label": [0, 1]}},
        "target": "1",
        "arguments": {"gen_args_0": {"arg_0": "Question", "arg_1": " a"}},
        "resps": [[["-1.5", "False"]], [["-2.5", "False"]]],
        "filtered_resps": [["-1.5", "False"], ["-2.5", "False"]],
        "filter": filtered,
        "metrics": list(metrics),
        "doc_hash": hashlib.sha256(f"{seen} {number}".encode()).hexdigest(),
        "prompt_hash": prompt,
        "target_hash": "t",
        **metrics,
    }


def write_samples(path, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def coins(chance, seed, items=200):
    return [float(random.Random(seed * 10_000 + n).random() < chance) for n in range(items)]


def two_evaluations(folder):
    """Folders `a` and `b` of one task; the second is right more often."""
    for seed, (name, chance) in enumerate({"a": 0.4, "b": 0.7}.items(), start=1):
        lines = [
            sample_line(n, value, acc_norm=value) for n, value in enumerate(coins(chance, seed))
        ]
        write_samples(folder / name / "samples_arc_easy_2026-11-30T10-00-00.123456.jsonl", lines)
