"""The run's tokenizer as `transformers` reads it: the same ids for the same text."""

import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained
from divsyn_jax.data import jinja_template, stop_tokens
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.tokenizer import MODEL_FILE, Tokenizer

# The merges of a piece take the square of its length; SentencePiece's own limit is 16 by default.
_LONGEST_PIECE = 1000
_PROBE = (  # what normalising models do not give back
    "two  spaces, a ligature \ufb01, full width \uff21"
)


def export(source: pathlib.Path, tokenizer: Tokenizer, context: int, folder: pathlib.Path) -> None:
    """Write the tokenizer of a run (files in `source`) into `folder`; the chat template goes along
    where there is one.

    Hugging Face tokenizers are copied. A SentencePiece BPE model becomes `tokenizer.json`, and its
    `tokenizer.model` is kept beside it, so that importing the directory gives the very tokenizer
    (and hash) of the run."""
    for file in tokenizers.tokenizer_files(tokenizer.path):
        shutil.copyfile(file, folder / file.name)
    has_template = contained(source, TEMPLATE_FILE, str(source)).is_file()
    if has_template:
        shutil.copyfile(source / TEMPLATE_FILE, folder / TEMPLATE_FILE)
    if (source / MODEL_FILE).is_file():
        definition, bos, eos = _from_sentencepiece(str(source / MODEL_FILE))
        files.write_json(folder / "tokenizer.json", definition)
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": bos,
            "eos_token": eos,
            "model_max_length": context,
            "clean_up_tokenization_spaces": False,
            # Text that happens to hold '</s>' is text. A chat template writes its markers into the
            # text, so there it is one.
            "split_special_tokens": not has_template,
        }
        files.write_json(folder / "tokenizer_config.json", config)


def import_files(source: pathlib.Path, folder: pathlib.Path) -> Tokenizer:
    """Copy the tokenizer of a Hugging Face directory into `folder` (made here) and load it from
    there.

    `tokenizer.model` is the tokenizer where it stands alone, or where `tokenizer.json` says the
    same (our own exports);
    otherwise the Hugging Face files are: they may hold tokens added later, and a file of that name
    may be of tiktoken (Llama-3) or of another kind of SentencePiece model. A chat template that
    stands in `tokenizer_config.json` gets the file of its own that runs keep it in."""
    folder.mkdir(parents=True)
    names = [
        name
        for name in (*tokenizers.FILES, TEMPLATE_FILE)
        if contained(source, name, str(source)).is_file()
    ]
    if MODEL_FILE in names and "tokenizer.json" in names:
        if _says(source / "tokenizer.json", source / MODEL_FILE):
            names = [name for name in names if name in (MODEL_FILE, TEMPLATE_FILE)]
        else:
            names.remove(MODEL_FILE)
    for name in names:
        shutil.copyfile(source / name, folder / name)
    try:
        tokenizer = tokenizers.load_copy(folder)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(source))) from None
    template = jinja_template.load_chat_template(source, tokenizer)
    if template and TEMPLATE_FILE not in names:
        files.write_text(folder / TEMPLATE_FILE, template.template)
    stops = stop_tokens.named_stops(source, tokenizer)
    if len(stops) > 1:
        stop_tokens.write_stops(folder, stops)
    return tokenizer


def _says(definition: pathlib.Path, model: pathlib.Path) -> bool:
    """Whether a tokenizer.json says what a file called tokenizer.model says; false where that is no
    model that can be said so.
    """
    try:
        found, *_ = _from_sentencepiece(str(model))
    except (UserError, RuntimeError, OSError):  # SentencePiece's own for a file that is not its
        return False
    return files.read_json(definition) == found


def _from_sentencepiece(path: str) -> tuple[dict[str, Any], str, str]:
    """`tokenizer.json` of a SentencePiece BPE model, and its BOS and EOS pieces.

    SentencePiece merges by score: every way to split a piece into two pieces is a merge, ranked by
    the score of the whole. Raises `UserError` for a model that is not BPE or rewrites text before
    it encodes it."""
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=path)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: not a SentencePiece model ({str(error).splitlines()[0]})"
        ) from None
    ids = range(processor.vocab_size())
    pieces = [processor.id_to_piece(i) for i in ids]
    if (longest := max(map(len, pieces))) > _LONGEST_PIECE:
        raise UserError(f"{path}: a piece of {longest:,} characters; not a tokenizer of text")
    special = [i for i in ids if processor.is_control(i) or processor.is_unknown(i)]
    own_symbols = _user_defined(path)
    text_ids = {
        pieces[i]: i
        for i in ids
        if i not in special and i not in own_symbols and not processor.is_byte(i)
    }
    if (
        any(processor.get_score(i) % 1 for i in text_ids.values())
        or processor.decode(processor.encode(_PROBE)) != _PROBE
    ):
        raise UserError(
            f"{path}: only BPE models without text normalisation have an equal in tokenizer.json"
        )
    merges = []
    for piece, i in text_ids.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in text_ids and right in text_ids:
                merges.append(
                    (-processor.get_score(i), text_ids[left], text_ids[right], left, right)
                )
    merges.sort()
    bos_id, eos_id = processor.bos_id(), processor.eos_id()
    bos, eos = pieces[bos_id], pieces[eos_id]
    # A dummy prefix is a space before the text; which models add one shows in how they encode a
    # letter.
    prefixed = processor.encode("a", out_type=str)[0].startswith("▁")
    normalizers: list[dict[str, Any]] = [{"type": "Prepend", "prepend": "▁"}] if prefixed else []
    if prefixed and own_symbols:
        normalizers = [_prefix_before_text_alone([pieces[i] for i in own_symbols])]
    normalizers.append({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefixed:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    definition = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        # A user-defined symbol is taken out of a text before pieces are merged, as text.
        "added_tokens": [
            {
                "id": i,
                "content": pieces[i].replace("▁", " ") if i in own_symbols else pieces[i],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                # Taken out after the dummy prefix was put before the whole text, and not each part.
                "normalized": prefixed and i in own_symbols,
                "special": i not in own_symbols,
            }
            for i in (bos_id, eos_id, *own_symbols)
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": None,
        # A model is trained on documents that begin with BOS.
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": bos, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": bos, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
        },
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[processor.unk_id()],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": [[left, right] for *_, left, right in merges],
        },
    }
    return definition, bos, eos


def _user_defined(path: str) -> list[int]:
    """The ids of a model's user-defined symbols."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(pathlib.Path(path).read_bytes())
    kind = sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED
    return [i for i, piece in enumerate(model.pieces) if piece.type == kind]


def _prefix_before_text_alone(symbols: Sequence[str]) -> dict[str, Any]:
    """A normalizer that puts a dummy prefix before a text, but before no user-defined symbol when
    the library normalises that by itself to know what to look for in a text.
    """
    alone = "|".join(re.escape(symbol) for symbol in symbols)
    return {
        "type": "Replace",
        "pattern": {"Regex": rf"\A(?!(?:{alone})\z)(?=.|\n)"},
        "content": "▁",
    }
