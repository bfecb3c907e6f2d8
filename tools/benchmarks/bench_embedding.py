"""`make bench-embedding`: the JAX MiniLM beside sentence-transformers on torch, in one process, on
the same documents.

  python tools/benchmarks/bench_embedding.py [--corpus=...] [--documents=240] [--repeats=3]

Documents of 30, 100 and 200 words are cut from the corpus; both read 128 pieces of each. Runs of
the two take turns; the fastest counts, in wall time and in CPU time, which a busy machine does not
stretch. Compiling is apart: it is what the first pass takes beyond a later one, and the last column
adds it to 2,000 documents of that length. Both have all cores."""

import os
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # compiling is measured

import numpy as np
from absl import app, flags

from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.embedding import minilm, packaged_weights

_CORPUS = flags.DEFINE_string(
    "corpus",
    str(ROOT.parent / "shared" / "data" / "syn_textbooks_mistral.jsonl.gz"),
    "Corpus whose words are read.",
)
_DOCUMENTS = flags.DEFINE_integer("documents", 240, "Documents of 30 words; fewer longer ones.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Times each is measured; the fastest counts.")
_LENGTHS = (30, 100, 200)
_CORPUS_DOCUMENTS = 2000


def main(_: Sequence[str]) -> None:
    """Print the table."""
    import jax
    import sentence_transformers

    model = minilm.MiniLM()
    theirs = sentence_transformers.SentenceTransformer(
        str(packaged_weights.locate()[0]), device="cpu"
    )
    theirs.max_seq_length = minilm.TOKENS
    words: list[str] = []
    for document in CorpusReader(_CORPUS.value):
        words += document.text.split()
        if len(words) >= 30 * _DOCUMENTS.value:
            break

    def ours(texts: list[str]) -> np.ndarray:
        found_NE = np.zeros((len(texts), minilm.DIMENSIONS), np.float32)
        for positions_B, vectors_BE in model.encode(model.read(texts)):
            found_NE[positions_B] = vectors_BE
        return found_NE

    def torch(texts: list[str]) -> np.ndarray:
        return theirs.encode(
            texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False
        )

    print(f"jax {jax.__version__}, {os.cpu_count()} cores, {model.precision}")
    print(
        "words  docs/s ours  torch  ratio  ratio in CPU time  largest difference  compiling (s CPU)"
        f"  ratio in CPU time on {_CORPUS_DOCUMENTS:,} documents, compiling included"
    )
    for length in _LENGTHS:
        texts = [
            " ".join(words[start : start + length])
            for start in range(0, len(words) - length + 1, length)
        ]
        first = _timed(ours, texts)
        pairs = [(_timed(ours, texts), _timed(torch, texts)) for _ in range(_REPEATS.value)]
        wall, cpu = (
            [min(pair[side][unit] for pair in pairs) for side in (0, 1)] for unit in (0, 1)
        )
        compiling = first[1] - cpu[0]
        scale = _CORPUS_DOCUMENTS / len(texts)
        difference = np.abs(ours(texts) - torch(texts)).max()
        print(
            f"{length:>5}  {len(texts) / wall[0]:>11.0f}  {len(texts) / wall[1]:>5.0f}"
            f"  {wall[1] / wall[0]:>5.2f}  {cpu[1] / cpu[0]:>17.2f}  {difference:>18.1e}"
            f"  {compiling:>17.1f}  {cpu[1] * scale / (cpu[0] * scale + compiling):.2f}",
            flush=True,
        )


def _timed(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    encode(texts)
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    app.run(main)
