"""What every run that pays an endpoint for a folder of records shares:

its file, its clients, its end.
"""

import contextlib
import fcntl
import os
import pathlib
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from divsyn_jax.base import files, owned_folders
from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.endpoint import running
from divsyn_jax.endpoint.client import Client, EndpointStopped
from divsyn_jax.endpoint.sending import canary
from divsyn_jax.endpoint.settings import EndpointSettings

CACHE = (  # in the folder written; it outlives a change of settings, and so do the answers paid for
    "cache.sqlite"
)
_T = TypeVar("_T")


def finished(output: pathlib.Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest in `output` when it was made with these settings."""
    if not (output / "manifest.json").is_file():
        return None
    earlier = files.read_json(output / "manifest.json")
    return earlier if earlier.items() >= settings.items() else None


@contextlib.contextmanager
def new_records(output: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Yield an empty file that becomes `output`/`name` when the block ends, and vanishes when it
    fails.

    Raises `UserError` while another process is in the block.
    """
    output.mkdir(parents=True, exist_ok=True)
    partial = output / f".{name}.partial"
    with owned_folders.open_kept(partial, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{output}: another process is writing it; wait for it or name another folder"
            ) from None
        lock.truncate(0)  # what a killed process left; the cache holds the answers
        try:
            yield partial
            (output / "manifest.json").unlink(
                missing_ok=True
            )  # first: a folder with a manifest is finished
            os.replace(partial, output / name)
        finally:
            partial.unlink(missing_ok=True)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that pays for answers; raises `Unfinished` where the same command would go
    on.
    """
    try:
        return running.run_stoppable(work)
    except EndpointStopped as stop:
        raise Unfinished(str(stop)) from None


async def open_clients(
    stack: contextlib.AsyncExitStack,
    endpoints: Sequence[EndpointSettings],
    cache: pathlib.Path,
    probed: tuple[int, int] | None,
) -> list[Client]:
    """Clients that share one cache, each `probed` with so many texts of so many characters."""
    clients = [await stack.enter_async_context(Client(endpoint, cache)) for endpoint in endpoints]
    if probed is not None:
        for client in clients:
            await probe_client(client, *probed)
    return clients


async def probe_client(client: Client, texts: int, length: int) -> None:
    """Try an endpoint with so many texts of so many characters, and say what it does not keep."""
    for concession in (await canary.probe(client, texts, length)).concessions:
        print(f"{client.settings.model}: {concession}", file=sys.stderr)


def spent(clients: Sequence[Client]) -> str:
    """Calls, repeats, cost so far and what the endpoints say, for the progress bar."""
    if len(clients) == 1:
        return clients[0].usage.spent()
    return "; ".join(f"{client.settings.model}: {client.usage.spent()}" for client in clients)


def summed_cost(costs: Iterable[float | None]) -> float | None:
    """What all endpoints cost together; None where one has no prices."""
    total = 0.0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total
