"""Which form of answer the models can write: found out before the first cell is paid for."""

import asyncio
import itertools
import sys
from collections.abc import Sequence

from divsyn_jax.base.errors import UserError
from divsyn_jax.endpoint.client import Client
from divsyn_jax.endpoint.request import ContentFailure
from divsyn_jax.endpoint.sending.canary import WeakModel
from divsyn_jax.synthesis.by_endpoint.asked import InstructionForm, ItemForm
from divsyn_jax.synthesis.by_endpoint.forms import AnswerForm, SchemaForm
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Grid
from divsyn_jax.synthesis.by_endpoint.plain import PlainForm
from divsyn_jax.synthesis.by_endpoint.run import probe_client

_PROBE_CHARACTERS = 300
# First candidates of the first cells that a model is tried with: kept where they are good, so that
# a model that can write the form pays for nothing twice.
_TRIALS = 2


def forms_of(kind: str, form: str, grid: Grid, gates: Gates) -> list[AnswerForm]:
    """How records of a kind may be asked for, with --form=auto in the order of trial.

    Raises `UserError` for a form that the kind does not have."""
    of_documents: dict[str, AnswerForm] = {
        "schema": SchemaForm(grid, gates),
        "plain": PlainForm(grid, gates),
    }
    if kind == "documents":
        return list(of_documents.values()) if form == "auto" else [of_documents[form]]
    if form == "plain":
        raise UserError(f"--form=plain is for --kind=documents; {kind} have parts")
    return [InstructionForm(grid, gates) if kind == "instructions" else ItemForm(grid, gates)]


async def choose_form(
    clients: Sequence[Client], grid: Grid, forms: Sequence[AnswerForm]
) -> AnswerForm:
    """The first of `forms` that all clients can write; the last needs no proof.

    Says on stderr why one is passed over. What was found is kept in the cache of answers, so that a
    rerun chooses the same. Raises as the start-up probe does where there is no other form."""
    *others, last = forms
    for form in others:
        reasons = [await _unable(client, grid, form) for client in clients]
        for client, reason in zip(clients, reasons, strict=True):
            if reason:
                print(
                    f"{client.settings.model}: cannot write --form={form.name} ({reason});"
                    f" --form={last.name} is taken",
                    file=sys.stderr,
                )
        if not any(reasons):
            return form
    for client in clients:
        await probe_for(last, client, grid)
    return last


async def probe_for(form: AnswerForm, client: Client, grid: Grid) -> None:
    """Try an endpoint with what the prompts of a form show; prose needs no proof."""
    if not form.is_plain:
        await _probe(client, grid)


async def _probe(client: Client, grid: Grid) -> None:
    shown = grid.topics_per_document + min(grid.personas_shown, len(grid.personas))
    await probe_client(client, shown, _PROBE_CHARACTERS)


async def _unable(client: Client, grid: Grid, form: AnswerForm) -> str:
    """Why the model cannot write the form; '' where it can."""
    about = {"form": form.name, **form.settings(), "endpoint": client.settings.identity()}
    if (known := client.cache.fact(about)) is not None:
        return str(known["unable"])
    reason = ""
    try:
        await _probe(client, grid)
    except WeakModel as weak:
        reason = str(weak).removeprefix(f"{client.settings.base_url}: ")
    else:
        cells = (cell for cell in grid.cells() if grid.models[cell.model] == client.settings.model)
        requests = [form.prompt(cell, 0).request for cell in itertools.islice(cells, _TRIALS)]
        answers = await asyncio.gather(*map(client.complete, requests), return_exceptions=True)
        failures = []
        for answer in answers:
            if isinstance(answer, ContentFailure):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
        if failures and len(failures) == len(answers):
            reason = f"{len(failures)} of {len(failures)} trials failed: {failures[0]}"
    client.cache.keep_fact(about, {"unable": reason})
    return reason
