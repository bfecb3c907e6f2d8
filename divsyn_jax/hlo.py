"""Reading compiled XLA programs: how often each collective runs, and how many bytes it moves."""

import collections
import dataclasses
import math
import re

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Collectives of one kind in one execution of a program: how many run, and bytes of their results on a device."""

    count: int
    bytes: int


def collective_traffic(text: str) -> dict[str, Traffic]:
    """Collectives by kind in the text of an optimised HLO module; those in a loop are counted once a trip.

    A loop whose trip count cannot be read (see `_trips`) counts as one trip.
    """
    bodies = _computations(text)
    counts: dict[str, int] = collections.Counter()
    sizes: dict[str, int] = collections.Counter()
    for name, trips in _executions(bodies).items():
        for line in bodies[name]:
            found = re.search(r"= (.+?) (" + "|".join(COLLECTIVES) + r")(-start)?\(", line)
            if not found:
                continue
            shape, kind, started = found.groups()
            arrays = _array_bytes(shape)
            # An async start returns (operands, results, ...); the results are the last arrays of its first half.
            size = max(arrays, default=0) if started else sum(arrays)
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
        elif line.startswith("}"):
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
                visit(loop[2], times * _trips(line, bodies.get(loop[1], [])))
            for called in re.findall(r"(?:calls|to_apply|async_computation)=%?([\w.\-]+)", line):
                if called in bodies:
                    visit(called, times)

    if "ENTRY" in bodies:
        visit("ENTRY", 1)
    return {name: times for name, times in runs.items() if name in bodies}


def _trips(line: str, condition: list[str]) -> int:
    """Trips of a loop: stated beside it (CPU, GPU), or the constant its counter is compared with (TPU); 1 when unknown."""
    stated = re.search(r'known_trip_count"?:\s*\{"?n"?:\s*"?(\d+)', line)
    if stated:
        return int(stated[1])
    limits = [int(n) for text in condition for n in re.findall(r"[su]32\[\]\S* constant\((\d+)\)", text)]
    compares = any("direction=LT" in text for text in condition)
    return limits[0] if compares and len(limits) == 1 else 1


def _array_bytes(shape: str) -> list[int]:
    return [
        _BYTES[kind] * math.prod(int(size) for size in dimensions.split(",") if size)
        for kind, dimensions in re.findall(r"\b(\w+)\[([\d,]*)\]", shape)
        if kind in _BYTES
    ]
