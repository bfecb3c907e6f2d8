"""Our parameters under the names, shapes and settings of transformers' LlamaForCausalLM, and back.

Shapes: torch keeps a matrix as [out, in], we as [in, out] with heads split. Both rotate the halves
of a head, so rotary embeddings need no permutation."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface import hostile_config
from divsyn_jax.model.decoder import ModelConfig

# Name in our tree -> name in theirs, and how many leading axes of ours are inputs (0: a vector or a
# table, kept as it is).
_LAYER = {
    "attention_norm": ("input_layernorm", 0),
    "query": ("self_attn.q_proj", 1),
    "key": ("self_attn.k_proj", 1),
    "value": ("self_attn.v_proj", 1),
    "attention_out": ("self_attn.o_proj", 2),
    "mlp_norm": ("post_attention_layernorm", 0),
    "gate": ("mlp.gate_proj", 1),
    "up": ("mlp.up_proj", 1),
    "down": ("mlp.down_proj", 1),
}
_OUTER = {
    "embedding": "model.embed_tokens.weight",
    "final_norm": "model.norm.weight",
    "head": "lm_head.weight",
}


@dataclasses.dataclass(frozen=True)
class Slice:
    """One of their tensors:

    `name` and `shape` there; here the parameter at `path`, of layer `layer` (None: not stacked).
    """

    name: str
    shape: tuple[int, ...]
    path: tuple[str, ...]
    layer: int | None
    ours: tuple[int, ...]

    def to_theirs(self, parameter: np.ndarray) -> np.ndarray:
        """Their tensor, from our whole (stacked) parameter."""
        array = parameter if self.layer is None else parameter[self.layer]
        inputs = _input_axes(self.path)
        return array if inputs == 0 else array.reshape(math.prod(array.shape[:inputs]), -1).T

    def to_ours(self, tensor: np.ndarray) -> np.ndarray:
        """Our parameter (or its slice of one layer), from their tensor."""
        return tensor if _input_axes(self.path) == 0 else tensor.T.reshape(self.ours)


def slices(abstract_params: Mapping[str, Any]) -> list[Slice]:
    """Every tensor of the exchanged checkpoint, all layers of a parameter in a row, so that one
    parameter is held at a time.
    """
    found = []
    for name, leaf in abstract_params.items():
        if name != "layers":
            found.append(Slice(_OUTER[name], leaf.shape, (name,), None, leaf.shape))
            continue
        for part, stacked in leaf.items():
            theirs, inputs = _LAYER[part]
            ours = stacked.shape[1:]
            shape = ours if inputs == 0 else (math.prod(ours[inputs:]), math.prod(ours[:inputs]))
            for layer in range(stacked.shape[0]):
                named = f"model.layers.{layer}.{theirs}.weight"
                found.append(Slice(named, shape, (name, part), layer, ours))
    return found


def _input_axes(path: tuple[str, ...]) -> int:
    return _LAYER[path[1]][1] if path[0] == "layers" else 0


def to_config(config: ModelConfig, context: int, bos_id: int, eos_id: int) -> dict[str, Any]:
    """The `config.json` of transformers for this shape; `context` is the longest sequence the model
    was trained on.
    """
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "intermediate_size": config.intermediate,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,  # read by transformers 4; 5 reads the next
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "max_position_embeddings": context,
        "tie_word_embeddings": config.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "bos_token_id": bos_id,
        "eos_token_id": eos_id,
        "use_cache": True,
        "torch_dtype": "float32",  # transformers 4
        "dtype": "float32",
    }


def from_config(theirs: Mapping[str, Any], place: str) -> tuple[ModelConfig, int]:
    """Our shape and the context length of a `config.json`.

    Raises `UserError` naming the key (at `place`) of anything that our decoder does not compute:
    another architecture or activation, scaled or partial rotary embeddings, biases, heads that do
    not make up the hidden width, quantised weights."""

    def refuse(key: str, expected: str) -> None:
        raise UserError(f"{place}: {key}={theirs.get(key)!r} cannot be imported; only {expected}")

    hostile_config.check_kinds(theirs, place)
    if theirs.get("model_type") != "llama":
        refuse("model_type", "'llama'")
    rope = theirs.get("rope_parameters") or {}
    if theirs.get("rope_scaling") and theirs["rope_scaling"].get("rope_type", "?") != "default":
        refuse("rope_scaling", "plain rotary embeddings")
    if rope.get("rope_type", "default") != "default":
        refuse("rope_parameters", "rope_type 'default'")
    for partial in (theirs.get("partial_rotary_factor"), rope.get("partial_rotary_factor")):
        if partial not in (None, 1, 1.0):
            raise UserError(
                f"{place}: partial_rotary_factor={partial} cannot be imported; only whole heads are"
                " rotated"
            )
    if theirs.get("hidden_act", "silu") != "silu":
        refuse("hidden_act", "'silu'")
    for key in ("attention_bias", "mlp_bias", "quantization_config"):
        if theirs.get(key):
            refuse(key, "checkpoints without it")
    try:
        heads, hidden = theirs["num_attention_heads"], theirs["hidden_size"]
        if theirs.get("head_dim") not in (None, hidden // heads):
            refuse("head_dim", f"hidden_size / num_attention_heads = {hidden // heads}")
        config = ModelConfig(
            vocab_size=theirs["vocab_size"],
            hidden=hidden,
            intermediate=theirs["intermediate_size"],
            layers=theirs["num_hidden_layers"],
            heads=heads,
            kv_heads=theirs.get("num_key_value_heads") or heads,
            rope_theta=float(rope.get("rope_theta") or theirs.get("rope_theta") or 10000.0),
            norm_eps=float(theirs["rms_norm_eps"]),
            tied=bool(theirs.get("tie_word_embeddings", False)),
            dtype="float32",
            attention="blocked",
            remat="none",
            scan=True,
        )
        return config, int(theirs["max_position_embeddings"])
    except KeyError as error:
        raise UserError(
            f"{place}: {error.args[0]} is missing; not the config of a Llama checkpoint"
        ) from None
    except (ValueError, ArithmeticError, TypeError) as error:
        raise UserError(f"{place}: {error}") from None
