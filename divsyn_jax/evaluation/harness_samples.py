"""What lm-evaluation-harness wrote of every item (`samples_<task>_<date>.jsonl`, --log_samples).

A line holds `doc_id`, `target`, `resps`, `filtered_resps`, from 0.4.2 on `doc_hash`, from 0.4.8 on
`filter` and `metrics`, and each metric of the item by its name (`acc`, `acc_norm`, `exact_match`).
A task with several filters writes a line for each. The items of our own runs (eval/<task>.jsonl)
are read alike.
"""

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.forms.json_records import jsonl_records, parsed_line
from divsyn_jax.data.readers.lines import TooLong
from divsyn_jax.data.readers.packed_streams import DAMAGES, PACKED
from divsyn_jax.data.readers.records import Malformed

# Fields of a line that are about the item or the answer, whatever their type: no metrics.
_NO_METRICS = {
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash", "task_name", "schema_hash", "item", "hash"),
}
_FILE = re.compile(r"samples_(?P<task>.+?)(?:_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")


@dataclasses.dataclass(frozen=True)
class ScoredItem:
    """One item under one metric.

    Attributes:
      value: what the metric gave it.
      identity: hash of the item, or its target; None where the file has neither.
      prompt: hash of the prompt; None where the file has none.
      where: `file:line`.
    """

    value: float
    identity: str | None
    prompt: str | None
    where: str


@dataclasses.dataclass(frozen=True)
class TaskSamples:
    """The items of one task.

    Attributes:
      path: the file.
      values: by (metric, filter): by number of the item.
      without_value: metrics whose items hold no single number.
    """

    path: pathlib.Path
    values: Mapping[tuple[str, str], Mapping[int, ScoredItem]]
    without_value: tuple[str, ...]


def find_samples(path: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files of samples by task: the file itself, or those of a folder (searched recursively),
    of each task the latest by the date in its name.

    Raises:
      UserError: there is no such file, or no samples in the folder.
    """
    if path.is_file():
        named = _FILE.match(path.name)
        return {named["task"] if named else path.name.partition(".")[0]: path}
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; name samples_<task>_<date>.jsonl")
    found: dict[str, tuple[str, pathlib.Path]] = {}
    for candidate in sorted(path.rglob("samples_*.jsonl*")):
        named = _FILE.match(candidate.name)
        if named and (named["date"] or "") >= found.get(named["task"], ("", path))[0]:
            found[named["task"]] = (named["date"] or "", candidate)
    if not found:
        raise UserError(
            f"{path}: no samples_*.jsonl in it; run lm_eval with --log_samples, or name a file"
        )
    return {task: file for task, (_, file) in found.items()}


def read_samples(path: pathlib.Path) -> TaskSamples:
    """Read the items of one file.

    Raises:
      UserError: a line is no item, or an item stands there twice; it names file and line.
    """
    values: dict[tuple[str, str], dict[int, ScoredItem]] = {}
    without: dict[str, None] = {}
    packing = next((suffix for suffix in PACKED if path.name.endswith(suffix)), "")
    try:
        for where, line in jsonl_records(os.fspath(path), packing):
            record = _record(where, line)
            number = record.get("doc_id", record.get("item"))
            if not isinstance(number, int) or isinstance(number, bool):
                raise UserError(
                    f"{where}: no doc_id; name a samples_*.jsonl of lm_eval --log_samples"
                )
            filtered = str(record.get("filter", "none"))
            for metric in _metrics(record):
                value = _number(record.get(metric))
                if value is None:
                    without[metric] = None
                    continue
                items = values.setdefault((metric, filtered), {})
                if number in items:
                    raise UserError(
                        f"{where}: item {number} stands there twice for {metric} (first at"
                        f" {items[number].where}); name the samples of one evaluation"
                    )
                items[number] = ScoredItem(
                    value, _identity(record), _text(record.get("prompt_hash")), where
                )
    except DAMAGES as error:
        raise UserError(f"{path}: cannot be read to its end ({error})") from None
    if not values:
        raise UserError(f"{path}: no item with a metric that is a number")
    return TaskSamples(path, values, tuple(without))


def _record(where: str, line: bytes | TooLong) -> dict[str, Any]:
    if isinstance(line, TooLong):
        raise UserError(f"{where}: too long for an item")
    try:
        record = parsed_line(line)
    except Malformed as problem:
        raise UserError(f"{where}: {problem}") from None
    if not isinstance(record, dict):
        raise UserError(f"{where}: a JSON object is expected, not {type(record).__name__}")
    return record


def _metrics(record: Mapping[str, Any]) -> list[str]:
    """The metrics of a line: those it names, else every other field that holds a number."""
    named = record.get("metrics")
    if isinstance(named, list):
        return [metric for metric in named if isinstance(metric, str) and metric in record]
    return [
        name
        for name, value in record.items()
        if name not in _NO_METRICS and isinstance(value, int | float | list)
    ]


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def _identity(record: Mapping[str, Any]) -> str | None:
    return _text(record.get("doc_hash", record.get("hash", record.get("target"))))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
