"""Writing what an endpoint generates: a fixed number of accepted documents for every cell of a
grid, and a manifest.

Candidates of many cells are asked for at once, and judged in grid order. A cell asks for another
candidate only when it is
certain to need it: after one that fails by itself, as soon as its answer is in; after a duplicate,
when its turn has come. So which candidates are asked, which are accepted and every byte written
depend on seeds and answers alone, not on when answers arrive; and a run that was stopped goes
through the same candidates again, those paid for out of the cache."""

import asyncio
import collections
import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tqdm import tqdm

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure
from divsyn_jax.base.parts import WorkPart
from divsyn_jax.endpoint import heartbeat
from divsyn_jax.endpoint.client import Client, ContentFailure
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.synthesis.by_endpoint import parts, templates
from divsyn_jax.synthesis.by_endpoint.flatten import flatten
from divsyn_jax.synthesis.by_endpoint.gates import Gates, NearDuplicates
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid
from divsyn_jax.synthesis.by_endpoint.ordered_answers import Pending, ahead, in_order
from divsyn_jax.synthesis.by_endpoint.parts import CandidateOutcome, RejectedCandidate
from divsyn_jax.synthesis.by_endpoint.run import (
    CACHE,
    finished,
    new_records,
    open_clients,
    probe_client,
    run,
    spent,
    summed_cost,
)
from divsyn_jax.synthesis.grammar.grammar import BETWEEN_TOPICS, seeded
from divsyn_jax.synthesis.record_file import RecordWriter
from divsyn_jax.synthesis.record_totals import RecordTotals

_REASONS = {
    "invalid": "schema",
    "length": "cut_at_length_limit",
}  # of the client's outcomes; the others keep their names
# So many cells that cannot be filled stop a run: the model will not do, and every further call is
# wasted.
_MOST_UNFILLED = 10
_PROBE_CHARACTERS = 300


class _PendingCell(Pending[CandidateOutcome]):
    """The candidates of one cell: the record of a document each, or why there is none."""

    def __init__(self, cell: Cell, client: Client, grid: Grid, gates: Gates, most: int) -> None:
        super().__init__()
        self.cell = cell
        self._client, self._grid, self._gates, self._most = client, grid, gates, most
        for _ in range(grid.generations):
            self.ask()

    def ask(self) -> None:
        """Ask for one candidate more, unless the cell has had its share."""
        if len(self.tasks) < self._most:
            self.tasks.append(asyncio.create_task(self._candidate(len(self.tasks))))

    async def _candidate(self, number: int) -> CandidateOutcome:
        prompt = templates.document_prompt(self.cell, number, self._grid.seed)
        try:
            answer = await self._client.complete(prompt.request)
        except ContentFailure as failure:
            self.ask()
            return RejectedCandidate(_REASONS.get(failure.outcome, failure.outcome))
        record = self._record(prompt, number, answer.value, answer.request_id)
        if fault := self._gates.fault(record["text"]):
            self.ask()
            return RejectedCandidate(fault)
        return record

    def _record(
        self, prompt: templates.Prompt, number: int, value: dict[str, Any], request_id: str | None
    ) -> dict[str, Any]:
        cell, seed = self.cell, self._grid.seed
        used = (
            [prompt.topic_of_tag[tag] for tag in dict.fromkeys(value["topics"])]
            if "topics" in value
            else []
        )
        return {
            "text": flatten(value, seeded(f"flatten/{cell.name}", seed, number)),
            "template": self._grid.template,
            "topic": BETWEEN_TOPICS.join(used or [cell.topics[0].name]),
            "style": cell.style,
            "persona": prompt.persona_of_tag[value["persona"]] if "persona" in value else "neutral",
            "generator": self._grid.models[cell.model],
            "keywords": sorted(
                {keyword for passage in value["passages"] for keyword in passage["keywords"]}
            ),
            "cell": cell.name,
            "candidate": number,
            "seed": seed,
            "prompt_version": templates.TEMPLATES_VERSION,
            "request_id": request_id,
        }


class _MergedCell(_PendingCell):
    """A cell whose first candidates a part has; `ready` is awaited before another is asked for."""

    def __init__(
        self,
        known: Sequence[CandidateOutcome],
        ready: Callable[[Client], Awaitable[None]],
        *others: Any,
    ) -> None:
        self._known, self._ready = known, ready
        super().__init__(*others)

    def ask(self) -> None:
        """The next candidate that the part has, or one more."""
        number = len(self.tasks)
        if number >= len(self._known):
            super().ask()
            return
        outcome: asyncio.Future[CandidateOutcome] = asyncio.get_running_loop().create_future()
        outcome.set_result(self._known[number])
        self.tasks.append(outcome)
        if isinstance(self._known[number], RejectedCandidate):
            self.ask()

    async def _candidate(self, number: int) -> CandidateOutcome:
        await self._ready(self._client)
        return await super()._candidate(number)


def generate_documents(
    grid: Grid,
    endpoints: Sequence[EndpointSettings],
    gates: Gates,
    candidates: int,
    output: str | os.PathLike,
    part: WorkPart | None = None,
    merge: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the documents of `grid` to the folder `output` and return the manifest.

    Args:
      endpoints: who writes, one for each of the grid's models.
      candidates: documents that a cell may ask for in place of one accepted, at most.
      part: of the cells, to be written alone: their candidates, for a merge.
      merge: folders of all parts, to make the corpus of.

    A corpus that is there with these settings is left as it is. Raises `Unfinished` where a rerun
    goes on, and `Failure` naming cells that could not be filled; nothing but the cache of answers
    is written then."""
    settings = {
        "source": "endpoint",
        "kind": "documents",
        "prompt_version": templates.TEMPLATES_VERSION,
        "template": grid.template,
        "grid": grid.describe(),
        "endpoints": [endpoint.identity() for endpoint in endpoints],
        "gates": dataclasses.asdict(gates),
        "candidates": candidates,
        "seed": grid.seed,
    }
    output = pathlib.Path(output)
    if part is not None:
        settings = parts.settings_of(settings, part)
    if (earlier := finished(output, settings)) is not None:
        return earlier
    folders = parts.check_parts(merge, settings) if merge else []
    name = "documents.jsonl.zst" if part is None else parts.CANDIDATES
    with new_records(output, name) as path:
        counted = run(
            _generate(grid, endpoints, gates, candidates, path, output / CACHE, part, folders)
        )
    manifest = {**settings, **parts.with_usage(counted, folders)}
    files.write_json(output / "manifest.json", manifest)
    return manifest


async def _generate(
    grid: Grid,
    endpoints: Sequence[EndpointSettings],
    gates: Gates,
    candidates: int,
    path: pathlib.Path,
    cache: pathlib.Path,
    part: WorkPart | None,
    folders: Sequence[pathlib.Path],
) -> dict[str, Any]:
    totals, near = RecordTotals(), NearDuplicates(gates.near_duplicate)
    rejects: collections.Counter[str] = collections.Counter()
    unfilled: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        shown = grid.topics_per_document + min(grid.personas_shown, len(grid.personas))
        probed = (shown, _PROBE_CHARACTERS)
        # A merge may have nothing to ask: its endpoints are probed when it has.
        clients = await open_clients(stack, endpoints, cache, None if folders else probed)
        cell_count = len(grid) if part is None else part.size(len(grid))
        bar = stack.enter_context(
            tqdm(
                total=cell_count * grid.generations,
                desc="documents",
                unit="document",
                mininterval=1,
                file=sys.stderr,
            )
        )
        await stack.enter_async_context(heartbeat.shown_on(bar, lambda: spent(clients)))
        writer = stack.enter_context(RecordWriter(path))

        probes: dict[Client, asyncio.Task[None]] = {}

        async def ready(client: Client) -> None:
            if client not in probes:
                probes[client] = asyncio.create_task(probe_client(client, *probed))
            await asyncio.shield(probes[client])

        def start(item: tuple[Cell, Sequence[CandidateOutcome]]) -> _PendingCell:
            cell, known = item
            asked = (cell, clients[cell.model], grid, gates, candidates * grid.generations)
            return _MergedCell(known, ready, *asked) if folders else _PendingCell(*asked)

        cells = in_order(parts.cells_of(grid, part, folders), start, ahead(clients))
        async with contextlib.aclosing(cells):
            async for pending in cells:
                before, lost = totals.records, rejects.copy()
                outcomes: list[CandidateOutcome] = []
                for task in pending.tasks:  # grows while it is gone through
                    candidate = await task
                    outcomes.append(candidate)
                    if isinstance(candidate, RejectedCandidate):
                        rejects[candidate.reason] += 1
                        continue
                    if repeats := _duplicate(candidate, totals, near):
                        rejects[repeats] += 1
                        pending.ask()
                        continue
                    record = {"id": f"generated-{grid.seed}-{totals.records}", **candidate}
                    totals.enter(record)
                    if part is None:
                        writer.write(record)
                    bar.update()
                bar.set_postfix_str(spent(clients), refresh=False)
                filled = totals.records - before
                if part is not None:
                    writer.write(parts.line_of(pending.cell, outcomes))
                    # Which of its candidates are duplicates, the other parts decide.
                    filled = sum(not isinstance(outcome, RejectedCandidate) for outcome in outcomes)
                if filled < grid.generations:
                    why = ", ".join(
                        f"{count} {reason}" for reason, count in (rejects - lost).items()
                    )
                    unfilled.append(f"{pending.cell.name} ({filled} of {grid.generations}: {why})")
                if len(unfilled) == _MOST_UNFILLED:
                    break
        for client in clients:
            client.settle()
        usage = {client.settings.model: client.usage.to_json() for client in clients}
        cost = summed_cost(client.usage.cost_with_cached for client in clients)
    if unfilled:
        more = "" if len(unfilled) < _MOST_UNFILLED else " and perhaps more"
        raise Failure(
            f"{len(unfilled)} cells{more} were not filled by {candidates * grid.generations}"
            f" candidates each: {'; '.join(unfilled[:3])}{'; ...' if len(unfilled) > 3 else ''}."
            f" Nothing was written but the answers in {cache}; raise --config.endpoint.candidates,"
            " relax a gate or take another model, and repeat the command"
        )
    return {
        "documents": totals.records,
        "rejects": dict(sorted(rejects.items())),
        **totals.describe(),
        "usage": usage,
        "cost": cost,
    }


def _duplicate(record: dict[str, Any], totals: RecordTotals, near: NearDuplicates) -> str | None:
    if totals.holds(record):
        return "duplicate"
    return None if near.enter(record["text"]) else "near_duplicate"
