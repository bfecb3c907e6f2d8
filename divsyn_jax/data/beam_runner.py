"""Running independent tasks on Apache Beam: on this machine's processes, or on a Flink, Spark or
Dataflow cluster.

Tasks and results travel as files in a folder that every worker must reach (a shared file system),
because what a cluster is sent or sends back is limited in size, and because results come back in
the order of the tasks whatever finished first. The files hold JSON: who can write to the folder can
spoil a result, and run nothing."""

import functools
import json
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from divsyn_jax.base import json_text
from divsyn_jax.base.commandline import UserError

Runner = Literal["DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner"]
RUNNERS: tuple[str, ...] = get_args(Runner)
# What travels: an object that JSON holds.
JsonObject = Mapping[str, Any]


def run_in_order(
    tasks: Iterable[JsonObject],
    function: Callable[[JsonObject], JsonObject],
    folder: pathlib.Path,
    runner: str,
    workers: int,
    options: Sequence[str],
) -> Iterator[JsonObject]:
    """Yield `function(task)` of every task, in order. One task at a time is held in memory here.

    Args: tasks: JSON objects. function: gives a JSON object; found by its module and name on every
      worker. folder: shared by all workers, which run as this user; a hidden folder in it holds
      tasks and results until all are yielded.
      runner: one of `RUNNERS`. workers: processes of the DirectRunner; other runners have options
      of their own. options: Beam's, e.g. `--flink_master=host:8081`.

    Raises `UserError` where Beam is not installed, or a result is damaged.
    """
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise UserError(
            f"--runner={runner}: Apache Beam is not installed here; use the environment of `make"
            " env-beam`"
        ) from None
    exchange = folder / ".beam"
    exchange.mkdir()
    count = 0
    for task in tasks:
        (exchange / f"{count}.task").write_text(json.dumps(task))
        count += 1
    own: tuple[str, ...] = (f"--runner={runner}",)
    if runner == "DirectRunner":
        own += (f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing")
    with apache_beam.Pipeline(options=PipelineOptions([*own, *options])) as pipeline:
        _ = (
            pipeline
            | apache_beam.Create([str(exchange / str(number)) for number in range(count)])
            | apache_beam.Reshuffle()  # else one worker takes them all
            | apache_beam.Map(functools.partial(_run, function))
        )
    for number in range(count):
        result = exchange / f"{number}.result"
        try:
            yield json_text.parse_json(result.read_bytes())
        except ValueError as error:
            raise UserError(f"{result}: damaged ({error}); run the command again") from None
    shutil.rmtree(exchange)


def _run(function: Callable[[JsonObject], JsonObject], place: str) -> None:
    task = json_text.parse_json(pathlib.Path(f"{place}.task").read_bytes())
    result = pathlib.Path(f"{place}.result")
    # A runner may repeat a task, even beside itself: the file appears whole, and its content is
    # always the same.
    temporary = result.with_suffix(f".{uuid.uuid4().hex}.tmp")
    temporary.write_text(json.dumps(function(task)))
    temporary.replace(result)
