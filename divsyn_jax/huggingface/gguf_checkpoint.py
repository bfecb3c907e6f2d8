"""A GGUF file (llama.cpp's) as a Hugging Face checkpoint: config.json and tensors.

Quantised weights are dequantised to float32 by the `gguf` package, a tensor at a time. llama.cpp
keeps the rows of queries and keys of `llama` interleaved for its rotary embedding; here they are
put back in halves. What a converter leaves out of the file and the model needs (the scaling of
Llama 3's rotary embeddings) is found again from the factors that it stores, or refused."""

import math
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface.gguf_header import GgufHeader, TensorEntry, read_gguf_header

_Tensors = dict[str, tuple[tuple[int, ...], Callable[[], np.ndarray]]]
_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_OF_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.(0|[1-9]\d*)\.(\w+)\.(weight|bias)")
_ROPE_FACTORS = "rope_freqs.weight"
# Keys by which llama.cpp computes something else, and the value at which it does not. A factor
# without a type is linear scaling there.
_NEUTRAL: dict[str, str | float] = {
    "rope.scaling.type": "none",
    "rope.scaling.factor": 1.0,
    "rope.scale_linear": 1.0,
    "rope.scaling.attn_factor": 1.0,
    "expert_count": 0,
    "attention.causal": True,
    "attention.scale": 0.0,
    "attention.clamp_kqv": 0.0,
    "attention.max_alibi_bias": 0.0,
    "logit_scale": 0.0,
    "residual_scale": 0.0,
    "embedding_scale": 0.0,
    "attn_logit_softcapping": 0.0,
    "final_logit_softcapping": 0.0,
}
# All published models with Llama 3's scaling share these; the factor differs (8 or 32).
_LLAMA3 = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


class GgufCheckpoint:
    """An open GGUF file.

    Attributes:
      header: what stands before the weights.
      config: its `config.json`.
      tensors: shape of every tensor under its name in transformers, and a function that reads it
        as float32.
    """

    header: GgufHeader
    config: dict[str, Any]
    tensors: _Tensors

    def __init__(self, path: pathlib.Path) -> None:
        """Raises `UserError` naming what our decoder does not compute."""
        try:
            import gguf
        except ImportError:
            raise UserError(
                f"{path}: reading GGUF needs the gguf package: pip install 'divsyn-jax[gguf]'"
            ) from None
        self._library = gguf
        self._path = path
        self.header = read_gguf_header(path)
        kind = self.header.values.get("general.architecture")
        if not isinstance(kind, str) or kind not in _ARCHITECTURES:
            raise UserError(
                f"{path}: general.architecture={str(kind)[:80]!r} cannot be imported; only"
                f" {', '.join(_ARCHITECTURES)} can be"
            )
        self._kind = kind
        self.config = self._config()
        self.tensors = self._tensors()

    def _of_model(self, key: str, kinds: tuple[type, ...] = (int,), default: Any = None) -> Any:
        return self.header.value(f"{self._kind}.{key}", kinds, default)

    def _config(self) -> dict[str, Any]:
        entries = self.header.tensors
        self._check_plain()
        embedding = entries.get("token_embd.weight")
        if embedding is None:
            raise UserError(
                f"{self._path}: tensor 'token_embd.weight' is missing; not a whole language model"
            )
        hidden, heads = self._of_model("embedding_length"), self._of_model("attention.head_count")
        head_dim = self._of_model("attention.key_length", default=hidden // max(1, heads))
        for key, expected in (
            ("rope.dimension_count", head_dim),
            ("attention.value_length", head_dim),
        ):
            if self._of_model(key, default=expected) != expected:
                raise UserError(
                    f"{self._path}: {self._kind}.{key} differs from the width of a head,"
                    f" {head_dim}; it cannot be imported"
                )
        theta = self._of_model("rope.freq_base", (int, float), 10000.0)
        config = {
            "architectures": [],
            "model_type": self._kind,
            "vocab_size": embedding.shape[0],
            "hidden_size": hidden,
            "intermediate_size": self._of_model("feed_forward_length"),
            "num_hidden_layers": self._of_model("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": self._of_model("attention.head_count_kv", default=heads),
            "head_dim": head_dim,
            "rms_norm_eps": self._shortest(
                self._of_model("attention.layer_norm_rms_epsilon", (float,))
            ),
            "rope_theta": self._shortest(theta),
            "max_position_embeddings": self._of_model("context_length"),
            "tie_word_embeddings": "output.weight" not in entries,
        }
        if _ROPE_FACTORS in entries:
            config["rope_scaling"] = self._llama3_scaling(config["rope_theta"], head_dim)
        return config

    def _check_plain(self) -> None:
        """Refuse what our decoder does not compute, by its key."""
        for key, neutral in _NEUTRAL.items():
            value = self.header.values.get(f"{self._kind}.{key}", neutral)
            if isinstance(value, list | np.ndarray) or value != neutral:
                raise UserError(
                    f"{self._path}: {self._kind}.{key}={str(value)[:80]!r} cannot be imported;"
                    f" only {neutral!r} is computed here"
                )
        window, context = (
            self._of_model(key, default=0) for key in ("attention.sliding_window", "context_length")
        )
        if 0 < window < context:
            raise UserError(
                f"{self._path}: {self._kind}.attention.sliding_window={window} (of"
                f" {context} positions) cannot be imported; only attention over the whole context"
            )

    @staticmethod
    def _shortest(value: float) -> float:
        """The shortest decimal that is this float32: 1e-5 was written, not 9.99999974e-06."""
        return float(str(np.float32(value)))

    def _llama3_scaling(self, theta: float, head_dim: int) -> dict[str, Any]:
        """The scaling whose factors the file stores. Raises `UserError` where it is another."""
        stored = self._read(self.header.tensors[_ROPE_FACTORS])
        factor = float(stored.max(initial=1.0))
        turns = theta ** -(np.arange(0, head_dim, 2) / head_dim)
        wavelength = 2 * math.pi / turns
        old = _LLAMA3["original_max_position_embeddings"]
        low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
        blend = (old / wavelength - low) / (high - low)
        between = 1 / ((1 - blend) / factor + blend)
        expected = np.where(
            wavelength < old / high, 1.0, np.where(wavelength > old / low, factor, between)
        )
        if stored.shape != expected.shape or not np.allclose(stored, expected, rtol=1e-4):
            raise UserError(
                f"{self._path}: its {_ROPE_FACTORS} are not those of Llama 3 (a context of 8,192"
                " made longer); other rotary embeddings cannot be imported"
            )
        return {"rope_type": "llama3", "factor": factor, **_LLAMA3}

    def _tensors(self) -> _Tensors:
        found: _Tensors = {}
        for name, entry in self.header.tensors.items():
            if name == _ROPE_FACTORS:
                continue
            self._check_place(entry)
            found[_their_name(name)] = (entry.shape, self._reader(entry))
        return found

    def _check_place(self, entry: TensorEntry) -> None:
        """Raise `UserError` unless the tensor lies in the file and can be dequantised."""
        try:
            kind = self._library.GGMLQuantizationType(entry.kind)
            block, size = self._library.GGML_QUANT_SIZES[kind]
        except (ValueError, KeyError):
            raise UserError(
                f"{self._path}: tensor {entry.name[:80]!r} is quantised in the unknown way"
                f" {entry.kind}; take a file of another quantisation"
            ) from None
        elements = math.prod(entry.shape)
        if entry.shape[-1] % block:
            raise UserError(
                f"{self._path}: tensor {entry.name[:80]!r} has rows of {entry.shape[-1]}, which"
                f" {kind.name} cannot hold in blocks of {block}; convert the checkpoint again"
            )
        if entry.offset + elements // block * size > self.header.file_bytes:
            raise UserError(
                f"{self._path}: tensor {entry.name[:80]!r} lies outside the file; fetch it again"
            )

    def _read(self, entry: TensorEntry) -> np.ndarray:
        self._check_place(entry)
        kind = self._library.GGMLQuantizationType(entry.kind)
        block, size = self._library.GGML_QUANT_SIZES[kind]
        count = math.prod(entry.shape) // block * size
        raw = np.fromfile(self._path, np.uint8, count, offset=entry.offset)
        rows = raw.reshape(*entry.shape[:-1], entry.shape[-1] // block * size)
        try:
            values = self._library.quants.dequantize(rows, kind)
        except NotImplementedError:
            raise UserError(
                f"{self._path}: tensor {entry.name[:80]!r} is quantised as {kind.name}, which the"
                " gguf package does not undo; take a file of another quantisation"
            ) from None
        return np.asarray(values, np.float32).reshape(entry.shape)

    def _reader(self, entry: TensorEntry) -> Callable[[], np.ndarray]:
        part = _LAYER.fullmatch(entry.name)
        heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
        if self._kind != "llama" or part is None or part[2] not in heads:
            return lambda: self._read(entry)
        count = self.config[heads[part[2]]]

        def halves() -> np.ndarray:
            rows = self._read(entry)
            if count < 1 or rows.shape[0] % (2 * count):
                raise UserError(f"{self._path}: tensor {entry.name!r} has no whole heads")
            pairs = rows.reshape(count, rows.shape[0] // count // 2, 2, *rows.shape[1:])
            return pairs.swapaxes(1, 2).reshape(rows.shape)

        return halves


def _their_name(name: str) -> str:
    """The name in transformers; one that is not known stays, and is refused as it is."""
    if name in _TOP:
        return _TOP[name]
    part = _LAYER.fullmatch(name)
    if part is None or part[2] not in _OF_LAYER:
        return name
    return f"model.layers.{int(part[1])}.{_OF_LAYER[part[2]]}.{part[3]}"
