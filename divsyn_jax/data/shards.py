"""The shard format: ArrayRecord files of token windows beside a `manifest.json`.

A window of a shards folder with sequence length L holds up to L+1 token ids (little-endian uint16,
or uint32 for large
vocabularies): the first L are inputs, the last L are targets. Consecutive windows of one document
stream share a token, so every token but a stream's first is predicted exactly once. Windows never
cross an output shard.

Packings: concat: documents (BOS text EOS, or text EOS for a tokenizer that puts no BOS) run on into
  one another; every window is full but the last of a shard. For training. document: each document
  (BOS text; EOS text for a tokenizer that puts no BOS) starts a window of its own;
  `documents.json` gives its bytes and windows. For evaluation, where the loss of a document must
  not depend on its neighbours. best_fit: conversations (BOS ... EOS, see divsyn_jax/data/chat.py),
  whole, several to a window. A window is a table of `PACKED_ROWS` by up to L columns: here, and
  nowhere after, targets are shifted against inputs. `documents.json` gives the bytes of each
  conversation's responses. For fine-tuning and its evaluation.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base import files, remote
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained

FORMAT_VERSION = 1
TEXT_PACKINGS = ("concat", "document")
# loss_mask: 1 where the target is of a response. segments: 1, 2, ... number the conversations of a
# window, 0 is padding. positions: from 0 in every segment.
PACKED_ROWS = ("inputs", "targets", "loss_mask", "segments", "positions")
# What a manifest must hold to be read; the rest of it is for people.
_MANIFEST_TYPES = {
    "seq_len": int,
    "packing": str,
    "dtype": str,
    "tokenizer": dict,
    "windows": int,
    "targets": int,
    "shards": list,
}
_SHARD_TYPES = {"file": str, "windows": int, "targets": int, "bytes": int, "sha256": str}
# One record a group: the only layout that array_record reads at random without decoding neighbours.
_WRITER_OPTIONS = "group_size:1,uncompressed"


def token_dtype(vocab_size: int) -> np.dtype:
    """The smallest of uint16 and uint32 that holds every id."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


def windows_of(tokens_T: np.ndarray, seq_len: int) -> Iterator[np.ndarray]:
    """Cut a token stream into windows of `seq_len` + 1 tokens that overlap by one; the last may be
    shorter (>= 2).
    """
    for start in range(0, len(tokens_T) - 1, seq_len):
        yield tokens_T[start : start + seq_len + 1]


def concat_windows(
    document_ids: Iterable[Sequence[int]],
    opening: Sequence[int],
    eos_id: int,
    seq_len: int,
    dtype: np.dtype,
) -> Iterator[np.ndarray]:
    """Windows of the stream `opening text EOS opening text EOS ...`, where `opening` is what the
    tokenizer puts in front of a text: BOS or nothing; `EOS text EOS text ...` where `opening` is
    EOS itself, the single separator of such a tokenizer.
    """
    closing = [] if list(opening) == [eos_id] else [eos_id]
    parts = [np.asarray([*opening, *ids, *closing], dtype) for ids in document_ids]
    if parts:
        yield from windows_of(np.concatenate(parts), seq_len)


def document_windows(
    ids: Sequence[int], context: Sequence[int], seq_len: int, dtype: np.dtype
) -> list[np.ndarray]:
    """Windows of one document `context text`, where `context` is what its first token is predicted
    from; a later window starts with the last token of the one before.
    """
    return list(windows_of(np.asarray([*context, *ids], dtype), seq_len))


def packed_window(
    conversations: Sequence[tuple[Sequence[int], Sequence[bool]]], dtype: np.dtype
) -> np.ndarray:
    """The window [len(PACKED_ROWS), n] of conversations given as (tokens, whether each is of a
    response).
    """
    columns = []
    for segment, (tokens, of_response) in enumerate(conversations, 1):
        n = len(tokens) - 1
        columns.append(
            np.array([tokens[:-1], tokens[1:], of_response[1:], [segment] * n, range(n)], dtype)
        )
    return np.concatenate(columns, axis=1)


def unpack_window(flat: np.ndarray, seq_len: int) -> dict[str, np.ndarray]:
    """The rows of a `best_fit` window as read, by name, each padded with 0 to `seq_len`."""
    rows = np.zeros((len(PACKED_ROWS), seq_len), np.int32)
    window = flat.reshape(len(PACKED_ROWS), -1)
    rows[:, : window.shape[1]] = window
    return dict(zip(PACKED_ROWS, rows, strict=True))


def write_shard(path: str | os.PathLike, windows: Iterable[np.ndarray]) -> dict[str, Any]:
    """Write one shard file and return its manifest entry (`file`, `windows`, `targets`, `bytes`,
    `sha256`).
    """
    from array_record.python import array_record_module

    writer = array_record_module.ArrayRecordWriter(str(path), _WRITER_OPTIONS)
    count = targets = 0
    for window in windows:
        writer.write(window.tobytes())
        count += 1
        targets += (
            len(window) - 1
            if window.ndim == 1
            else int(window[PACKED_ROWS.index("loss_mask")].sum())
        )
    writer.close()
    data = pathlib.Path(path).read_bytes()
    return {
        "file": pathlib.Path(path).name,
        "windows": count,
        "targets": targets,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def data_fingerprint(manifest: dict[str, Any]) -> str:
    """Identity of a shards folder:

    every fact that determines the batches, no paths and no times.
    """
    facts = {
        key: manifest[key]
        for key in ("format", "seq_len", "packing", "dtype", "tokenizer", "shards")
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class ShardedWindows:
    """Random access to the windows of a shards folder: `len(source)` windows, `source[i]` an int32
    array of <= L+1 ids (of a `best_fit` window flat, for `unpack_window`).

    Attributes:
      folder: where the shards lie; of a URL the local copy.
      manifest: the folder's manifest.

    With `tokens` only the first windows of shards packed `concat` exist, as many as hold so many
    tokens to predict. All shards are read once at opening (a second or two for 1 GB). Raises
    `UserError` then when the folder is no shards folder, or a shard is missing, truncated or of
    other content than the manifest says, naming the shard."""

    def __init__(self, folder: str | os.PathLike, tokens: int | None = None) -> None:
        from array_record.python import array_record_data_source

        self.folder = (
            remote.local_copy(str(folder)) if remote.is_remote(folder) else pathlib.Path(folder)
        )
        if not (self.folder / "manifest.json").is_file():
            raise UserError(
                f"{folder}: no shards here (manifest.json is missing); make them with build_shards"
            )
        self.manifest = files.read_json(self.folder / "manifest.json")
        _check_manifest(self.manifest, self.folder)
        paths = []
        for shard in self.manifest["shards"]:
            path = contained(self.folder, shard["file"], str(self.folder / "manifest.json"))
            if not path.is_file():
                raise UserError(f"{path}: this shard is missing; build the shards again")
            if path.stat().st_size != shard["bytes"]:
                raise UserError(
                    f"{path}: {path.stat().st_size} bytes where the manifest says {shard['bytes']}:"
                    " truncated or replaced; build the shards again"
                )
            paths.append(str(path))
        _check_content(paths, [shard["sha256"] for shard in self.manifest["shards"]])
        self._dtype = np.dtype(self.manifest["dtype"])
        with self._damage_named():
            self._source = array_record_data_source.ArrayRecordDataSource(paths)
            windows = len(self._source)
        if windows != self.manifest["windows"]:
            raise UserError(
                f"{folder}: {windows} windows where the manifest says"
                f" {self.manifest['windows']}; build the shards again"
            )

        self._length = len(self._source) if tokens is None else self._windows_of(tokens)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> np.ndarray:
        # A group of one has ArrayRecord start its readers, at many times the cost of a read.
        with self._damage_named():
            record = self._source[index]
        return self._windows([record])[0].astype(np.int32)

    def read(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """The windows at `indices`, read together, in the type they are stored in."""
        with self._damage_named():
            records = self._source.__getitems__(indices)
        return self._windows(records)

    def _windows(self, records: Sequence[bytes]) -> list[np.ndarray]:
        with self._damage_named():
            windows = [np.frombuffer(record, self._dtype) for record in records]
        if self.manifest["packing"] == "best_fit":  # holds places beside ids
            return windows
        # An id beyond the vocabulary would be looked up as its last entry, without a word.
        vocabulary = self.manifest["tokenizer"]["vocab_size"]
        for window in windows:
            if len(window) and window.max() >= vocabulary:
                raise UserError(
                    f"{self.folder}: token id {int(window.max())} in a vocabulary of {vocabulary};"
                    " build the shards again"
                )
        return windows

    @contextlib.contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Raise `UserError` where the library cannot read a shard."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError) as error:
            why = (str(error).splitlines() or [""])[0][:200]
            raise UserError(
                f"{self.folder}: a shard cannot be read ({why}); build the shards again"
            ) from None

    def _windows_of(self, tokens: int) -> int:
        """How many of the first windows hold `tokens` tokens to predict; known where all but a
        shard's last are full.
        """
        if self.manifest["packing"] != "concat":
            raise UserError(
                f"{self.folder}: @{tokens} takes shards packed as concat, these are"
                f" {self.manifest['packing']}; leave it out"
            )
        count = 0
        for shard in self.manifest["shards"]:
            if tokens <= shard["targets"]:
                return count + -(-tokens // self.seq_len)
            tokens -= shard["targets"]
            count += shard["windows"]
        total = self.manifest["targets"]
        raise UserError(
            f"{self.folder}: holds {total:,} tokens, {tokens:,} fewer than are asked for; give a"
            " smaller number (unique_tokens= of a level)"
        )

    @property
    def seq_len(self) -> int:
        """Inputs a window feeds to the model at most."""
        return self.manifest["seq_len"]

    @property
    def fingerprint(self) -> str:
        """Identity of the data, see `data_fingerprint`."""
        return data_fingerprint(self.manifest)

    def documents(self) -> list[dict[str, int]]:
        """What `documents.json` says of every document, in window order.

        Packed `document`: `bytes` of raw UTF-8 text and number of `windows`. Packed `best_fit`:
        `bytes` of the responses of a conversation; the order is that of windows, then segments."""
        packing = self.manifest["packing"]
        if packing == "concat":
            raise UserError(
                f"{self.folder}: packed as concat; evaluation needs build_shards --packing=document"
                " or --format=chat"
            )
        path = self.folder / "documents.json"
        documents = files.read_json(path)
        expected = len(self) if packing == "document" else self.manifest["documents"]
        try:
            held = sum(
                document["windows"] if packing == "document" else 1
                for document in documents
                if document["bytes"] > 0
            )
        except (KeyError, TypeError):
            held = None
        if held != expected:
            raise UserError(
                f"{path}: damaged (it does not account for the {len(self)} windows); build the"
                " shards again"
            )
        return documents


def _check_content(paths: Sequence[str], expected: Sequence[str]) -> None:
    """Raise `UserError` naming the first shard whose bytes have another hash than expected."""
    # hashlib lets go of the interpreter lock, so threads read and hash side by side.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for path, sha256, wanted in zip(paths, pool.map(_sha256, paths), expected, strict=True):
            if sha256 != wanted:
                raise UserError(
                    f"{path}: damaged (its content is not what the manifest says); build the shards"
                    " again"
                )


def _sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_manifest(manifest: Any, folder: pathlib.Path) -> None:
    """Raise `UserError` unless the manifest is of this format and holds what reading needs."""
    place = folder / "manifest.json"
    if not isinstance(manifest, dict):
        raise UserError(f"{place}: not the manifest of shards; build the shards again")
    if manifest.get("format") != FORMAT_VERSION:
        raise UserError(
            f"{folder}: shards of format {manifest.get('format')}, this version reads"
            f" {FORMAT_VERSION}; build them again"
        )
    wrong = [key for key, kind in _MANIFEST_TYPES.items() if type(manifest.get(key)) is not kind]
    if not wrong and manifest["dtype"] not in ("<u2", "<u4"):
        wrong = ["dtype"]
    of_tokenizer = {} if wrong else manifest["tokenizer"]
    if not wrong and not (
        type(of_tokenizer.get("sha256")) is str and type(of_tokenizer.get("vocab_size")) is int
    ):
        wrong = ["tokenizer"]
    shards = [] if wrong else manifest["shards"]
    if not wrong and not (
        shards
        and all(
            isinstance(s, dict)
            and all(type(s.get(key)) is kind for key, kind in _SHARD_TYPES.items())
            for s in shards
        )
    ):
        wrong = ["shards"]
    if wrong:
        raise UserError(
            f"{place}: damaged ({wrong[0]!r} is missing or of the wrong type); build the shards"
            " again"
        )
