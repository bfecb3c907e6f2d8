"""One stage of a run by batch files: the questions that can be asked before the next answers.

Who asks what no file has answered waits. When everybody waits, the files are written and all are
told to stop; a later run finds the answers and comes to the questions that follow from them."""

import asyncio
import pathlib
import weakref
from collections import Counter

from divsyn_jax.base import terminal_text
from divsyn_jax.endpoint.batch_files.requests_file import RequestsFile
from divsyn_jax.endpoint.request import EndpointStopped

# Turns of the event loop in which nobody asks anything. Nothing else is waited for in a run by
# files (no connection, no clock), and an answer takes some ten turns to whoever awaits it.
_QUIET_TURNS = 200
_stages: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Stage]" = weakref.WeakKeyDictionary()


class Stage:
    """What all clients of one event loop have to ask."""

    def __init__(self) -> None:
        self.again: Counter[str] = Counter()  # requests of an earlier file, by what became of them
        self.limits: list[str] = []  # flags that kept requests out of the files
        self._files: dict[pathlib.Path, RequestsFile] = {}
        self._asked = self._waiting = 0
        self._looking_ahead: list[asyncio.Future[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._written = asyncio.Event()
        self._failure: Exception | None = None
        self._clients = 0

    @classmethod
    def of_running_loop(cls) -> "Stage":
        """The one that clients of this loop share; each `leave`s it."""
        stage = _stages.setdefault(asyncio.get_running_loop(), cls())
        stage._clients += 1
        return stage

    def leave(self) -> None:
        """A client is closed; with the last one, what was not put in place is discarded."""
        self._clients -= 1
        if self._clients == 0:
            if self._watcher is not None:
                self._watcher.cancel()
            for file in self._files.values():
                file.discard()
            _stages.pop(asyncio.get_running_loop(), None)

    def file(self, path: pathlib.Path) -> RequestsFile:
        """The file of requests at `path`."""
        if path not in self._files:
            self._files[path] = RequestsFile(path)
        return self._files[path]

    def abandon(self) -> None:
        """The run ends otherwise: who waits is told so, and nothing is put in place."""
        if not self._written.is_set():
            self._failure = EndpointStopped("the client was closed")
            self._written.set()

    def stir(self) -> None:
        """Somebody asks: the stage goes on."""
        self._asked += 1

    async def until_written(self) -> None:
        """Wait until nobody can go on; raises the `EndpointStopped` that says where the questions
        stand.
        """
        self.stir()
        self._waiting += 1
        self._watched()
        await self._written.wait()
        raise self._failure or self._stopped()

    async def until_quiet(self) -> None:
        """Wait until nobody else can go on, to look for further questions meanwhile."""
        quiet = asyncio.get_running_loop().create_future()
        self._looking_ahead.append(quiet)
        self._watched()
        await quiet

    def settle(self) -> None:
        """At the end of a run: raises as `until_written` where questions nobody waits for (the
        start-up probe's) are still to be asked.
        """
        if not self._written.is_set() and any(file.names for file in self._files.values()):
            self._put_in_place()
            raise self._stopped()

    def _watched(self) -> None:
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        quiet, asked = 0, -1
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if asked == self._asked else 0
            asked = self._asked
            if quiet == _QUIET_TURNS:
                looking = [each for each in self._looking_ahead if not each.done()]
                for each in looking:
                    each.set_result(None)
                self._looking_ahead.clear()
                quiet = 0 if looking else quiet
        if not self._waiting:
            self._watcher = None
            return
        try:
            self._put_in_place()
        except OSError as error:  # who waits shall hear of it
            self._failure = error
            self._written.set()

    def _put_in_place(self) -> None:
        for file in self._files.values():
            file.put_in_place()
        self._written.set()

    def _stopped(self) -> EndpointStopped:
        written = [
            f"{file.path}: {len(file.names):,} requests to answer (OpenAI batch format)"
            for file in self._files.values()
            if file.names
        ]
        limits = f"stopped at {', '.join(sorted(set(self.limits)))}" if self.limits else ""
        if not written:
            return EndpointStopped(
                f"{limits}: no request was written; what was answered is saved, raise it and run"
                " the same command to continue"
            )
        again = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.again.items()))
        parts = [
            *written,
            f"of these asked again: {again}" if again else "",
            f"{limits}, the others come later" if limits else "",
            "then run the same command with --batch_in=RESULTS",
        ]
        return EndpointStopped(terminal_text.one_line("; ".join(filter(None, parts))))
