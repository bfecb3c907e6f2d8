"""Corpora that a library knows by name: `tfds:name[/config]:split` (or the folder of a prepared
TFDS dataset in place of its name) and `hf:name[:config]:split`."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import tfds_features
from divsyn_jax.data.readers.records import columns_of

_SAVED = ("state.json", "dataset_dict.json")


def tfds_records(spec: str) -> Iterator[tuple[str, Mapping]]:
    """(`spec:number`, record) of every record of a prepared TFDS dataset.

    Raises `UserError` where there is none, or where its files name classes that are not tfds' own.
    """
    _, name, split = _dataset_spec(spec, "tfds:name[/config]:split")
    try:
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.utils import file_utils
    except ImportError:
        raise UserError(
            f"{spec}: needs tensorflow-datasets: pip install 'divsyn-jax[corpora]'"
        ) from None
    tfds_features.check_prepared(name, [str(path) for path in file_utils.list_data_dirs()])
    try:
        if os.path.isdir(name):
            source = tfds.builder_from_directory(name).as_data_source(split=split)
        else:
            source = tfds.data_source(name, split=split, download=False)
        records = len(source)
    except (
        Exception
    ) as error:  # tfds raises many types for "not prepared", "no such split", "not random access"
        raise UserError(
            f"{spec}: cannot be opened ({_first_line(error)}); prepare it first, as array_record"
        ) from None
    for index in range(records):
        try:
            record = source[index]
        except Exception as error:  # a damaged shard surfaces as many types
            raise UserError(
                f"{spec}:{index + 1}: cannot be read ({_first_line(error)}); prepare it again"
            ) from None
        yield f"{spec}:{index + 1}", record


def hf_records(
    spec: str, choose: Callable[[Sequence[str]], Sequence[str] | None] | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(`spec:number`, record) of every record of a Hugging Face dataset.

    Args: choose: given the names of the columns, where the dataset knows them, the fields to read;
      None for all. Columns of images are decoded only where they are asked for.

    Raises `UserError` where it cannot be read.
    """
    config, name, split = _dataset_spec(spec, "hf:name[:config]:split")
    if any(os.path.exists(os.path.join(name, file)) for file in _SAVED):
        raise UserError(
            f"{spec}: saved by save_to_disk, which is read as a folder: give {name}, or the folder"
            " of a split in it"
        )
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{spec}: needs the datasets package: pip install 'divsyn-jax[corpora]'"
        ) from None
    try:
        stream = datasets.load_dataset(name, config, split=split, streaming=True)
        names = list(stream.features) if stream.features else []
        fields = choose(names) if choose is not None and names else None
        if fields is not None:
            stream = stream.select_columns(columns_of(fields, names))
        for index, record in enumerate(stream):
            yield f"{spec}:{index + 1}", record
    except UserError:
        raise
    except Exception as error:  # hub, network and format errors alike end here, as one line
        raise UserError(
            f"{spec}: cannot be read ({type(error).__name__}: {_first_line(error)})"
        ) from None


def _dataset_spec(spec: str, form: str) -> tuple[str | None, str, str]:
    parts = spec.split(":")[1:]
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise UserError(f"{spec}: use the form {form}")
    return (parts[1] if len(parts) == 3 else None), parts[0], parts[-1]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
