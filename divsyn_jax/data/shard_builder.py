"""Tokenising corpora into a shards folder, in parallel and in order."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from tqdm import tqdm

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data import beam_runner, jinja_template, shards
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.beam_runner import Runner
from divsyn_jax.data.chat import TEMPLATE_FILE, ChatTemplate, ConversationReader, Message
from divsyn_jax.data.jinja_template import JinjaTemplate
from divsyn_jax.data.packing import pack_conversations
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions, TextFingerprint, split_name

OWN_TEMPLATE = "divsyn_jax"  # where the chat template of divsyn_jax/data/chat.py is from
# What a shards folder consists of: an output folder that holds anything else is not replaced.
_WRITTEN = (
    "shard-*.array_record",
    "manifest.json",
    "documents.json",
    TEMPLATE_FILE,
    *tokenizers.FILES,
)


@dataclasses.dataclass(frozen=True)
class _ShardTask:
    """What one worker turns into one shard file: pure data, so that any process may do it."""

    path: str
    texts: tuple[str, ...]
    tokenizer: tokenizers.Tokenizer
    seq_len: int
    packing: str
    dtype: np.dtype
    template: ChatTemplate | JinjaTemplate | None
    conversations: tuple[tuple[str, list[Message]], ...] = ()  # of the texts, with a template


@dataclasses.dataclass(frozen=True)
class _Shard:
    """A shard file written:

    its manifest entry (None where nothing fitted: no file), and what it holds.
    """

    entry: dict[str, Any] | None
    documents: list[dict[str, int]]
    tokens: int
    inputs: int = 0
    too_long: tuple[str, ...] = ()


def _to_json(task: _ShardTask) -> dict[str, Any]:
    return {
        **dataclasses.asdict(task),
        "dtype": task.dtype.str,
        "is_jinja": isinstance(task.template, JinjaTemplate),
    }


def _template_from_json(
    template: Mapping[str, Any] | None, is_jinja: bool
) -> ChatTemplate | JinjaTemplate | None:
    if template is None:
        return None
    if is_jinja:
        return JinjaTemplate(
            template["template"],
            tokenizers.Tokenizer(**template["tokenizer"]),
            template["place"],
        )
    return ChatTemplate(**{**template, "special": tuple(template["special"])})


def _write_from_json(task: Mapping[str, Any]) -> dict[str, Any]:
    """`_write` for workers that tasks and results reach as JSON."""
    shard = _write(
        _ShardTask(
            path=task["path"],
            texts=tuple(task["texts"]),
            tokenizer=tokenizers.Tokenizer(**task["tokenizer"]),
            seq_len=task["seq_len"],
            packing=task["packing"],
            dtype=np.dtype(task["dtype"]),
            template=_template_from_json(task["template"], task["is_jinja"]),
            conversations=tuple((where, messages) for where, messages in task["conversations"]),
        )
    )
    return dataclasses.asdict(shard)


def _write(task: _ShardTask) -> _Shard:
    if task.template:
        return _write_conversations(task, task.template)
    tokenizer, seq_len, dtype = task.tokenizer, task.seq_len, task.dtype
    ids = tokenizer.encode(task.texts)
    documents: list[dict[str, int]] = []
    windows: list[np.ndarray] = []
    if task.packing == "document":
        for text, document_ids in zip(task.texts, ids, strict=True):
            of_document = shards.document_windows(
                document_ids, tokenizer.context_ids, seq_len, dtype
            )
            documents.append({"bytes": len(text.encode()), "windows": len(of_document)})
            windows += of_document
    else:
        opening = tokenizer.opening_ids or (
            [tokenizer.eos_id] if tokenizer.bos_id == tokenizer.eos_id else []
        )
        windows += shards.concat_windows(ids, opening, tokenizer.eos_id, seq_len, dtype)
    return _Shard(shards.write_shard(task.path, windows), documents, sum(map(len, ids)))


def _write_conversations(task: _ShardTask, template: ChatTemplate | JinjaTemplate) -> _Shard:
    packed = pack_conversations(
        task.conversations, task.tokenizer, template, task.seq_len, task.dtype
    )
    entry = shards.write_shard(task.path, packed.windows) if packed.windows else None
    inputs = packed.tokens - len(packed.documents)
    return _Shard(entry, packed.documents, packed.tokens, inputs, tuple(packed.too_long))


def build_shards(
    inputs: Annotated[Sequence[str], Flag("input", example="corpus.jsonl.gz")],
    tokenizer: Annotated[str, Flag(example="tokenizer")],
    output: Annotated[str, Flag(example="shards/corpus")],
    seq_len: Annotated[int, Flag(at_least=2)] = 2048,
    packing: str = "concat",
    options: ReadOptions = ReadOptions(),
    shard_bytes: Annotated[int, Flag(at_least=1)] = 16 << 20,
    workers: Annotated[int, Flag(at_least=1)] = 1,
    system_prompt: str = "",
    chat_template: str = "",
    runner: Runner | None = None,
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Tokenise corpora into a folder of shards and return its manifest.

    Packed `best_fit`, the inputs are conversations, and windows are packed from the conversations
    of one shard: more `shard_bytes` pack a little better. At most `workers` + 1 shards' worth of
    text is held in memory. Apache Beam (see divsyn_jax/data/beam_runner.py) and processes write the
    same bytes.

    Args:
      inputs: corpora, comma-separated.
      tokenizer: folder of train_tokenizer, or hf:DIR.
      output: folder to write.
      seq_len: inputs a window feeds to the model; windows hold one token more.
      packing: concat, document or best_fit (see divsyn_jax/data/shards.py).
      options: how to read the corpora.
      shard_bytes: bytes of text in one shard, about.
      workers: processes that tokenise.
      system_prompt: opens every conversation that has no system message; evaluation uses the same.
      chat_template: file with a Jinja chat template for conversations; by default the one beside
        the tokenizer, else the product's own (see divsyn_jax/data/chat.py).
      runner: write the shards on Apache Beam; by default processes of this machine write them.
      beam_options: options of Beam and its runner, comma-separated.

    Raises:
      UserError: unreadable input, in which case nothing is left at `output`.
    """
    files.check_replaceable(output, _WRITTEN)
    loaded = tokenizers.load_tokenizer(tokenizer)
    template, template_place = (
        _chat_template(loaded, system_prompt, chat_template)
        if packing == "best_fit"
        else (None, "")
    )
    # A packed window holds positions beside ids.
    dtype = shards.token_dtype(
        max(loaded.vocab_size, seq_len + 1) if template else loaded.vocab_size
    )
    sources: list[dict[str, Any]] = []
    with files.new_directory(output, _WRITTEN) as folder:
        tasks = (
            _ShardTask(
                str(folder / f"shard-{index:05d}.array_record"),
                texts,
                loaded,
                seq_len,
                packing,
                dtype,
                template,
                conversations,
            )
            for index, (texts, conversations) in enumerate(
                _blocks(inputs, options, shard_bytes, sources, template is not None)
            )
        )
        entries: list[dict[str, Any]] = []
        documents: list[dict[str, int]] = []
        too_long: list[str] = []
        tokens = real_inputs = 0
        # `delay`: a bar only for a corpus that takes its time, so that bad input is one line on
        # stderr.
        bar = tqdm(
            unit="token",
            unit_scale=True,
            desc=f"shards {pathlib.Path(output).name}",
            mininterval=1,
            delay=2,
        )
        with bar as progress:
            written = (
                (
                    _Shard(**shard)
                    for shard in beam_runner.run_in_order(
                        map(_to_json, tasks),
                        _write_from_json,
                        folder,
                        runner,
                        workers,
                        beam_options,
                    )
                )
                if runner
                else _in_order(tasks, workers)
            )
            for shard in written:
                entries += [shard.entry] if shard.entry else []
                documents += shard.documents
                tokens += shard.tokens
                real_inputs += shard.inputs
                too_long += shard.too_long
                progress.update(shard.tokens)
        windows = sum(entry["windows"] for entry in entries)
        manifest = {
            "format": shards.FORMAT_VERSION,
            "seq_len": seq_len,
            "packing": packing,
            "dtype": dtype.str,
            "tokenizer": {k: v for k, v in dataclasses.asdict(loaded).items() if k != "path"},
            "windows": windows,
            "targets": sum(entry["targets"] for entry in entries),
            "tokens": tokens,
            "documents": sum(source["documents"] for source in sources) - len(too_long),
            "bytes": sum(source["bytes"] for source in sources),
            "sources": sources,
            "shards": entries,
        }
        if not windows and too_long:
            raise UserError(
                f"{too_long[0]}; none of {','.join(inputs)} fits: give a larger --seq_len"
            )
        if not windows:
            raise UserError(f"{','.join(inputs)}: not one token of text; give a corpus with text")
        loaded.copy_to(folder)
        if template:
            manifest["chat"] = {
                "template": template_place,
                "system_prompt": system_prompt,
                "loss": "responses and the EOS after each",
                "inputs": real_inputs,
                "packing_efficiency": real_inputs / (windows * seq_len),
                "too_long": too_long,
            }
            files.write_text(folder / TEMPLATE_FILE, template.jinja())
        if packing != "concat":
            files.write_json(folder / "documents.json", documents)
        files.write_json(folder / "manifest.json", manifest)
    return manifest


def _chat_template(
    tokenizer: tokenizers.Tokenizer, system_prompt: str, path: str
) -> tuple[ChatTemplate | JinjaTemplate, str]:
    """The chat template of conversations, and where it is from: the file `path`, else what lies
    beside the tokenizer, else our own.
    """
    folder = pathlib.Path(tokenizer.path)
    found = (
        jinja_template.read_chat_template(pathlib.Path(path), tokenizer)
        if path
        else jinja_template.load_chat_template(
            folder.parent if folder.is_file() else folder, tokenizer
        )
    )
    if found is None:
        return ChatTemplate.of(tokenizer, system_prompt), OWN_TEMPLATE
    return found.with_system_prompt(system_prompt), found.place


def _blocks(
    inputs: Sequence[str],
    options: ReadOptions,
    shard_bytes: int,
    sources: list[dict[str, Any]],
    chat: bool,
) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, list[Message]], ...]]]:
    """What one shard after another is made of, in input order; appends a record of each corpus to
    `sources`.

    Texts, or with `chat` no texts but pairs of place and messages.
    """
    texts: list[str] = []
    conversations: list[tuple[str, list[Message]]] = []
    size = 0
    for spec in inputs:
        name, path = split_name(spec)
        reader = ConversationReader(path, options) if chat else CorpusReader(path, options)
        fingerprint, total = TextFingerprint(), 0
        for document in reader:
            fingerprint.update(document.text)
            length = len(document.text.encode())
            total += length
            size += length
            if chat:
                conversations.append((document.where, document.fields["messages"]))
            else:
                texts.append(document.text)
            if size >= shard_bytes:
                yield tuple(texts), tuple(conversations)
                texts, conversations, size = [], [], 0
        sources.append(
            {
                "name": name,
                "path": path,
                "documents": reader.documents,
                "bytes": total,
                "malformed": reader.malformed,
                "empty": reader.empty,
                "problems": [
                    *reader.problems,
                    *(reader.unanswered if isinstance(reader, ConversationReader) else ()),
                ],
                "fingerprint": fingerprint.hexdigest(),
            }
        )
    if size:
        yield tuple(texts), tuple(conversations)


def _in_order(tasks: Iterable[_ShardTask], workers: int) -> Iterator[_Shard]:
    if workers == 1:
        yield from map(_write, tasks)
        return
    # spawn, not fork: the caller may hold threads (array_record and sentencepiece do).
    with concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        pending: collections.deque[concurrent.futures.Future[_Shard]] = collections.deque()
        for task in tasks:
            pending.append(pool.submit(_write, task))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
