"""Somebody's metric: a Python function of a list of texts to a number.

def mean_words(texts):
    return sum(len(text.split()) for text in texts) / len(texts)

mean_words.direction = "up"  # or "down"; may be left out, as what follows
mean_words.effective_number = False
mean_words.source = "my paper"
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.baselines import BaselineInputs, Value, no_value
from divsyn_jax.grading import foreign_worker
from divsyn_jax.grading.bench import GradedMetric
from divsyn_jax.grading.settings import GradeSettings

_NO_INTERVAL = "no interval: a function of the texts"


@contextlib.contextmanager
def foreign_metric(name: str, settings: GradeSettings) -> Iterator[GradedMetric]:
    """The metric module:function, in a process of its own that ends with the block.

    The module is looked for in the current folder first. The process is that of
    `settings.python`, by default of this interpreter.

    Raises `UserError` where there is no such function, or it says nonsense of itself.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise UserError(f"--metric={name}: give module:function, a name of ours, or all")
    python = str(settings.python or sys.executable)
    worker = pathlib.Path(foreign_worker.__file__)
    try:
        process = subprocess.Popen(
            [python, str(worker), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
    except OSError as error:
        raise UserError(f"--python={python}: cannot be started ({error.strerror})") from None
    try:
        yield _metric(name, _Worker(process), settings)
    finally:
        process.terminate()
        with process:  # closes its pipes and waits
            pass


class _Worker:
    """Asks the process; `cpu` are the CPU-seconds that it used so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.cpu = 0.0
        self.said = self._answer()

    def ask(self, texts: list[str]) -> Value:
        """The metric of these texts; no value where it fails on them."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"texts": texts}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return no_value("its process has ended")
        answer = self._answer()
        self.cpu = answer.get("cpu", self.cpu)
        if "error" in answer:
            return no_value(answer["error"])
        return Value(float(answer["value"]), _NO_INTERVAL)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": "its process has ended"}
        found: dict[str, Any] = json.loads(line)
        return found


def _metric(name: str, worker: _Worker, settings: GradeSettings) -> GradedMetric:
    said = worker.said
    if "error" in said:
        raise UserError(f"--metric={name}: {said['error']}; correct it, or name another")
    direction = said.get("direction", settings.direction)
    counts = said.get("effective_number", settings.effective_number)
    if direction not in ("up", "down") or not isinstance(counts, bool):
        raise UserError(
            f"--metric={name}: its attributes say direction={direction!r},"
            f" effective_number={counts!r}; give up or down, and True or False"
        )

    def function(reading: BaselineInputs) -> Value:
        return worker.ask(list(reading.sample.texts))

    return GradedMetric(
        name, function, direction, counts, str(said.get("source", "")), clock=lambda: worker.cpu
    )
