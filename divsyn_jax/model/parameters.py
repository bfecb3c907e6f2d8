"""The table of the model's parameters: what the rest of the system has to know about each.

A parameter stands here once, under its path in the tree. Sharding reads its logical axes, the
optimizer whether it is decayed, the exchange with Hugging Face its name there. One that is missing
here is refused by each of them, never laid out, decayed or left out by default."""

import dataclasses
from collections.abc import Sequence

from divsyn_jax.base.commandline import UserError

LAYERS = "layers"  # the parameters under this key are stacked: a leading axis counts the layers


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of the decoder, or one of every layer.

    Attributes:
      axes: its logical axes, see `sharding.RULES`; without the axis of layers that a stacked one
        has in front.
      name: its name in a Llama checkpoint of transformers, with {layer} for the layer's number.
      decayed: whether weight decay acts on it.
      inputs: how many leading axes the product sums over; 0 for a vector or a table, which
        transformers keeps as it is. A matrix is [*inputs, *outputs] here and [outputs, inputs]
        there.
      is_bias: whether it is the bias of a matrix: a vector there, with the matrix's outputs here.
    """

    axes: tuple[str, ...]
    name: str
    decayed: bool = True
    inputs: int = 0
    is_bias: bool = False


_LAYER = "model.layers.{layer}"
PARAMETERS = {
    "embedding": Parameter(("vocab", "embed"), "model.embed_tokens.weight"),
    "layers/attention_norm": Parameter(
        ("norm",), f"{_LAYER}.input_layernorm.weight", decayed=False
    ),
    "layers/query": Parameter(
        ("embed", "heads", "head_dim"), f"{_LAYER}.self_attn.q_proj.weight", inputs=1
    ),
    "layers/key": Parameter(
        ("embed", "kv_heads", "head_dim"), f"{_LAYER}.self_attn.k_proj.weight", inputs=1
    ),
    "layers/value": Parameter(
        ("embed", "kv_heads", "head_dim"), f"{_LAYER}.self_attn.v_proj.weight", inputs=1
    ),
    "layers/query_bias": Parameter(
        ("heads", "head_dim"), f"{_LAYER}.self_attn.q_proj.bias", decayed=False, is_bias=True
    ),
    "layers/key_bias": Parameter(
        ("kv_heads", "head_dim"), f"{_LAYER}.self_attn.k_proj.bias", decayed=False, is_bias=True
    ),
    "layers/value_bias": Parameter(
        ("kv_heads", "head_dim"), f"{_LAYER}.self_attn.v_proj.bias", decayed=False, is_bias=True
    ),
    "layers/query_norm": Parameter(("norm",), f"{_LAYER}.self_attn.q_norm.weight", decayed=False),
    "layers/key_norm": Parameter(("norm",), f"{_LAYER}.self_attn.k_norm.weight", decayed=False),
    "layers/attention_out": Parameter(
        ("heads", "head_dim", "embed"), f"{_LAYER}.self_attn.o_proj.weight", inputs=2
    ),
    "layers/mlp_norm": Parameter(
        ("norm",), f"{_LAYER}.post_attention_layernorm.weight", decayed=False
    ),
    "layers/gate": Parameter(("embed", "mlp"), f"{_LAYER}.mlp.gate_proj.weight", inputs=1),
    "layers/up": Parameter(("embed", "mlp"), f"{_LAYER}.mlp.up_proj.weight", inputs=1),
    "layers/down": Parameter(("mlp", "embed"), f"{_LAYER}.mlp.down_proj.weight", inputs=1),
    "final_norm": Parameter(("norm",), "model.norm.weight", decayed=False),
    "head": Parameter(("vocab", "embed"), "lm_head.weight"),
}


def find_parameter(path: Sequence[str]) -> Parameter:
    """The row of the parameter whose keys in the tree are `path`, e.g. ("layers", "query").

    Raises `UserError` naming a parameter that the table lacks.
    """
    name = "/".join(path)
    if name not in PARAMETERS:
        raise UserError(
            f"parameter {name!r} is not in the table of divsyn_jax/model/parameters.py; add its"
            " axes, whether it is decayed, and its name in a Hugging Face checkpoint"
        )
    return PARAMETERS[name]
