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
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.model.parameters import LAYERS, find_parameter


@dataclasses.dataclass(frozen=True)
class Slice:
    """One of their tensors.

    Attributes:
      name, shape: there.
      path: of the parameter here, of which it is the layer `layer` (None: not stacked).
      ours: its shape here.
      inputs: how many of those axes are inputs, see `Parameter`.
    """

    name: str
    shape: tuple[int, ...]
    path: tuple[str, ...]
    layer: int | None
    ours: tuple[int, ...]

    inputs: int

    def to_theirs(self, parameter: np.ndarray) -> np.ndarray:
        """Their tensor, from our whole (stacked) parameter."""
        array = parameter if self.layer is None else parameter[self.layer]
        if self.inputs == 0:
            return array
        return array.reshape(math.prod(array.shape[: self.inputs]), -1).T

    def to_ours(self, tensor: np.ndarray) -> np.ndarray:
        """Our parameter (or its slice of one layer), from their tensor."""
        return tensor if self.inputs == 0 else tensor.T.reshape(self.ours)


def slices(abstract_params: Mapping[str, Any]) -> list[Slice]:
    """Every tensor of the exchanged checkpoint, all layers of a parameter in a row, so that one
    parameter is held at a time.

    Raises `UserError` naming a parameter that the table (divsyn_jax/model/parameters.py) lacks.
    """
    found = []
    for name, leaf in abstract_params.items():
        if name != LAYERS:
            found.append(_slice((name,), None, leaf.shape))
            continue
        for part, stacked in leaf.items():
            layers, *ours = stacked.shape
            found += [_slice((name, part), layer, tuple(ours)) for layer in range(layers)]
    return found


def _slice(path: tuple[str, ...], layer: int | None, ours: tuple[int, ...]) -> Slice:
    parameter = find_parameter(path)
    inputs = parameter.inputs
    theirs = ours if inputs == 0 else (math.prod(ours[inputs:]), math.prod(ours[:inputs]))
    return Slice(parameter.name.format(layer=layer), theirs, path, layer, ours, inputs)


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
        )
        return config, int(theirs["max_position_embeddings"])
    except KeyError as error:
        raise UserError(
            f"{place}: {error.args[0]} is missing; not the config of a Llama checkpoint"
        ) from None
    except (ValueError, ArithmeticError, TypeError) as error:
        raise UserError(f"{place}: {error}") from None
