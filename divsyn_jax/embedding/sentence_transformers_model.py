"""Any sentence-transformers model (Reimers and Gurevych 2019, arXiv 1908.10084), by folder or hub
name.

No code that a model brings is run, and weights are read from safetensors alone: a pickle could run
code. torch is imported when a text has to be embedded.

Shapes: B documents of a batch, E embedding dimensions.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding.pieces import PieceReader, Pieces
from divsyn_jax.embedding.precision import precision

if TYPE_CHECKING:
    import sentence_transformers
    from tokenizers import Tokenizer

_NEEDS = ("sentence_transformers", "torch", "tokenizers")
_READ = ("*.json", "*.txt", "*.model", "*.safetensors")  # of a hub's folder: no code, no pickles
_IGNORED = ("onnx/*", "openvino/*", "data_config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_OURS = "sentence_transformers."  # modules of the library itself
_BATCH = 32
# Where a model states no limit: BERT's, and for models without attention a bound that no document
# reaches.
_USUAL_LIMIT, _NO_LIMIT = 512, 1_000_000


class SentenceTransformersModel:
    """A model of the library, checked before it is loaded.

    Args:
      name: a folder, or a name on the Hugging Face hub.

    Raises:
      UserError: the library is not installed, the model is not there, or it could not be read
        without running what it brings.
    """

    reads_by_letter = True  # its vocabulary is its own affair

    def __init__(self, name: str) -> None:
        if [each for each in _NEEDS if importlib.util.find_spec(each) is None]:
            raise UserError(
                f"--embedding_model={name} needs sentence-transformers and torch: pip install"
                " 'divsyn-jax[embeddings]'"
            )
        self._asked = name
        self._folder = _folder(name)
        self._modules = self._checked_modules()
        self.precision = precision()
        self.max_pieces = self._limit()
        library = importlib.metadata.version("sentence-transformers")
        self.name = f"{name} (sha256 {self.weights[:12]}; sentence-transformers {library})"

    @functools.cached_property
    def weights(self) -> str:
        """Digest of weights, vocabulary and configuration."""
        digest = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            relative = path.relative_to(self._folder)
            read = any(path.match(pattern) for pattern in _READ)
            if not read or any(relative.match(pattern) for pattern in _IGNORED):
                continue
            digest.update(f"{relative}\n".encode())
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def read(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces that the model reads of every text."""
        return self._reader.read(texts)

    def encode(self, texts: Sequence[Pieces]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed texts batch by batch, in an order of its own.

        Yields:
          [B] positions in `texts`, and their [B, E] float32 vectors.
        """
        import torch

        model = self._model
        order_N = np.argsort([-len(text.ids_L) for text in texts], kind="stable")
        starts = np.random.default_rng(0).permutation(np.arange(0, len(order_N), _BATCH))
        for start in starts:
            positions_B = order_N[start : start + _BATCH]
            with torch.autocast(
                model.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
            ):
                encoded = model.encode(
                    [texts[position].text for position in positions_B],
                    batch_size=_BATCH,
                    convert_to_tensor=True,
                    show_progress_bar=False,
                )
            yield positions_B, encoded.float().cpu().numpy()

    @functools.cached_property
    def _reader(self) -> PieceReader:
        return PieceReader(self._tokenizer(), self.max_pieces)

    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        path = self._first / "tokenizer.json"
        if not path.is_file():
            raise self._refusal("tokenizer.json is missing; save the model with a fast tokenizer")
        return Tokenizer.from_file(str(path))

    @functools.cached_property
    def _model(self) -> "sentence_transformers.SentenceTransformer":
        import sentence_transformers
        import transformers

        transformers.utils.logging.disable_progress_bar()
        try:
            model = sentence_transformers.SentenceTransformer(
                str(self._folder),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise self._refusal(f"cannot be loaded ({_line(error)})") from None
        if self.max_pieces != _NO_LIMIT:
            model.max_seq_length = self.max_pieces
        return model

    @property
    def _first(self) -> pathlib.Path:
        """The folder of the module that reads text."""
        return self._folder / self._modules[0]["path"]

    def _checked_modules(self) -> list[dict[str, Any]]:
        path = self._folder / "modules.json"
        if not path.is_file():
            raise self._refusal("not a sentence-transformers model: modules.json is missing")
        modules = _json(path)
        if not isinstance(modules, list) or not modules:
            raise self._refusal("modules.json names no modules")
        for module in modules:
            kind = module.get("type") if isinstance(module, dict) else None
            if not isinstance(kind, str) or not isinstance(module.get("path"), str):
                raise self._refusal("modules.json is damaged")
            if not kind.startswith(_OURS):
                raise self._refusal(
                    f"its module {kind} is code of its own, which is never run here"
                )
            folder = (self._folder / module["path"]).resolve()
            if not folder.is_relative_to(self._folder.resolve()):
                raise self._refusal(f"its module {module['path']} lies outside the model's folder")
            if not any(folder.glob("*.safetensors")) and any(
                match for pattern in _PICKLES for match in folder.glob(pattern)
            ):
                raise self._refusal(
                    f"{folder}: weights are a pickle, which may run code; save them as safetensors"
                )
        first = self._folder / modules[0]["path"]
        if not any(first.glob("*.safetensors")):
            raise self._refusal(f"{first}: no weights (*.safetensors)")
        return modules

    def _limit(self) -> int:
        """Pieces that the model reads of a text."""
        if not self._modules[0]["type"].endswith(".Transformer"):
            return _NO_LIMIT
        for file, key in (
            ("sentence_bert_config.json", "max_seq_length"),
            ("tokenizer_config.json", "model_max_length"),
        ):
            path = self._first / file
            found = _json(path) if path.is_file() else {}
            limit = found.get(key) if isinstance(found, dict) else None
            if isinstance(limit, int) and 0 < limit < _NO_LIMIT:
                return limit
        return _USUAL_LIMIT

    def _refusal(self, why: str) -> UserError:
        return UserError(f"--embedding_model={self._asked}: {why}")


def _folder(name: str) -> pathlib.Path:
    """The folder of a model, fetched from the hub where `name` is none of this machine."""
    path = pathlib.Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists() or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise UserError(f"--embedding_model={name}: no such folder, and no name of a hub's model")
    import huggingface_hub
    import huggingface_hub.errors

    known = name if "/" in name else f"sentence-transformers/{name}"
    try:
        fetched = huggingface_hub.snapshot_download(
            known, allow_patterns=list(_READ), ignore_patterns=list(_IGNORED)
        )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        raise UserError(
            f"--embedding_model={name}: no such folder, and the hub gives no model {known}"
            f" ({_line(error)})"
        ) from None
    return pathlib.Path(fetched)


def _json(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); fetch the model again") from None


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
