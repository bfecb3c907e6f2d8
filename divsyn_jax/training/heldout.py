"""Held-out text: loss and bits per byte of named domains.

Text (shards packed `document`) or conversations (packed `best_fit`), of which only the responses
count.
Bits per byte of a document: the negative log-likelihood of all its tokens (after BOS; documents
longer than the run's sequence length are read window by window, each window seeing none of the one
before but its last token) over ln 2 times the UTF-8 bytes of its raw text. Of a conversation: that
of its response tokens, EOS included, over the bytes of its responses."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import Source, check_same_tokenizer, check_shards, parse_sources
from divsyn_jax.data.shards import ShardedWindows, unpack_window
from divsyn_jax.model import sharding


class Domain:
    """A held-out text:

    shards packed by document, and the reduction of window losses to documents.
    """

    def __init__(self, source: Source, seq_len: int) -> None:
        self.name = source.name
        self.windows = ShardedWindows(source.folder)
        check_shards(source, self.windows, seq_len, "document")
        documents = self.windows.documents()
        self.bytes = np.array([document["bytes"] for document in documents])
        self._document_of_window = np.repeat(
            np.arange(len(documents)), [document["windows"] for document in documents]
        )

    def evaluate(
        self, eval_step: Callable, params: Any, batch: int, mesh: Mesh
    ) -> list[dict[str, float]]:
        """One record a document: `nll` (nats), `targets` (tokens predicted) and `bytes`.

        Every process gets all of them.
        """
        L = self.windows.seq_len
        nll = np.zeros(len(self.bytes))
        targets = np.zeros(len(self.bytes), np.int64)
        rows = sharding.batch_sharding(mesh)
        for start in range(0, len(self.windows), batch):
            tokens, length = np.zeros((batch, L + 1), np.int32), np.ones(batch, np.int32)
            indices = range(start, min(start + batch, len(self.windows)))
            for row, index in enumerate(indices):
                window = self.windows[index]
                tokens[row, : len(window)], length[row] = window, len(window)
            losses = eval_step(params, jax.device_put({"tokens": tokens, "length": length}, rows))
            documents = self._document_of_window[indices.start : indices.stop]
            # float64 sums: a corpus holds more tokens than float32 counts exactly.
            np.add.at(nll, documents, np.asarray(losses, np.float64)[: len(indices)])
            np.add.at(targets, documents, length[: len(indices)] - 1)
        return [
            {"nll": float(n), "targets": int(t), "bytes": int(b)}
            for n, t, b in zip(nll, targets, self.bytes, strict=True)
        ]


class ChatDomain:
    """Held-out conversations: packed shards, and the reduction of token losses to conversations."""

    def __init__(self, source: Source, seq_len: int) -> None:
        self.name = source.name
        self.windows = ShardedWindows(source.folder)
        check_shards(source, self.windows, seq_len, "best_fit")
        self.bytes = np.array([document["bytes"] for document in self.windows.documents()])

    def evaluate(
        self, eval_step: Callable, params: Any, batch: int, mesh: Mesh
    ) -> list[dict[str, float]]:
        """One record a conversation, as `Domain.evaluate` gives for documents; in the order of
        windows and segments.
        """
        nll = np.zeros(len(self.bytes))
        targets = np.zeros(len(self.bytes), np.int64)
        rows = sharding.batch_sharding(mesh)
        before = 0  # conversations in the windows before
        for start in range(0, len(self.windows), batch):
            indices = range(start, min(start + batch, len(self.windows)))
            flat = [self.windows[index] for index in indices] + [np.zeros(0, np.int32)] * (
                batch - len(indices)
            )
            unpacked = [unpack_window(window, self.windows.seq_len) for window in flat]
            windows = {
                name: np.stack([window[name] for window in unpacked]) for name in unpacked[0]
            }
            losses_BL = np.asarray(eval_step(params, jax.device_put(windows, rows)), np.float64)
            counts_B = windows["segments"].max(axis=1)
            first_B = before + np.cumsum(counts_B) - counts_B
            learned_BL = windows["loss_mask"] > 0
            conversations = (first_B[:, None] + windows["segments"] - 1)[learned_BL]
            np.add.at(nll, conversations, losses_BL[learned_BL])
            np.add.at(targets, conversations, 1)
            before += counts_B.sum()
        return [
            {"nll": float(n), "targets": int(t), "bytes": int(b)}
            for n, t, b in zip(nll, targets, self.bytes, strict=True)
        ]


def open_domains(
    spec: str, root: str, seq_len: int, tokenizer_sha256: str
) -> list[Domain | ChatDomain]:
    """The domains of a `data.eval` string, checked against the run's tokenizer and sequence length.

    Raises `UserError` for shards that do not fit, or where a part is asked for: loss is that of
    whole documents."""
    domains = []
    for source in parse_sources(spec, root):
        if source.tokens:
            raise UserError(
                f"held-out {source.name}: @{source.tokens} is for training data; held-out shards"
                " are read whole, leave it out"
            )
        packing = ShardedWindows(source.folder).manifest["packing"]
        domain = (ChatDomain if packing == "best_fit" else Domain)(source, seq_len)
        theirs = domain.windows.manifest["tokenizer"]["sha256"]
        check_same_tokenizer([("the run", tokenizer_sha256), (source.folder, theirs)])
        domains.append(domain)
    return domains


def summarise(documents: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Loss (nats per token) and bits per byte over all documents, with the standard error of the
    latter.

    The standard error is that of a ratio of sums over documents (delta method); documents are the
    unit."""
    nll = np.array([document["nll"] for document in documents])
    size = np.array([document["bytes"] for document in documents], float) * math.log(2)
    bits_per_byte = nll.sum() / size.sum()
    n = len(documents)
    residual = nll - bits_per_byte * size
    stderr = math.sqrt(n / (n - 1) * np.sum(residual**2)) / size.sum() if n > 1 else None
    return {
        "loss": float(nll.sum() / sum(document["targets"] for document in documents)),
        "bits_per_byte": float(bits_per_byte),
        "bits_per_byte_stderr": stderr,
        "documents": n,
    }


def scalars(
    domains: Sequence[Domain | ChatDomain], eval_step: Callable, params: Any, batch: int, mesh: Mesh
) -> dict[str, float]:
    """`eval/<domain>/loss` and `eval/<domain>/bits_per_byte` of every domain, for metrics.jsonl."""
    values = {}
    for domain in domains:
        summary = summarise(domain.evaluate(eval_step, params, batch, mesh))
        values[f"eval/{domain.name}/loss"] = summary["loss"]
        values[f"eval/{domain.name}/bits_per_byte"] = summary["bits_per_byte"]
    return values
