"""Topics of any corpus, found by an endpoint document by document and deduplicated:

seeds for `generate_corpus`.
"""

import asyncio
import collections
import contextlib
import itertools
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure
from divsyn_jax.data.readers.corpus import CorpusReader, Document, ReadOptions
from divsyn_jax.endpoint.client import Client, ContentFailure
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.synthesis.by_endpoint import templates
from divsyn_jax.synthesis.by_endpoint.acceptance_bar import AcceptanceBar, acceptance_bar
from divsyn_jax.synthesis.by_endpoint.ordered_answers import Pending, ahead, in_order
from divsyn_jax.synthesis.by_endpoint.run import (
    CACHE,
    new_records,
    open_clients,
    run,
    summed_cost,
)
from divsyn_jax.synthesis.record_file import RecordWriter

_MOST_FAILED = 0.5  # of the documents
_NO_WORD = re.compile(r"[\W_]+")


class _PendingDocument(Pending[list[dict[str, Any]] | ContentFailure]):
    """The question about one document."""

    def __init__(
        self, number: int, document: Document, client: Client, seed: int, bar: AcceptanceBar
    ) -> None:
        super().__init__()
        self._bar = bar
        self.where = document.where
        self._request = templates.topics_prompt(document.text, number, seed)
        self._client = client
        self.tasks.append(asyncio.create_task(self._topics()))

    async def _topics(self) -> list[dict[str, Any]] | ContentFailure:
        try:
            topics = (await self._client.complete(self._request)).value["topics"]
        except ContentFailure as failure:
            self._bar.reject()
            return failure
        self._bar.accept()
        return topics


def extract_topics(
    spec: str,
    options: ReadOptions,
    endpoints: Sequence[EndpointSettings],
    most_documents: int,
    seed: int,
    output: str | os.PathLike,
) -> dict[str, Any]:
    """Write `output`/topics.jsonl.zst (topic, subtopic, keywords, path, source) from a corpus;
    return the manifest.

    Of the paths whose last two levels (topic and subtopic) are alike, but for case and punctuation,
    the first is kept. The endpoints take documents in turn. Raises `UserError` for a corpus that
    cannot be read, `Unfinished` where a rerun goes on, and `Failure` when most documents gave no
    topics."""
    output = pathlib.Path(output)
    settings = {
        "source": "endpoint",
        "kind": "topics",
        "prompt_version": templates.TEMPLATES_VERSION,
        "corpus": spec,
        "most_documents": most_documents,
        "endpoints": [endpoint.identity() for endpoint in endpoints],
        "seed": seed,
    }
    reader = CorpusReader(spec, options)
    documents = itertools.islice(reader, most_documents)
    first = next(documents, None)  # a corpus that cannot be read leaves nothing behind
    every = itertools.chain([first] if first else [], documents)
    with new_records(output, "topics.jsonl.zst") as path:
        counted = run(_extract(every, endpoints, seed, path, output / CACHE))
    manifest = {**settings, "malformed": reader.malformed, **counted}
    files.write_json(output / "manifest.json", manifest)
    return manifest


async def _extract(
    documents: Iterable[Document],
    endpoints: Sequence[EndpointSettings],
    seed: int,
    path: pathlib.Path,
    cache: pathlib.Path,
) -> dict[str, Any]:
    seen: set[tuple[str, str]] = set()
    rejects: collections.Counter[str] = collections.Counter()
    asked = 0
    async with contextlib.AsyncExitStack() as stack:
        clients = await open_clients(stack, endpoints, cache, (1, templates.TOPICS_CHARACTERS))
        bar = await stack.enter_async_context(acceptance_bar(clients, None, "topics", "document"))
        writer = stack.enter_context(RecordWriter(path))

        def start(numbered: tuple[int, Document]) -> _PendingDocument:
            number, document = numbered
            return _PendingDocument(number, document, clients[number % len(clients)], seed, bar)

        found = in_order(enumerate(documents), start, ahead(clients))
        async with contextlib.aclosing(found):
            async for pending in found:
                asked += 1
                topics = await pending.tasks[0]
                if isinstance(topics, ContentFailure):
                    rejects[topics.outcome] += 1
                    topics = []
                for topic in topics:
                    steps = [" ".join(step.split()) for step in topic["path"]]
                    key = (_plain(steps[-2]), _plain(steps[-1]))
                    if key in seen:
                        rejects["duplicate"] += 1
                        continue
                    seen.add(key)
                    writer.write(
                        {
                            "topic": steps[-2],
                            "subtopic": steps[-1],
                            "keywords": list(
                                dict.fromkeys(" ".join(word.split()) for word in topic["keywords"])
                            ),
                            "path": steps,
                            "source": pending.where,
                        }
                    )
        failed = sum(rejects.values()) - rejects["duplicate"]
        if failed > _MOST_FAILED * asked:
            raise Failure(
                f"{failed} of {asked} documents gave no topics ({dict(rejects)}); take another"
                " --model"
            )
        for client in clients:
            client.settle()
        usage = {client.settings.model: client.usage.to_json() for client in clients}
        cost = summed_cost(client.usage.cost_with_cached for client in clients)
    return {
        "documents": asked,
        "topics": len(seen),
        "rejects": dict(sorted(rejects.items())),
        "usage": usage,
        "cost": cost,
    }


def _plain(step: str) -> str:
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", step).casefold()).strip()
