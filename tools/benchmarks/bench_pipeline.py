"""`make bench-pipeline`: what the input side costs, each part beside what it is made of, in one
run.

  python tools/benchmarks/bench_pipeline.py [--rounds=5] [--windows=20000] \\
      [--input=a.jsonl.gz,b.jsonl.gz]

1. The input pipeline (shuffle, mix of two sources, batches of 256) over windows of 2048, beside raw
   ArrayRecord reads of the same windows. Aim: 20 M tokens a second of one core.
2. build_shards with one worker beside plain SentencePiece encoding of the same text, already in
memory. Aim: 80% of it.

"Per core" divides by the CPU seconds of the whole process, all its threads included, so other load
on the machine and reads in parallel do not flatter it. Parts take turns, and the median over rounds
is printed with its range."""

import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import sentencepiece
from absl import app, flags

from divsyn_jax.base import files
from divsyn_jax.data import shards
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.pipeline import Mixture, Source
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import ShardedWindows
from divsyn_jax.data.tokenizer_trainer import train_tokenizer

_DATA = ROOT.parent / "shared" / "data"
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds in which the parts take turns.")
_WINDOWS = flags.DEFINE_integer("windows", 20_000, "Windows of each of the two sources.")
_INPUT = flags.DEFINE_list(
    "input",
    [str(_DATA / f"real_{name}.jsonl.gz") for name in ("wiki", "books")],
    "Corpora of the second part.",
)
_VOCAB_SIZE = flags.DEFINE_integer(
    "vocab_size", 32_000, "Of the tokenizer trained for the second part."
)
SEQ_LEN, BATCH, BATCHES = 2048, 256, 40


def write_windows(folder: pathlib.Path, seed: int) -> None:
    """A shards folder of random windows, in two shards."""
    folder.mkdir()
    (folder / tokenizers.MODEL_FILE).write_bytes(b"none")
    windows = (
        np.random.default_rng(seed).integers(0, 50_000, (_WINDOWS.value, SEQ_LEN + 1)).astype("<u2")
    )
    entries = [
        shards.write_shard(folder / f"shard-{number:05d}.array_record", part)
        for number, part in enumerate(np.array_split(windows, 2))
    ]
    manifest = {
        "format": shards.FORMAT_VERSION,
        "seq_len": SEQ_LEN,
        "packing": "concat",
        "dtype": "<u2",
        "tokenizer": {"sha256": tokenizers.digest_of_copy(folder), "vocab_size": 1 << 16},
        "windows": len(windows),
        "targets": len(windows) * SEQ_LEN,
        "shards": entries,
    }
    files.write_json(folder / "manifest.json", manifest)


def measure(parts, rounds):
    """Per part and round (tokens per CPU second, tokens per wall second); a part returns how many
    tokens it handled.
    """
    rates = {name: [] for name in parts}
    for number in range(rounds + 1):
        for name, part in parts.items():
            cpu, wall = time.process_time(), time.perf_counter()
            tokens = part()
            if number:  # the first round warms up
                rates[name].append(
                    (tokens / (time.process_time() - cpu), tokens / (time.perf_counter() - wall))
                )
    return rates


def report(rates, base):
    """Print every part, and its ratio to `base` per core, round by round."""
    for name, values in rates.items():
        per_core = [cpu / 1e6 for cpu, _ in values]
        wall = statistics.median(wall for _, wall in values) / 1e6
        ratios = [cpu / other for (cpu, _), (other, _) in zip(values, rates[base], strict=True)]
        print(
            f"  {name:32} {statistics.median(per_core):7.2f} M tokens/s per core"
            f" ({min(per_core):.2f}-{max(per_core):.2f}), {wall:7.2f} M/s on the clock;"
            f" {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) of {base}",
            flush=True,
        )


def bench_pipeline(root: pathlib.Path) -> None:
    """Part 1."""
    for seed, name in enumerate("ab"):
        write_windows(root / name, seed)
    windows = ShardedWindows(root / "a")
    mixture = Mixture(
        [Source("a", str(root / "a"), 3.0), Source("b", str(root / "b"), 1.0)], SEQ_LEN, 0, BATCH
    )
    batches = mixture.batches(0)
    generator = np.random.default_rng(0)

    def raw_together():
        for _ in range(BATCHES):
            windows.read(generator.integers(0, len(windows), BATCH))
        return BATCHES * BATCH * SEQ_LEN

    def raw_singly():
        for index in generator.integers(0, len(windows), BATCHES * BATCH):
            windows[int(index)]
        return BATCHES * BATCH * SEQ_LEN

    def pipeline():
        return sum(
            int(batch["length"].sum()) - BATCH
            for batch, _ in zip(batches, range(BATCHES), strict=False)
        )

    print(
        f"input pipeline, windows of {SEQ_LEN}, batches of {BATCH}, two sources of"
        f" {_WINDOWS.value:,} windows"
    )
    base = f"raw reads, {BATCH} together"
    report(
        measure(
            {base: raw_together, "raw reads, one by one": raw_singly, "pipeline": pipeline},
            _ROUNDS.value,
        ),
        base,
    )


def bench_build(root: pathlib.Path) -> None:
    """Part 2."""
    train_tokenizer(_INPUT.value, str(root / "tokenizer"), _VOCAB_SIZE.value, max_bytes=5_000_000)
    model = str(root / "tokenizer" / tokenizers.MODEL_FILE)
    build = ([*_INPUT.value], str(root / "tokenizer"), str(root / "shards"), SEQ_LEN)
    build_shards(*build)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    texts = [document.text for path in _INPUT.value for document in CorpusReader(path)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    processor = sentencepiece.SentencePieceProcessor(model_file=model)

    def plain():
        # A few hundred documents at a time, as build_shards does: ids of a whole corpus would not
        # fit every machine.
        return sum(
            len(ids)
            for start in range(0, len(texts), 500)
            for ids in processor.encode(texts[start : start + 500], num_threads=1)
        )

    print(
        f"build_shards, 1 worker, {megabytes:.0f} MB of text, peak memory of the process so far"
        f" {peak:.0f} MiB"
    )
    base = "plain SentencePiece"
    report(
        measure(
            {base: plain, "build_shards": lambda: build_shards(*build)["tokens"]}, _ROUNDS.value
        ),
        base,
    )


def main(argv: list[str]) -> None:
    """Both parts; the second only where its corpora are."""
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        bench_pipeline(pathlib.Path(folder))
    if missing := [path for path in _INPUT.value if not pathlib.Path(path).exists()]:
        print(f"build_shards: skipped, {missing[0]} is not there")
        return
    with tempfile.TemporaryDirectory() as folder:
        bench_build(pathlib.Path(folder))


if __name__ == "__main__":
    app.run(main)
