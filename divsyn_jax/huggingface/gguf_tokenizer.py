"""The tokenizer of a GGUF file as Hugging Face files.

llama.cpp names what cuts a text before the merges and keeps its pattern in its own code; the
patterns here are those of the models' published tokenizer.json."""

import json
import pathlib
from typing import Any

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import stop_tokens
from divsyn_jax.huggingface.gguf_header import GgufHeader

_CONTROL, _USER_DEFINED = 3, 4
_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2_WORDS = _LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
_BYTES_AS_LETTERS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_DIGITS = {"type": "Digits", "individual_digits": True}


def _split(words: str) -> list[dict[str, Any]]:
    pattern = {"Regex": words}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return [split, {**_BYTES_AS_LETTERS, "use_regex": False}]


# What cuts a text before the merges, by llama.cpp's name for it.
_PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [{**_BYTES_AS_LETTERS, "use_regex": True}],
    "smollm": [_DIGITS, {**_BYTES_AS_LETTERS, "use_regex": True}],
    "llama-bpe": _split(_LLAMA3_WORDS),
    "qwen2": _split(_QWEN2_WORDS),
}


def write_gguf_tokenizer(header: GgufHeader, context: int, folder: pathlib.Path) -> None:
    """Write the tokenizer and the chat template into `folder` as Hugging Face files.

    Raises `UserError` for a tokenizer that cannot be said there."""
    kind = header.value("tokenizer.ggml.model", (str,))
    if kind != "gpt2":
        raise UserError(
            f"{header.path}: tokenizer.ggml.model={kind[:80]!r} cannot be imported; only 'gpt2'"
            " (BPE over bytes)"
        )
    name = header.value("tokenizer.ggml.pre", (str,), "gpt-2")
    if name not in _PRE_TOKENIZERS:
        raise UserError(
            f"{header.path}: tokenizer.ggml.pre={name[:80]!r} cannot be imported; only"
            f" {', '.join(_PRE_TOKENIZERS)}"
        )
    tokens = _strings(header, "tokenizer.ggml.tokens")
    kinds = header.value("tokenizer.ggml.token_type", (np.ndarray,))
    if len(kinds) != len(tokens) or len(set(tokens)) != len(tokens):
        raise UserError(f"{header.path}: its tokens and their types do not go together")
    files.write_text(
        folder / "tokenizer.json",
        json.dumps(_definition(header, name, tokens, kinds), ensure_ascii=False),
    )
    special = {
        f"{token}_token": tokens[number]
        for token, key in (
            ("bos", "bos"),
            ("eos", "eos"),
            ("unk", "unknown"),
            ("pad", "padding"),
        )
        if (number := _token_id(header, f"{key}_token_id", len(tokens))) is not None
    }
    template = header.value("tokenizer.chat_template", (str,), "")
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        **special,
    }
    if template:
        config["chat_template"] = template
    files.write_json(folder / "tokenizer_config.json", config)
    # The ends of a text, of a turn and of a message, as llama.cpp calls them.
    ends = (_token_id(header, f"{key}_token_id", len(tokens)) for key in ("eos", "eot", "eom"))
    stop_tokens.write_stops(folder, [number for number in ends if number is not None])


def _token_id(header: GgufHeader, key: str, tokens: int) -> int | None:
    found = header.values.get(f"tokenizer.ggml.{key}")
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < tokens:
        raise UserError(f"{header.path}: tokenizer.ggml.{key}={str(found)[:40]!r} is no token")
    return found


def _definition(
    header: GgufHeader, name: str, tokens: list[str], kinds: np.ndarray
) -> dict[str, Any]:
    """`tokenizer.json` of the library tokenizers."""
    added = [
        {
            "id": number,
            "content": tokens[number],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": int(kinds[number]) == _CONTROL,
        }
        for number in np.flatnonzero(np.isin(kinds, (_CONTROL, _USER_DEFINED))).tolist()
    ]
    bos = _token_id(header, "bos_token_id", len(tokens))
    puts_bos = header.value("tokenizer.ggml.add_bos_token", (bool,), name == "llama-bpe")
    opening: dict[str, Any] = {**_BYTES_AS_LETTERS, "use_regex": True}
    if puts_bos and bos is not None:
        text = tokens[bos]
        opening = {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": text, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {text: {"id": text, "ids": [bos], "tokens": [text]}},
        }
    merges = [merge.split(" ", 1) for merge in _strings(header, "tokenizer.ggml.merges")]
    if any(len(merge) != 2 for merge in merges):
        raise UserError(f"{header.path}: tokenizer.ggml.merges holds what is no merge")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if name == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": _PRE_TOKENIZERS[name]},
        "post_processor": opening,
        "decoder": {**_BYTES_AS_LETTERS, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": name == "llama-bpe",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": merges,
        },
    }


def _strings(header: GgufHeader, key: str) -> list[str]:
    return [str(entry) for entry in header.value(key, (list,))]
