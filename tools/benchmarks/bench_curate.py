"""Curation of a synthetic corpus with planted copies and leaks: time, peak memory, what was found.

  python tools/benchmarks/bench_curate.py --megabytes=100 --workers=2 --folder=/tmp/bench_curate

writes a corpus of so many megabytes of JSONL in which a tenth of the documents are planted (exact
copies, copies without 8% of their words, documents with 13 words of an evaluation item), curates it
with --dedup=exact,minhash and --decontaminate in a process of its own, and prints a line of JSON:
seconds, megabytes a second, peak memory of all processes together and of the largest, the recall of
each kind of plant and the share of clean documents dropped.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

_VOCABULARY = 50_000
_ITEMS = 2_000
_WORDS = (60, 400)  # of a document


def write_corpus(path: pathlib.Path, items: pathlib.Path, size: int, seed: int) -> list[str]:
    """Write corpus and items; returns what each document is: clean, exact, near or leak."""
    rng = random.Random(seed)
    vocabulary = [_word(number) for number in range(_VOCABULARY)]
    # Zipf's law, as words of real text have.
    weights = [1 / (rank + 10) for rank in range(_VOCABULARY)]
    pool = rng.choices(vocabulary, weights, k=2_000_000)

    def passage(words: int) -> list[str]:
        start = rng.randrange(len(pool) - words)
        found = pool[start : start + words]
        rng.shuffle(found)
        return found

    asked = [passage(40) for _ in range(_ITEMS)]
    items.write_text("".join(json.dumps({"question": " ".join(a)}) + "\n" for a in asked))
    kinds: list[str] = []
    recent: list[list[str]] = []
    written = 0
    with path.open("w") as file:
        while written < size:
            words = passage(rng.randrange(*_WORDS))
            kind = rng.choices(["clean", "exact", "near", "leak"], [90, 4, 4, 2])[0]
            if kind in ("exact", "near") and not recent:
                kind = "clean"
            if kind == "exact":
                words = rng.choice(recent)
            elif kind == "near":
                words = [word for word in rng.choice(recent) if rng.random() >= 0.08]
            elif kind == "leak":
                item, start = rng.choice(asked), rng.randrange(28)
                place = rng.randrange(len(words))
                words[place:place] = item[start : start + 13]
            else:
                recent.append(words)
                if len(recent) > 1000:
                    recent[rng.randrange(1000)] = recent.pop()
            line = json.dumps({"text": " ".join(words), "kind": kind}) + "\n"
            written += len(line)
            kinds.append(kind)
            file.write(line)
    return kinds


def _word(number: int) -> str:
    letters = ""
    while True:
        number, letter = divmod(number, 26)
        letters += chr(97 + letter)
        if not number:
            return letters


def _resident(pid: int) -> dict[int, int]:
    """Resident megabytes of a process and its children, by process."""
    found: dict[int, int] = {}
    parents: dict[int, int] = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        number = int(status.parent.name)
        parents[number] = int(lines["PPid"])
        # Pages of files that are mapped are the system's cache, not ours.
        found[number] = int(lines.get("RssAnon", "0 kB").split()[0]) >> 10
    ours = {pid}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return {number: found[number] for number in ours if number in found}


def main() -> None:
    """Write, curate, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    corpus, items = asked.folder / "corpus.jsonl", asked.folder / "items.jsonl"
    kinds = write_corpus(corpus, items, asked.megabytes * 10**6, asked.seed)
    output = asked.folder / "curated"
    line = [
        *(sys.executable, "-m", "divsyn_jax", "curate", str(corpus), f"--output={output}"),
        *(f"--decontaminate={items}", f"--workers={asked.workers}", "--score_documents=0"),
    ]
    started = time.monotonic()
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    together = largest = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal together, largest
        while not done.wait(0.5):
            resident = _resident(process.pid)
            together = max(together, sum(resident.values()))
            largest = max(largest, max(resident.values(), default=0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait():
        sys.exit(f"divsyn curate failed with {process.returncode}")
    seconds = time.monotonic() - started
    done.set()
    watcher.join()
    record = json.loads((output / "curation.json").read_text())
    reasons = {each["document"]: each["reason"] for each in record["dropped"]}
    wanted = {"exact": "exact_duplicate", "near": "near_duplicate", "leak": "leaked_words"}
    found = {
        kind: sum(
            reasons.get(number) == reason for number, each in enumerate(kinds) if each == kind
        )
        / max(1, kinds.count(kind))
        for kind, reason in wanted.items()
    }
    clean = [number for number, kind in enumerate(kinds) if kind == "clean"]
    print(
        json.dumps(
            {
                "megabytes": asked.megabytes,
                "documents": len(kinds),
                "workers": asked.workers,
                "seconds": round(seconds, 1),
                "megabytes_a_second": round(asked.megabytes / seconds, 2),
                "peak_megabytes_together": together,
                "peak_megabytes_largest": largest,
                "recall": {kind: round(share, 4) for kind, share in found.items()},
                "clean_dropped": sum(number in reasons for number in clean) / len(clean),
            }
        )
    )


if __name__ == "__main__":
    main()
