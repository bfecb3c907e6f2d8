"""Tokenizers:

SentencePiece models trained by `train_tokenizer`, or a Hugging Face tokenizer folder (`hf:DIR`).
"""

import contextlib
import dataclasses
import functools
import hashlib
import pathlib
import re
import shutil
from collections.abc import Iterator, Sequence

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained

MODEL_FILE = "tokenizer.model"
_HF_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
FILES = (MODEL_FILE, *_HF_FILES)


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer.

    Attributes: path: the SentencePiece model file, or the Hugging Face folder. sha256: hash of the
      files that determine the encoding; shards, runs and evaluations must agree on it. vocab_size:
      every id that the tokenizer can emit is below it. bos_id, eos_id: ids that open and close a
      document (equal in tokenizers that have a single separator).
    """

    path: str
    sha256: str
    vocab_size: int
    bos_id: int
    eos_id: int

    @property
    def puts_bos(self) -> bool:
        """Whether the tokenizer itself opens a text with BOS; one of SentencePiece is for models
        that learned every document with BOS in front.
        """
        return _backend(self.path).puts_bos

    @property
    def opening_ids(self) -> list[int]:
        """What the tokenizer puts in front of a text: BOS, or nothing."""
        return [self.bos_id] if self.puts_bos else []

    @property
    def context_ids(self) -> list[int]:
        """What a text's first token is predicted from: BOS where the tokenizer puts it, else EOS,
        which stands before every document but the first of a stream.
        """
        return [self.bos_id if self.puts_bos else self.eos_id]

    @property
    def special_texts(self) -> list[str]:
        """The texts of all control ids, such as `</s>`; the longest first."""
        return _backend(self.path).special_texts

    @property
    def named_texts(self) -> dict[str, str]:
        """The texts of the control ids that the tokenizer gives a part to play, as templates name
        them: `bos_token`, `eos_token`; of Hugging Face also `pad_token`, `unk_token`, others. One
        that has no BOS names none.
        """
        return _backend(self.path).named_texts

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without BOS or EOS.

        Text that spells a control id, such as `</s>`, is text.
        """
        return _backend(self.path).encode(texts)

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text of a chat template, with control ids where their texts
        (`special_texts`) stand.
        """
        return _backend(self.path).encode_rendered(texts)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; control ids (BOS, EOS) vanish."""
        return _backend(self.path).decode(ids)

    def decode_continuation(self, context: Sequence[int], ids: Sequence[int]) -> str:
        """The text that `ids` add to that of the ids before them.

        Unlike `decode(ids)` it holds the first space, which tokenizers that put one before every
        text (SentencePiece's dummy prefix) take away from the beginning of what they decode."""
        before, whole = self.decode(context), self.decode([*context, *ids])
        # A character that is not whole at the end of the context reads differently once it is.
        pairs = enumerate(zip(before, whole, strict=False))
        return whole[next((n for n, (a, b) in pairs if a != b), len(before)) :]

    def piece(self, token_id: int) -> str:
        """The text that stands for a token id, e.g. `</s>` for EOS."""
        return _backend(self.path).piece(token_id)

    def copy_to(self, folder: pathlib.Path) -> None:
        """Copy the tokenizer's files into `folder`, from where `load` reads it again."""
        for file in tokenizer_files(self.path):
            shutil.copyfile(file, folder / file.name)


def load_tokenizer(spec: str) -> Tokenizer:
    """Load a `tokenizer.model` file, a folder holding one, or `hf:DIR`.

    Raises `UserError` when there is none.
    """
    path = spec.removeprefix("hf:")
    if pathlib.Path(path, MODEL_FILE).is_file() and not spec.startswith("hf:"):
        path = str(contained(pathlib.Path(path), MODEL_FILE, path))
    sha256 = _digest(tokenizer_files(path))
    backend = _backend(path)
    return Tokenizer(path, sha256, backend.vocab_size, backend.bos_id, backend.eos_id)


def load_copy(folder: pathlib.Path) -> Tokenizer:
    """Load the tokenizer whose files `Tokenizer.copy_to` put into `folder`."""
    return load_tokenizer(str(folder) if (folder / MODEL_FILE).exists() else f"hf:{folder}")


def digest_of_copy(folder: pathlib.Path) -> str:
    """The `Tokenizer.sha256` of what `load_copy` would load, without loading it."""
    return _digest(
        tokenizer_files(str(folder / MODEL_FILE if (folder / MODEL_FILE).exists() else folder))
    )


def _digest(files: Sequence[pathlib.Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def tokenizer_files(path: str) -> list[pathlib.Path]:
    """The files that make up the tokenizer at `path`."""
    if pathlib.Path(path).is_file():
        return [pathlib.Path(path)]
    folder = pathlib.Path(path)
    files = [contained(folder, name, path) for name in _HF_FILES]
    files = [file for file in files if file.is_file()]
    if not files:
        raise UserError(
            f"{path}: no tokenizer here ({MODEL_FILE} or tokenizer.json); make one with"
            " train_tokenizer"
        )
    return files


@functools.lru_cache(
    maxsize=4
)  # loading takes longer than encoding a document, and a processor does not pickle
def _backend(path: str) -> "_SentencePiece | _HuggingFace":
    return _SentencePiece(path) if pathlib.Path(path).is_file() else _HuggingFace(path)


class _SentencePiece:
    puts_bos = True

    def __init__(self, path: str) -> None:
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=path)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{path}: not a SentencePiece model ({str(error).splitlines()[0]})"
            ) from None
        self.vocab_size = self._processor.vocab_size()
        self.bos_id, self.eos_id = self._processor.bos_id(), self._processor.eos_id()
        if min(self.bos_id, self.eos_id) < 0:
            raise UserError(
                f"{path}: the model has no BOS or EOS id; train one with train_tokenizer"
            )

        control = [i for i in range(self.vocab_size) if self._processor.is_control(i)]
        self._special = {self._processor.id_to_piece(i): i for i in control}
        self.special_texts = sorted(self._special, key=len, reverse=True)
        ids = {"bos_token": self.bos_id, "eos_token": self.eos_id}
        self.named_texts = {name: self._processor.id_to_piece(i) for name, i in ids.items()}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._processor.encode(list(texts), num_threads=1)

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]:
        pattern = "|".join(map(re.escape, self.special_texts))
        # Every second piece is the text of a control id.
        split = [re.split(f"({pattern})", text) for text in texts]
        plain = iter(self.encode([piece for pieces in split for piece in pieces[::2]]))
        return [
            [
                token
                for n, piece in enumerate(pieces)
                for token in ([self._special[piece]] if n % 2 else next(plain))
            ]
            for pieces in split
        ]

    def decode(self, ids):
        return self._processor.decode([int(i) for i in ids])

    def piece(self, token_id):
        return self._processor.id_to_piece(token_id)


@contextlib.contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Failures of the library as `what` and their first line. Damaged files surface as many types:
    JSONDecodeError, KeyError, plain `Exception` and a panic, which is none, of its Rust half.
    """
    try:
        yield
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"
        if not isinstance(error, Exception) and not is_panic:
            raise
        why = (str(error).splitlines() or [""])[0]
        raise UserError(f"{what} ({type(error).__name__}: {why})") from None


class _HuggingFace:
    def __init__(self, path: str) -> None:
        try:
            import transformers
        except ImportError:
            raise UserError(f"hf:{path}: needs transformers: pip install transformers") from None
        with _one_line(f"hf:{path}: not a Hugging Face tokenizer"):
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
            begun = self._tokenizer("a")["input_ids"][:1]
        # Not their count: ids may have gaps, and the largest needs its row of the embedding, too.
        self.vocab_size = 1 + max(self._tokenizer.get_vocab().values(), default=-1)
        self.eos_id = self._tokenizer.eos_token_id
        if self.eos_id is None:
            raise UserError(f"hf:{path}: the tokenizer has no EOS token, which separates documents")
        bos = self._tokenizer.bos_token_id
        self.bos_id = self.eos_id if bos is None else bos

        self.puts_bos = bos is not None and begun == [bos]
        # tokenizer.json may hold control tokens that the configuration gives no part to play.
        added = self._tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special}
        special.update(self._tokenizer.all_special_tokens)
        self.special_texts = sorted(special, key=lambda text: (-len(text), text))
        named = self._tokenizer.special_tokens_map.items()
        self.named_texts = {name: text for name, text in named if isinstance(text, str)}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._encode(texts, are_markers_text=True)

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]:
        return self._encode(texts, are_markers_text=False)

    def _encode(self, texts: Sequence[str], are_markers_text: bool) -> list[list[int]]:
        if not texts:  # the library takes no empty list
            return []
        with _one_line(f"hf:{self._tokenizer.name_or_path}: cannot cut this text up"):
            return self._tokenizer(
                list(texts), add_special_tokens=False, split_special_tokens=are_markers_text
            )["input_ids"]

    def decode(self, ids):
        with _one_line(f"hf:{self._tokenizer.name_or_path}: cannot make text of these ids"):
            return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    def piece(self, token_id):
        return self._tokenizer.convert_ids_to_tokens(token_id)
