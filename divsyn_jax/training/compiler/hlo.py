"""Reading compiled XLA programs: how often each collective runs, and how many bytes it moves."""

import collections
import dataclasses
import math
import re

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
# Fmt: skip
_BYTES = {
    "pred": 1,
    "s8": 1,
    "u8": 1,
    "bf16": 2,
    "f16": 2,
    "s16": 2,
    "u16": 2,
    "f32": 4,
    "s32": 4,
    "u32": 4,
    "f64": 8,
    "s64": 8,
    "u64": 8,
}
# On TPUs a collective that runs beside matrix products stands in every fusion that moves a part of
# it; only the first begins it.
_CONTINUES = re.compile(r'async_collective_fusion_config":\{"flag_start":"\d')


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Collectives of one kind in one execution of a program:

    how many run, and bytes of their results on a device.
    """

    count: int
    bytes: int


def collective_traffic(text: str) -> dict[str, Traffic]:
    """Collectives by kind in the text of an optimised HLO module; those in a loop are counted once
    a trip.

    A loop whose trip count cannot be read (see `_trips`) counts as one trip.
    """
    bodies = _computations(text)
    counts: dict[str, int] = collections.Counter()
    sizes: dict[str, int] = collections.Counter()
    for name, trips in _executions(bodies).items():
        for line in bodies[name]:
            found = re.search(r"= (.+?) (" + "|".join(COLLECTIVES) + r")(-start)?\(", line)
            if not found or _CONTINUES.search(line):
                continue
            shape, kind, started = found.groups()
            arrays = _array_bytes(shape)
            # An async start returns (operands, results, ...), of all-reduce the results alone.
            size = max(arrays, default=0) if started and kind != "all-reduce" else sum(arrays)
            counts[kind] += trips
            sizes[kind] += trips * size
    return {kind: Traffic(counts[kind], sizes[kind]) for kind in COLLECTIVES if counts[kind]}


def _computations(text: str) -> dict[str, list[str]]:
    bodies: dict[str, list[str]] = {}
    current = None
    for line in text.splitlines():
        header = re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{", line)
        if header:
            current = "ENTRY" if header[1] else header[2]
            bodies[current] = []
        elif line == "}":  # a kernel's configuration has lines of its own that begin so
            current = None
        elif current is not None:
            bodies[current].append(line)
    return bodies


def _executions(bodies: dict[str, list[str]]) -> dict[str, int]:
    """How often every computation runs in one execution of the entry."""
    runs: dict[str, int] = collections.Counter()

    def visit(name: str, times: int) -> None:
        runs[name] += times
        for line in bodies.get(name, ()):
            loop = re.search(r"\bwhile\(.*condition=%?([\w.\-]+).*body=%?([\w.\-]+)", line)
            if loop:
                visit(
                    loop[2], times * _trips(line, bodies.get(loop[1], []), bodies.get(loop[2], []))
                )
            for called in re.findall(r"(?:calls|to_apply|async_computation)=%?([\w.\-]+)", line):
                if called in bodies:
                    visit(called, times)

    if "ENTRY" in bodies:
        visit("ENTRY", 1)
    return {name: times for name, times in runs.items() if name in bodies}


def _trips(line: str, condition: list[str], body: list[str]) -> int:
    """Trips of a loop:

    stated beside it (CPU, GPU), or from what its counter, from zero on, is compared with (TPU);
    else 1.
    """
    stated = re.search(r'known_trip_count"?:\s*\{"?n"?:\s*"?(\d+)', line)
    if stated:
        return int(stated[1])
    limits = [
        int(n) for text in condition for n in re.findall(r"[su]32\[\]\S* constant\((\d+)\)", text)
    ]
    compares = any("direction=LT" in text for text in condition)
    return -(-limits[0] // _counter_step(condition, body)) if compares and len(limits) == 1 else 1


def _counter_step(condition: list[str], body: list[str]) -> int:
    """What a trip adds to the counter:

    more than 1 where the compiler has unrolled the loop; 1 when it cannot be read.
    """
    counters = [re.search(r"get-tuple-element\(.*index=(\d+)", text) for text in condition]
    roots = [re.search(r"^\s*ROOT .* tuple\((.*?)\)", text) for text in body]
    index, root = next(filter(None, counters), None), next(filter(None, roots), None)
    if not index or not root:
        return 1
    new = re.findall(r"%([\w.\-]+)", root[1])[int(index[1])]
    lines = {
        text.split(" = ")[0].replace("ROOT", "").strip(" %"): text for text in body if " = " in text
    }
    added = re.search(r" add\(%([\w.\-]+), %([\w.\-]+)\)", lines.get(new, ""))
    steps = (
        [re.search(r" constant\((\d+)\)", lines.get(name, "")) for name in added.groups()]
        if added
        else []
    )
    return next((int(step[1]) for step in steps if step and int(step[1]) > 0), 1)


def _array_bytes(shape: str) -> list[int]:
    return [
        _BYTES[kind] * math.prod(int(size) for size in dimensions.split(",") if size)
        for kind, dimensions in re.findall(r"\b(\w+)\[([\d,]*)\]", shape)
        if kind in _BYTES
    ]
