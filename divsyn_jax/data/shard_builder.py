"""Tokenising corpora into a shards folder, in parallel and in order."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from divsyn_jax import files
from divsyn_jax.commandline import UserError
from divsyn_jax.data import shards
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.corpus import CorpusReader, ReadOptions, TextFingerprint, split_name


@dataclasses.dataclass(frozen=True)
class _ShardTask:
    """What one worker turns into one shard file: pure data, so that any process may do it."""

    path: str
    texts: tuple[str, ...]
    tokenizer: tokenizers.Tokenizer
    seq_len: int
    packing: str


def _write(task: _ShardTask) -> tuple[dict[str, Any], list[dict[str, int]], int]:
    tokenizer, seq_len = task.tokenizer, task.seq_len
    dtype = shards.token_dtype(tokenizer.vocab_size)
    ids = tokenizer.encode(task.texts)
    documents = []
    if task.packing == "document":
        windows = []
        for text, document_ids in zip(task.texts, ids, strict=True):
            of_document = shards.document_windows(document_ids, tokenizer.bos_id, seq_len, dtype)
            documents.append({"bytes": len(text.encode()), "windows": len(of_document)})
            windows += of_document
    else:
        windows = shards.concat_windows(ids, tokenizer.bos_id, tokenizer.eos_id, seq_len, dtype)
    return shards.write_shard(task.path, windows), documents, sum(map(len, ids))


def build_shards(
    inputs: Sequence[str],
    tokenizer: str,
    output: str,
    seq_len: int,
    packing: str = "concat",
    options: ReadOptions = ReadOptions(),
    shard_bytes: int = 16 << 20,
    workers: int = 1,
) -> dict[str, Any]:
    """Tokenise `inputs` into the shards folder `output` and return its manifest.

    At most `workers` + 1 shards' worth of text is held in memory. Raises `UserError` for unreadable input, in which case
    nothing is left at `output`.
    """
    files.check_replaceable(output, ["shard-*.array_record", "manifest.json", "documents.json", *tokenizers.FILES])
    loaded = tokenizers.load(tokenizer)
    sources: list[dict[str, Any]] = []
    with files.new_directory(output) as folder:
        tasks = (
            _ShardTask(str(folder / f"shard-{index:05d}.array_record"), texts, loaded, seq_len, packing)
            for index, texts in enumerate(_blocks(inputs, options, shard_bytes, sources))
        )
        entries, documents, tokens = [], [], 0
        # `delay`: a bar only for a corpus that takes its time, so that bad input is one line on stderr.
        bar = tqdm(unit="token", unit_scale=True, desc=f"shards {pathlib.Path(output).name}", mininterval=1, delay=2)
        with bar as progress:
            for entry, shard_documents, shard_tokens in _in_order(tasks, workers):
                entries.append(entry)
                documents += shard_documents
                tokens += shard_tokens
                progress.update(shard_tokens)
        manifest = {
            "format": shards.FORMAT_VERSION,
            "seq_len": seq_len,
            "packing": packing,
            "dtype": shards.token_dtype(loaded.vocab_size).str,
            "tokenizer": {k: v for k, v in dataclasses.asdict(loaded).items() if k != "path"},
            "windows": sum(entry["windows"] for entry in entries),
            "targets": sum(entry["targets"] for entry in entries),
            "tokens": tokens,
            "documents": sum(source["documents"] for source in sources),
            "bytes": sum(source["bytes"] for source in sources),
            "sources": sources,
            "shards": entries,
        }
        if not manifest["windows"]:
            raise UserError(f"{','.join(inputs)}: not one token of text; give a corpus with text")
        loaded.copy_to(folder)
        if packing == "document":
            files.write_json(folder / "documents.json", documents)
        files.write_json(folder / "manifest.json", manifest)
    return manifest


def _blocks(
    inputs: Sequence[str], options: ReadOptions, shard_bytes: int, sources: list[dict[str, Any]]
) -> Iterator[tuple[str, ...]]:
    """Texts of one shard after another, in input order; appends a record of each corpus to `sources`."""
    block: list[str] = []
    size = 0
    for spec in inputs:
        name, path = split_name(spec)
        reader, fingerprint, total = CorpusReader(path, options), TextFingerprint(), 0
        for document in reader:
            fingerprint.update(document.text)
            length = len(document.text.encode())
            total += length
            size += length
            block.append(document.text)
            if size >= shard_bytes:
                yield tuple(block)
                block, size = [], 0
        sources.append(
            {
                "name": name,
                "path": path,
                "documents": reader.documents,
                "bytes": total,
                "malformed": reader.malformed,
                "empty": reader.empty,
                "problems": reader.problems,
                "fingerprint": fingerprint.hexdigest(),
            }
        )
    if block:
        yield tuple(block)


def _in_order(tasks: Iterator[_ShardTask], workers: int) -> Iterator[tuple[dict[str, Any], list[dict[str, int]], int]]:
    if workers == 1:
        yield from map(_write, tasks)
        return
    # spawn, not fork: the caller may hold threads (array_record and sentencepiece do).
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending: collections.deque = collections.deque()
        for task in tasks:
            pending.append(pool.submit(_write, task))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
