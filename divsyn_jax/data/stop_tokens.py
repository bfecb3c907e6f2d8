"""Which token ids end what a model writes: the tokenizer's EOS, and those that its publishers name.

A model of conversations often ends a turn with another id than a document, and says so in
`generation_config.json` (or, before that file was common, in `config.json`)."""

import pathlib
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained
from divsyn_jax.data.tokenizer import Tokenizer

STOPS_FILE = "generation_config.json"
_KEY = "eos_token_id"


def named_stops(folder: pathlib.Path, tokenizer: Tokenizer) -> list[int]:
    """EOS, then the other ids that end a text by the files in `folder`, in their order.

    Ids that the tokenizer does not know are left out: it cannot write them.

    Raises:
      UserError: naming a file whose `eos_token_id` is no id and no list of ids.
    """
    for name in (STOPS_FILE, "config.json"):
        path = contained(folder, name, str(folder))
        if not path.is_file():
            continue
        content = files.read_json(path)
        found = content.get(_KEY) if isinstance(content, dict) else None
        if found is None:
            continue
        ids: list[Any] = found if isinstance(found, list) else [found]
        if not all(type(number) is int and number >= 0 for number in ids):
            raise UserError(
                f"{path}: {_KEY}={str(found)[:80]} is no token id and no list of ids; correct it"
            )
        known = [number for number in ids if number < tokenizer.vocab_size]
        return list(dict.fromkeys([tokenizer.eos_id, *known]))
    return [tokenizer.eos_id]


def write_stops(folder: pathlib.Path, stops: list[int]) -> None:
    """Write the file that `named_stops` reads."""
    files.write_json(folder / STOPS_FILE, {_KEY: stops})
