"""Compare two evaluations item by item: what lm_eval --log_samples wrote of each.

  divsyn compare_items a/samples_arc_easy_2026-11-30T10-00-00.jsonl b/samples_arc_easy_....jsonl
  divsyn compare_items results/a results/b --metric=acc_norm --output=items.json

A and B are two files, or two folders (of each task the latest file of each is read). For every
task, metric and filter that both have, the mean of B less that of A on the same items, with a
paired bootstrap over items (Koehn 2004); p values of several comparisons are corrected by Holm's
method. Exit code 2 where the two did not see the same items.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from divsyn_jax.base import commandline, files, setting_flags, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import p_equals

if TYPE_CHECKING:
    from divsyn_jax.evaluation.harness_samples import ScoredItem, TaskSamples

_LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class _Items:
    """What to compare.

    Attributes:
      metric: metrics to compare, e.g. acc,acc_norm; by default all that both have.
      common: compare the items that both hold, where one holds more.
      output: JSON file to write the comparisons to.
    """

    metric: tuple[str, ...] = ()
    common: bool = False
    output: pathlib.Path | None = None


_ITEMS = setting_flags.define(_Items, {"tasks": ["metric", "common"], "output": ["output"]})


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Compare the two that the positional arguments name."""
    if len(arguments) != 2:
        raise UserError(
            f"{len(arguments)} named, two are compared: {commandline.program()} A B, each a"
            " samples_*.jsonl of lm_eval or a folder of those"
        )
    asked = _ITEMS.given()
    if asked.output is not None:
        files.check_no_folder(asked.output)
    first, second = map(pathlib.Path, arguments)
    rows = compare_samples(first, second, asked.metric, asked.common)
    if asked.output is not None:
        files.write_json(asked.output, {"first": str(first), "second": str(second), "items": rows})
    for row in rows:
        print(terminal_text.one_line(_line(row, len(rows) > 1)))
    print("95% intervals and p of a paired bootstrap over items.")


def compare_samples(
    first: pathlib.Path,
    second: pathlib.Path,
    metrics: tuple[str, ...] = (),
    common: bool = False,
) -> list[dict[str, Any]]:
    """A row for every task, metric and filter that two evaluations have in common.

    Args:
      first, second: files, or folders of those.
      metrics: names; all where there are none.
      common: take the items that both hold, where they hold different ones.

    Returns:
      {task, metric, filter, items, left_out, first, second, difference, ci_low, ci_high, p, p_holm,
      remarks}; `first` and `second` are means over the items.

    Raises:
      UserError: nothing in common, or different items.
    """
    from divsyn_jax.statistics import holm

    rows = list(_rows(first, second, metrics, common))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _rows(
    first: pathlib.Path, second: pathlib.Path, metrics: tuple[str, ...], common: bool
) -> Iterator[dict[str, Any]]:
    from divsyn_jax.evaluation.harness_samples import find_samples, read_samples

    found = find_samples(first), find_samples(second)
    if first.is_file() and second.is_file():
        # Two files are compared whatever they are called.
        (task,) = found[0]
        pairs = [(task, first, second)]
    else:
        pairs = [(task, file, found[1][task]) for task, file in found[0].items()
                 if task in found[1]]  # fmt: skip
        if not pairs:
            raise UserError(
                f"{first} and {second}: no task in common ({', '.join(found[0])}; and"
                f" {', '.join(found[1])}); evaluate both on the same tasks"
            )
    for task, *paths in pairs:
        samples = [read_samples(path) for path in paths]
        for key in _keys(samples, metrics):
            yield _row(task, key, samples, common)


def _keys(samples: "list[TaskSamples]", metrics: tuple[str, ...]) -> list[tuple[str, str]]:
    """The metrics and filters to compare."""
    one, two = samples
    both = [key for key in one.values if key in two.values]
    known = {metric for metric, _ in both}
    for metric in metrics:
        if metric not in known:
            why = (
                "its items hold no single number"
                if metric in (*one.without_value, *two.without_value)
                else f"they have {', '.join(sorted(known)) or 'none in common'}"
            )
            raise UserError(f"--metric={metric}: not in {one.path} and {two.path}; {why}")
    if not both:
        names = [sorted({metric for metric, _ in each.values}) for each in samples]
        raise UserError(
            f"{one.path} and {two.path}: no metric in common ({', '.join(names[0])}; and"
            f" {', '.join(names[1])})"
        )
    return [key for key in both if not metrics or key[0] in metrics]


def _row(
    task: str, key: tuple[str, str], samples: "list[TaskSamples]", common: bool
) -> dict[str, Any]:
    from divsyn_jax.statistics import paired_bootstrap

    one, two = (each.values[key] for each in samples)
    shared = sorted(one.keys() & two.keys())
    left_out = len(one) + len(two) - 2 * len(shared)
    if not shared or (left_out and not common):
        raise UserError(
            f"{samples[0].path} and {samples[1].path}: {len(one):,} and {len(two):,} items of"
            f" {task}, {len(shared):,} in both; evaluate both alike"
            + (", or give --common" if shared else "")
        )
    for number in shared:
        if _differ(one[number].identity, two[number].identity):
            raise UserError(
                f"{one[number].where} and {two[number].where}: item {number} is another one;"
                " evaluate both on the same data"
            )
    before = [one[number].value for number in shared]
    after = [two[number].value for number in shared]
    tested = paired_bootstrap(before, after)
    return {
        "task": task,
        "metric": key[0],
        "filter": key[1],
        "items": len(shared),
        "left_out": left_out,
        "first": sum(before) / len(shared),
        "second": sum(after) / len(shared),
        "difference": tested["difference"],
        "ci_low": tested["ci_low"],
        "ci_high": tested["ci_high"],
        "p": tested["p"],
        "remarks": _remarks(one, two, shared),
    }


def _remarks(
    one: "Mapping[int, ScoredItem]", two: "Mapping[int, ScoredItem]", shared: list[int]
) -> list[str]:
    """What else to know of the two."""
    prompts = sum(_differ(one[number].prompt, two[number].prompt) for number in shared)
    if not prompts:
        return []
    return [f"{prompts:,} of {len(shared):,} items had another prompt (template, examples)"]


def _differ(one: str | None, two: str | None) -> bool:
    """Whether two that are known are not the same."""
    return one is not None and two is not None and one != two


def _line(row: Mapping[str, Any], is_corrected: bool) -> str:
    name = row["metric"] if row["filter"] == "none" else f"{row['metric']},{row['filter']}"
    p = row["p_holm"] if is_corrected else row["p"]
    told = "told apart" if p < _LEVEL else "not told apart"
    line = (
        f"{row['task']}: {name}: {row['first']:.4f} in A, {row['second']:.4f} in B, B less A"
        f" {row['difference']:+z.4f} [{row['ci_low']:+z.4f}, {row['ci_high']:+z.4f}],"
        f" {p_equals(p)}"
        f"{' (Holm)' if is_corrected else ''}, {row['items']:,} items: {told}"
    )
    if row["left_out"]:
        line += f"; {row['left_out']:,} items that only one holds are left out"
    return "; ".join([line, *row["remarks"]])


if __name__ == "__main__":
    run()
