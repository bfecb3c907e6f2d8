"""Writing what an endpoint generates: a fixed number of accepted records for every cell of a grid,
and a manifest.

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
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure
from divsyn_jax.base.parts import WorkPart
from divsyn_jax.endpoint.client import Client, ContentFailure
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.synthesis.by_endpoint import parts
from divsyn_jax.synthesis.by_endpoint.acceptance_bar import AcceptanceBar, acceptance_bar
from divsyn_jax.synthesis.by_endpoint.choose_form import choose_form, forms_of, probe_for
from divsyn_jax.synthesis.by_endpoint.forms import AnswerForm, RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.gates import Gates, NearDuplicates
from divsyn_jax.synthesis.by_endpoint.grid import Cell, Grid
from divsyn_jax.synthesis.by_endpoint.ordered_answers import Pending, ahead, in_order
from divsyn_jax.synthesis.by_endpoint.parts import CandidateOutcome
from divsyn_jax.synthesis.by_endpoint.run import (
    CACHE,
    finished,
    new_records,
    open_clients,
    run,
    summed_cost,
)
from divsyn_jax.synthesis.record_file import RecordWriter
from divsyn_jax.synthesis.record_totals import RecordTotals, text_of

_REASONS = {
    "invalid": "schema",
    "length": "cut_at_length_limit",
}  # of the client's outcomes; the others keep their names
# So many cells that cannot be filled stop a run: the model will not do, and every further call is
# wasted.
_MOST_UNFILLED = 10


class _PendingCell(Pending[CandidateOutcome]):
    """The candidates of one cell: the record of a document each, or why there is none."""

    def __init__(
        self,
        cell: Cell,
        client: Client,
        grid: Grid,
        form: AnswerForm,
        most: int,
        bar: AcceptanceBar,
    ) -> None:
        super().__init__()
        self.cell, self.bar = cell, bar
        self._client, self._grid, self._form, self._most = client, grid, form, most
        for _ in range(grid.generations):
            self.ask()

    def ask(self) -> None:
        """Ask for one candidate more, unless the cell has had its share."""
        if len(self.tasks) < self._most:
            self.tasks.append(asyncio.create_task(self._candidate(len(self.tasks))))

    def came_in(self, outcome: CandidateOutcome) -> CandidateOutcome:
        """Count an outcome; ask for another candidate where it was rejected."""
        if isinstance(outcome, RejectedAnswer):
            self.bar.reject()
            self.ask()
        else:
            self.bar.accept()
        return outcome

    async def _candidate(self, number: int) -> CandidateOutcome:
        return self.came_in(await self._answered(number))

    async def _answered(self, number: int) -> CandidateOutcome:
        prompt = self._form.prompt(self.cell, number)
        try:
            answer = await self._client.complete(prompt.request)
        except ContentFailure as failure:
            return RejectedAnswer(_REASONS.get(failure.outcome, failure.outcome))
        record = self._form.record(prompt, self.cell, number, answer.value)
        if isinstance(record, RejectedAnswer):
            return record
        if fault := self._form.fault(record):
            return RejectedAnswer(fault)
        return {
            **record,
            "cell": self.cell.name,
            "candidate": number,
            "seed": self._grid.seed,
            "prompt_version": self._form.settings()["prompt_version"],
            "request_id": answer.request_id,
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
        self.came_in(self._known[number])

    async def _answered(self, number: int) -> CandidateOutcome:
        await self._ready(self._client)
        return await super()._answered(number)


def generate_documents(
    grid: Grid,
    endpoints: Sequence[EndpointSettings],
    gates: Gates,
    candidates: int,
    output: str | os.PathLike,
    part: WorkPart | None = None,
    merge: Sequence[str] = (),
    form: str = "schema",
) -> dict[str, Any]:
    """`generate_records` of documents in one form, or in that which `auto` finds."""
    forms = forms_of("documents", form, grid, gates)
    return generate_records(grid, endpoints, gates, candidates, output, forms, part, merge)


def generate_records(
    grid: Grid,
    endpoints: Sequence[EndpointSettings],
    gates: Gates,
    candidates: int,
    output: str | os.PathLike,
    forms: Sequence[AnswerForm],
    part: WorkPart | None = None,
    merge: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the records of `grid` to the folder `output` and return the manifest.

    Args:
      endpoints: who writes, one for each of the grid's models.
      candidates: records that a cell may ask for in place of one accepted, at most.
      forms: how they are asked for; of several, all of one kind, the first that every model is
        found to be able to write, which the last is taken to be.
      part: of the cells, to be written alone: their candidates, for a merge.
      merge: folders of all parts, to make the corpus of.

    A corpus that is there with these settings is left as it is. Raises `Unfinished` where a rerun
    goes on, and `Failure` naming cells that could not be filled; nothing but the cache of answers
    is written then."""
    settings = {
        "source": "endpoint",
        "kind": forms[0].kind,
        "template": grid.template,
        "grid": grid.describe(),
        "endpoints": [endpoint.identity() for endpoint in endpoints],
        "gates": dataclasses.asdict(gates),
        "candidates": candidates,
        "seed": grid.seed,
    }
    output = pathlib.Path(output)
    if merge:
        forms = [parts.form_of_parts(merge, forms)]
    for form in forms:
        said = form.settings()
        earlier = finished(output, _with_part({**settings, **said}, part))
        if earlier is not None and earlier.get("form") == said.get("form"):
            return earlier
    folders = parts.check_parts(merge, {**settings, **forms[0].settings()}) if merge else []
    name = f"{forms[0].kind}.jsonl.zst" if part is None else parts.CANDIDATES
    with new_records(output, name) as path:
        form, counted = run(
            _generate(
                grid, endpoints, gates, candidates, path, output / CACHE, forms, part, folders
            )
        )
    settings = _with_part({**settings, **form.settings()}, part)
    manifest = {**settings, **parts.with_usage(counted, folders)}
    files.write_json(output / "manifest.json", manifest)
    return manifest


def _with_part(settings: dict[str, Any], part: WorkPart | None) -> dict[str, Any]:
    return settings if part is None else parts.settings_of(settings, part)


async def _generate(
    grid: Grid,
    endpoints: Sequence[EndpointSettings],
    gates: Gates,
    candidates: int,
    path: pathlib.Path,
    cache: pathlib.Path,
    forms: Sequence[AnswerForm],
    part: WorkPart | None,
    folders: Sequence[pathlib.Path],
) -> tuple[AnswerForm, dict[str, Any]]:
    totals, near = RecordTotals(), NearDuplicates(gates.near_duplicate)
    rejects: collections.Counter[str] = collections.Counter()
    unfilled: list[str] = []
    left: list[asyncio.Future[CandidateOutcome]] = []  # of cells that wait for a batch file
    async with contextlib.AsyncExitStack() as stack:
        clients = await open_clients(stack, endpoints, cache, None)
        # A merge may have nothing to ask: its endpoints are probed when it has.
        form = forms[0] if folders else await choose_form(clients, grid, forms)
        cell_count = len(grid) if part is None else part.size(len(grid))
        total, unit = cell_count * grid.generations, form.kind.removesuffix("s")
        bar = await stack.enter_async_context(acceptance_bar(clients, total, form.kind, unit))
        writer = stack.enter_context(RecordWriter(path))

        probes: dict[Client, asyncio.Task[None]] = {}

        async def ready(client: Client) -> None:
            if client not in probes:
                probes[client] = asyncio.create_task(probe_for(form, client, grid))
            await asyncio.shield(probes[client])

        def start(item: tuple[Cell, Sequence[CandidateOutcome]]) -> _PendingCell:
            cell, known = item
            asked = (cell, clients[cell.model], grid, form, candidates * grid.generations, bar)
            return _MergedCell(known, ready, *asked) if folders else _PendingCell(*asked)

        cells = in_order(parts.cells_of(grid, part, folders), start, ahead(clients))
        async with contextlib.aclosing(cells):
            async for pending in cells:
                before, lost = totals.records, rejects.copy()
                outcomes: list[CandidateOutcome] = []
                for task in pending.tasks:  # grows while it is gone through
                    if await clients[pending.cell.model].waits_for_file(task):
                        left += pending.tasks
                        break
                    candidate = await task
                    outcomes.append(candidate)
                    if isinstance(candidate, RejectedAnswer):
                        rejects[candidate.reason] += 1
                        continue
                    if repeats := _duplicate(candidate, totals, near):
                        rejects[repeats] += 1
                        bar.take_back()
                        pending.ask()
                        continue
                    record = {"id": f"generated-{grid.seed}-{totals.records}", **candidate}
                    totals.enter(record)
                    if part is None:
                        writer.write(record)
                if left:
                    # This run keeps nothing but its questions: what takes the place of later
                    # duplicates goes into the same file, though it hangs on what is accepted here.
                    continue
                filled = totals.records - before
                if part is not None:
                    writer.write(parts.line_of(pending.cell, outcomes))
                    # Which of its candidates are duplicates, the other parts decide.
                    filled = sum(not isinstance(outcome, RejectedAnswer) for outcome in outcomes)
                if filled < grid.generations:
                    why = ", ".join(
                        f"{count} {reason}" for reason, count in (rejects - lost).items()
                    )
                    unfilled.append(f"{pending.cell.name} ({filled} of {grid.generations}: {why})")
                if len(unfilled) == _MOST_UNFILLED:
                    break
        if left:
            try:
                await clients[0].until_written()
            finally:
                await asyncio.gather(*left, return_exceptions=True)
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
    return form, {
        form.kind: totals.records,
        "rejects": dict(sorted(rejects.items())),
        **totals.describe(),
        "usage": usage,
        "cost": cost,
    }


def _duplicate(record: dict[str, Any], totals: RecordTotals, near: NearDuplicates) -> str | None:
    if totals.holds(record):
        return "duplicate"
    return None if near.enter(text_of(record)) else "near_duplicate"
