"""Writing a rephrased corpus: a fixed number of accepted rephrasings for every source and format.

The order of the candidates, which of them are asked for and which are accepted depend on corpus,
seeds and answers alone, as in by_endpoint/writer.py: a run that was stopped goes through the same
candidates again, those paid for out of the cache.
"""

import asyncio
import collections
import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure
from divsyn_jax.base.words import count_words
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.endpoint.client import Client, ContentFailure
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.synthesis.by_endpoint import run as endpoint_run
from divsyn_jax.synthesis.by_endpoint.acceptance_bar import AcceptanceBar, acceptance_bar
from divsyn_jax.synthesis.by_endpoint.gates import Gates, NearDuplicates, copied_share
from divsyn_jax.synthesis.by_endpoint.ordered_answers import Pending, ahead, in_order
from divsyn_jax.synthesis.grammar.grammar import seeded
from divsyn_jax.synthesis.record_file import RecordWriter
from divsyn_jax.synthesis.record_totals import RecordTotals
from divsyn_jax.synthesis.rephrasing import formats as rephrasing_formats
from divsyn_jax.synthesis.rephrasing.faithfulness import unfaithful
from divsyn_jax.synthesis.rephrasing.rephrasing_settings import RephrasingSettings
from divsyn_jax.synthesis.rephrasing.sources import RephrasingCell, SourceCells

REPHRASED = "documents.jsonl.zst"
_REASONS = {"invalid": "schema", "length": "cut_at_length_limit"}  # of the client's outcomes
_MOST_UNFILLED = 10


@dataclasses.dataclass(frozen=True)
class RephrasingPlan:
    """What is told again, how often, by whom.

    Attributes:
      corpus: whose documents.
      read: how it is read.
      formats: of which each document is told in every one.
      sources: documents of the corpus, from its beginning, at most.
      generations: accepted rephrasings for each source, format and model.
      candidates: rephrasings that may be asked for one accepted.
      seed: of prompts, and of which rephrasings are judged.
    """

    corpus: str
    read: ReadOptions
    formats: tuple[str, ...]
    sources: int
    generations: int
    candidates: int
    seed: int

    def cells(self, models: Sequence[str], settings: RephrasingSettings) -> SourceCells:
        """The cells, one for every source, format and model."""
        characters = settings.source_characters
        return SourceCells(self.corpus, self.read, self.formats, models, self.sources, characters)


@dataclasses.dataclass(frozen=True)
class _Turned:
    """Why a candidate was turned down, whatever the others are."""

    reason: str


class _PendingRephrasings(Pending[dict[str, Any] | _Turned]):
    """The candidates of one cell."""

    def __init__(
        self,
        cell: RephrasingCell,
        clients: Sequence[Client],
        plan: RephrasingPlan,
        settings: RephrasingSettings,
        bar: AcceptanceBar,
    ) -> None:
        super().__init__()
        self.cell, self._bar = cell, bar
        self._client = clients[cell.model]
        # A judge should not be the writer, where there is another.
        self._judge = clients[(cell.model + 1) % len(clients)]
        self._plan, self._settings = plan, settings
        for _ in range(plan.generations):
            self.ask()

    def ask(self) -> None:
        """Ask for one candidate more, unless the cell has had its share."""
        if len(self.tasks) < self._plan.candidates * self._plan.generations:
            self.tasks.append(asyncio.create_task(self._candidate(len(self.tasks))))

    async def _candidate(self, number: int) -> dict[str, Any] | _Turned:
        cell, seed = self.cell, self._plan.seed
        characters = self._settings.source_characters
        request = rephrasing_formats.rephrasing_prompt(
            cell.source.text, cell.form, cell.name, number, seed, characters
        )
        try:
            answer = await self._client.complete(request)
            text = answer.value["text"].strip()
            fault = self._fault(text)
            judged = None
            name = f"{cell.name} / {number}"
            if fault is None and seeded(f"judged/{name}", seed, 0).random() < (
                self._settings.entailment
            ):
                judged = await self._is_supported(text, name)
                fault = None if judged else "not_entailed"
        except ContentFailure as failure:
            fault = _REASONS.get(failure.outcome, failure.outcome)
        if fault is not None:
            self._bar.reject()
            self.ask()
            return _Turned(fault)
        self._bar.accept()
        return {
            "text": text,
            "format": cell.form.name,
            "source": cell.source.where,
            "source_digest": cell.source.digest,
            "generator": self._client.settings.model,
            "entailed": judged,
            "cell": cell.name,
            "candidate": number,
            "seed": seed,
            "prompt_version": rephrasing_formats.REPHRASING_VERSION,
            "request_id": answer.request_id,
        }

    def _fault(self, text: str) -> str | None:
        settings, source = self._settings, self.cell.source
        gates = Gates(0, sys.maxsize, settings.language, settings.near_duplicate)
        if (fault := gates.fault(text)) is not None:
            return fault
        count = count_words(text)
        if count < settings.shortest * source.words:
            return "too_short"
        if count > settings.longest * max(source.words, 20):
            return "too_long"
        if copied_share(source.text, text) >= settings.copied:
            return "copied"
        return unfaithful(source.text, text, settings.language)

    async def _is_supported(self, text: str, name: str) -> bool:
        """Whether the judge finds that the source supports the text. Raises `ContentFailure`."""
        longest = max(self._settings.source_characters, len(text) + 1)
        asked = rephrasing_formats.entailment_prompt(
            self.cell.source.text, text, name, self._plan.seed, longest
        )
        answer = await self._judge.complete(asked)
        return answer.value["verdict"] == "supported"


def rephrase_corpus(
    plan: RephrasingPlan,
    endpoints: Sequence[EndpointSettings],
    settings: RephrasingSettings,
    output: str | os.PathLike[str],
) -> dict[str, Any]:
    """Write the rephrasings of a corpus to the folder `output` and return the manifest.

    A corpus that is there with these settings is left as it is. Raises `UserError` for a corpus
    that cannot be read, `Unfinished` where a rerun goes on, and `Failure` naming cells that could
    not be filled; nothing but the cache of answers is written then.
    """
    output = pathlib.Path(output)
    identity = {
        "source": "endpoint",
        "kind": "rephrase",
        "prompt_version": rephrasing_formats.REPHRASING_VERSION,
        "corpus": plan.corpus,
        "formats": list(plan.formats),
        "most_sources": plan.sources,
        "generations": plan.generations,
        "candidates": plan.candidates,
        "endpoints": [endpoint.identity() for endpoint in endpoints],
        "rephrase": dataclasses.asdict(settings),
        "seed": plan.seed,
    }
    cells = plan.cells([endpoint.model for endpoint in endpoints], settings)
    for _ in cells.documents():  # a corpus that cannot be read leaves nothing behind
        pass
    identity |= {"sources": cells.sources, "sources_fingerprint": cells.fingerprint}
    if (earlier := endpoint_run.finished(output, identity)) is not None:
        return earlier
    with endpoint_run.new_records(output, REPHRASED) as path:
        work = _rephrase(plan, cells, endpoints, settings, path, output / endpoint_run.CACHE)
        counted = endpoint_run.run(work)
    left_out = {
        "sources_repeated": cells.repeated,
        "sources_cut": cells.cut,
        "malformed": cells.malformed,
    }
    manifest = {**identity, **left_out, **counted}
    files.write_json(output / "manifest.json", manifest)
    return manifest


async def _rephrase(
    plan: RephrasingPlan,
    cells: SourceCells,
    endpoints: Sequence[EndpointSettings],
    settings: RephrasingSettings,
    path: pathlib.Path,
    cache: pathlib.Path,
) -> dict[str, Any]:
    totals, near = RecordTotals(), NearDuplicates(settings.near_duplicate)
    rejects: collections.Counter[str] = collections.Counter()
    unfilled: list[str] = []
    judged = 0
    async with contextlib.AsyncExitStack() as stack:
        clients = await endpoint_run.open_clients(
            stack, endpoints, cache, (2, settings.source_characters)
        )
        total = cells.sources * len(plan.formats) * len(endpoints) * plan.generations
        bar = await stack.enter_async_context(
            acceptance_bar(clients, total, "rephrasings", "document")
        )
        writer = stack.enter_context(RecordWriter(path))

        def start(cell: RephrasingCell) -> _PendingRephrasings:
            return _PendingRephrasings(cell, clients, plan, settings, bar)

        found = in_order(cells, start, ahead(clients))
        async with contextlib.aclosing(found):
            async for pending in found:
                before, lost = totals.records, rejects.copy()
                for task in pending.tasks:  # grows while it is gone through
                    outcome = await task
                    if isinstance(outcome, _Turned):
                        rejects[outcome.reason] += 1
                        judged += outcome.reason == "not_entailed"
                        continue
                    judged += outcome["entailed"] is not None
                    if totals.holds(outcome) or not near.enter(outcome["text"]):
                        same = "duplicate" if totals.holds(outcome) else "near_duplicate"
                        rejects[same] += 1
                        bar.take_back()
                        pending.ask()
                        continue
                    record = {"id": f"rephrased-{plan.seed}-{totals.records}", **outcome}
                    totals.enter(record)
                    writer.write(record)
                if totals.records < before + plan.generations:
                    why = ", ".join(f"{n} {reason}" for reason, n in (rejects - lost).items())
                    unfilled.append(
                        f"{pending.cell.source.where} as {pending.cell.form.name}"
                        f" ({totals.records - before} of {plan.generations}: {why})"
                    )
                if len(unfilled) == _MOST_UNFILLED:
                    break
        for client in clients:
            client.settle()
        usage = {client.settings.model: client.usage.to_json() for client in clients}
        cost = endpoint_run.summed_cost(client.usage.cost_with_cached for client in clients)
    if unfilled:
        more = "" if len(unfilled) < _MOST_UNFILLED else " and perhaps more"
        raise Failure(
            f"{len(unfilled)} cells{more} were not filled by {plan.candidates * plan.generations}"
            f" candidates each: {'; '.join(unfilled[:3])}{'; ...' if len(unfilled) > 3 else ''}."
            f" Nothing was written but the answers in {cache}; raise --config.endpoint.candidates,"
            " relax a gate of --config.rephrase or take another model, and repeat the command"
        )
    return {
        "documents": totals.records,
        "rejects": dict(sorted(rejects.items())),
        "judged": judged,
        **totals.describe(),
        "usage": usage,
        "cost": cost,
    }
