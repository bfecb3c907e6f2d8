"""Directories of safetensors files, written and read one tensor at a time.

The library's own writer takes all tensors of a file at once; the format is a length, a JSON header
and the raw bytes (https://github.com/huggingface/safetensors#format), so a header can be written
first and the tensors streamed after it."""

import json
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from divsyn_jax.base import files, json_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_FLOATS = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}  # NumPy's names; it has none for BF16
_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
_LONGEST_HEADER = 100_000_000  # the library's own limit


def write_tensors(
    folder: pathlib.Path,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Iterable[tuple[str, np.ndarray]],
    max_file_bytes: int,
) -> None:
    """Write float32 tensors into files of at most `max_file_bytes`, with an index when there are
    several.

    Args: shapes: shape of every tensor, in the order in which `tensors` yields them. tensors: name
      and value; only one is held at a time. A tensor larger than the limit gets a file of its own.
    """
    groups = _grouped(
        {name: 4 * math.prod(shape) for name, shape in shapes.items()}, max_file_bytes
    )
    names = [SINGLE_FILE] if len(groups) == 1 else _numbered(len(groups))
    stream = iter(tensors)
    for file_name, group in zip(names, groups, strict=True):
        with open(folder / file_name, "wb") as file:
            file.write(_header({name: shapes[name] for name in group}))
            for expected in group:
                name, value = next(stream)
                if name != expected or value.shape != shapes[name]:
                    raise ValueError(
                        f"{name} {value.shape} where {expected} {shapes[expected]} is due"
                    )
                np.ascontiguousarray(value, "<f4").tofile(file)
    if len(groups) > 1:
        size = 4 * sum(math.prod(shape) for shape in shapes.values())
        where = {
            name: file_name
            for file_name, group in zip(names, groups, strict=True)
            for name in group
        }
        files.write_json(
            folder / INDEX_FILE, {"metadata": {"total_size": size}, "weight_map": where}
        )


def open_tensors(
    folder: pathlib.Path,
) -> dict[str, tuple[tuple[int, ...], Callable[[], np.ndarray]]]:
    """Shape of every tensor of a directory, and a function that reads it as float32 (from float32,
    16-bit or 64-bit floats).

    Raises `UserError` for a directory without readable safetensors files or with other kinds of
    numbers."""
    if (folder / INDEX_FILE).is_file():
        index = str(contained(folder, INDEX_FILE, INDEX_FILE))
        weight_map = files.read_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise UserError(f"{index}: no 'weight_map' of names; fetch it again")
        # Compared as text: a list or an object among them is no name, and cannot stand in a set.
        names = sorted({str(contained(folder, name, index).name) for name in weight_map.values()})
        if names != [SINGLE_FILE] and (folder / SINGLE_FILE).is_file():
            # transformers reads the single file, other tools the index.
            raise UserError(
                f"{folder}: holds {SINGLE_FILE} beside {INDEX_FILE}, which names other files;"
                " remove the one that is not of this checkpoint"
            )
    elif (folder / SINGLE_FILE).is_file():
        names = [SINGLE_FILE]
    else:
        raise UserError(
            f"{folder}: no {SINGLE_FILE} or {INDEX_FILE} here; only safetensors checkpoints can be"
            " imported"
        )
    found: dict[str, tuple[tuple[int, ...], Callable[[], np.ndarray]]] = {}
    for name in names:
        for tensor, shape, read in _open_file(contained(folder, name, str(folder))):
            if tensor in found:  # some readers go by the index, others by the order of the files
                raise UserError(
                    f"{folder / name}: tensor {tensor!r} stands in another file of {INDEX_FILE},"
                    " too; fetch the files again"
                )
            found[tensor] = (shape, read)
    return found


def _open_file(
    path: pathlib.Path,
) -> Iterator[tuple[str, tuple[int, ...], Callable[[], np.ndarray]]]:
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: Any = (
                json_text.parse_json(file.read(length))
                if 0 < length <= min(size - 8, _LONGEST_HEADER)
                else None
            )
    except FileNotFoundError:
        raise UserError(f"{path}: named in {INDEX_FILE} but missing; fetch it") from None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise UserError(f"{path}: not a whole safetensors file; fetch it again")
    header.pop("__metadata__", None)
    for tensor, entry in header.items():
        if isinstance(entry, dict) and not _is_known(entry.get("dtype")):
            raise UserError(
                f"{path}: tensor {tensor!r} holds {str(entry.get('dtype'))[:40]}; only float"
                " checkpoints can be imported"
            )
    if not header or not _is_laid_out(list(header.values()), size - 8 - length):
        raise UserError(f"{path}: not a whole safetensors file; fetch it again")
    for tensor, entry in header.items():
        yield tensor, tuple(entry["shape"]), _reader(path, entry, 8 + length)


def _is_known(dtype: Any) -> bool:
    return isinstance(dtype, str) and dtype in _BYTES


def _is_laid_out(entries: list[Any], size: int) -> bool:
    """Whether tensors fill `size` bytes one after the other, each as long as its shape says."""
    end = 0
    try:
        for entry in sorted(entries, key=lambda entry: entry["data_offsets"]):
            (start, stop), shape = entry["data_offsets"], entry["shape"]
            if not all(type(n) is int and 0 <= n <= size for n in (start, stop, *shape)):
                return False
            if start != end or stop - start != _BYTES[entry["dtype"]] * math.prod(shape):
                return False
            end = stop
    except (KeyError, TypeError, ValueError):
        return False
    return end == size


def _reader(path: pathlib.Path, entry: Mapping[str, Any], base: int) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        count, offset = math.prod(entry["shape"]), base + entry["data_offsets"][0]
        if entry["dtype"] == "BF16":  # the upper half of a float32
            halves = np.fromfile(path, "<u2", count, offset=offset)
            return (halves.astype("<u4") << 16).view("<f4").reshape(entry["shape"])
        values = np.fromfile(path, _FLOATS[entry["dtype"]], count, offset=offset)
        return values.astype(np.float32, copy=False).reshape(entry["shape"])

    return read


def _grouped(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


def _numbered(count: int) -> list[str]:
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def _header(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    entries: dict[str, Any] = {
        "__metadata__": {"format": "pt"}
    }  # transformers refuses files without it
    offset = 0
    for name, shape in shapes.items():
        end = offset + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
