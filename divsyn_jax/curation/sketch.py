"""What curation needs to know of texts, and nothing more: pure functions of a block of documents.

Near-duplicates are found by MinHash over word 3-grams (Broder 1997) in 40 bands of 4 hashes, which
share a band with probability 1 - (1 - J^4)^40 at Jaccard similarity J: 0.81 at 0.45, 0.996 at 0.6.
A document whose words were dropped with probability 0.08 has similarity about 0.68 to the whole.

Shapes: N documents, W words, B bands.
"""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base import owned_folders
from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import evaluation_items, ngrams

SHINGLE_WORDS = 3
BANDS, ROWS = 40, 4
_SEED = 0


def sketch_block(task: Mapping[str, Any]) -> dict[str, Any]:
    """Sketch the documents of one block and write the sketch to a file.

    Args:
      task: number (of the block), texts, folder (to write to), items (file of evaluation items, or
        None), minhash (whether near-duplicates are asked for). JSON, so that a cluster can be sent
        it.

    Returns:
      file (its path) and leaks: document, item, runs, words of each (see `Leak`).
    """
    texts: Sequence[str] = task["texts"]
    words_of_block: list[str] = []
    counts_N = np.zeros(len(texts), np.int64)
    for place, text in enumerate(texts):
        found = ngrams.normalised_words(text)
        words_of_block += found
        counts_N[place] = len(found)
    words_W = ngrams.word_hashes(words_of_block)
    owner_W = np.repeat(np.arange(len(texts)), counts_N)
    arrays = {"digests_N2": text_digests(texts), "words_N": counts_N.astype(np.int32)}
    if task["minhash"]:
        shingles, owners = _shingles(texts, words_W, owner_W)
        arrays["bands_BN"] = bands(shingles, owners, len(texts))
        arrays["shingles"], arrays["shingles_N"] = _sets(shingles, owners, len(texts))
    leaks = []
    if task["items"] is not None:
        finder = evaluation_items.leak_finder(task["items"])
        leaks = [
            {"document": leak.document, "item": leak.item, "runs": leak.runs, "words": leak.words}
            for leak in finder.find(words_of_block, words_W, owner_W)
        ]
    path = pathlib.Path(task["folder"], f"scratch-block-{task['number']:08d}.npz")
    # A runner may repeat a task, even beside itself: the file appears whole.
    with owned_folders.replacing_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # no key is allow_pickle
    return {"file": str(path), "leaks": leaks}


def text_digests(texts: Sequence[str]) -> np.ndarray:
    """[N, 2] uint64: 128 bits of the SHA-256 of each text."""
    joined = b"".join(hashlib.sha256(text.encode("utf-8")).digest()[:16] for text in texts)
    return np.frombuffer(joined, "<u8").reshape(-1, 2)


def _shingles(
    texts: Sequence[str], words_W: np.ndarray, owner_W: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of runs of words and the document of each, in order. A document of fewer words than
    a run has is one run; without words, its text is.
    """
    inside = ngrams.within_documents(owner_W, SHINGLE_WORDS)
    hashes = ngrams.ngram_hashes(words_W, SHINGLE_WORDS)[inside]
    owners = owner_W[: len(inside)][inside]
    short = np.setdiff1d(np.arange(len(texts)), owners)
    if len(short):
        whole = []
        starts = np.searchsorted(owner_W, short)
        ends = np.searchsorted(owner_W, short, side="right")
        for document, start, end in zip(short, starts, ends, strict=True):
            if start < end:
                whole.append(ngrams.ngram_hashes(words_W[start:end], end - start)[0])
            else:
                whole.append(text_digests([texts[document]])[0, 0])
        hashes = np.concatenate([hashes, np.array(whole, np.uint64)])
        owners = np.concatenate([owners, short])
        order = np.argsort(owners, kind="stable")
        hashes, owners = hashes[order], owners[order]
    return hashes, owners


def _sets(hashes: np.ndarray, owners: np.ndarray, documents: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct shingles of each document as 32 bits in ascending order, one document after the
    other, and how many each has.
    """
    keys = ngrams.sorted_distinct(
        (owners.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32))
    )
    counts_N = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=documents)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), counts_N.astype(np.int32)


def bands(hashes: np.ndarray, owners: np.ndarray, documents: int) -> np.ndarray:
    """[B, N] uint64: documents that share an entry of a row are candidates for near-duplicates."""
    try:
        import rensa
    except ImportError:
        raise UserError(
            "near-duplicates need rensa: pip install 'divsyn-jax[curate]', or leave minhash out of"
            " --dedup"
        ) from None
    starts = np.searchsorted(owners, np.arange(documents + 1)).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, starts, BANDS * ROWS, _SEED
    )
    signatures = np.array(matrix.to_rows(), np.uint64).reshape(documents, BANDS, ROWS)
    keys_NB = np.zeros((documents, BANDS), np.uint64)
    with np.errstate(over="ignore"):
        for row in range(ROWS):
            keys_NB = ngrams.mixed(keys_NB + signatures[:, :, row] + np.uint64(row + 1))
    return np.ascontiguousarray(keys_NB.T)
