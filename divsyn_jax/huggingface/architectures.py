"""Shapes of our decoder as the `config.json` of transformers, and back.

Four architectures of transformers are what our decoder computes: Llama (also with the rotary
embeddings of Llama 3), Mistral without a sliding window, Qwen2 (biases) and Qwen3 (norms of queries
and keys). Anything else is refused by name."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface import hostile_config
from divsyn_jax.model.config import ModelConfig, RopeScaling

# model_type there -> name of the class there.
_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
# What transformers means by a key that is missing, where it matters and is not the same for all.
_HEAD_DIM_OF_QWEN3 = 128
_WINDOW_OF_MISTRAL = 4096
_ROPE_THETA = 10000.0
_PLAIN_ROPE = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_ORIGINAL_CONTEXT = "original_max_position_embeddings"
_LLAMA3_ROPE = {
    "factor": "factor",
    "low_freq_factor": "low_frequency_factor",
    "high_freq_factor": "high_frequency_factor",
    _ORIGINAL_CONTEXT: "original_context",
}


def to_config(config: ModelConfig, context: int, bos_id: int, eos_id: int) -> dict[str, Any]:
    """The `config.json` of transformers for this shape; `context` is the longest sequence the model
    was trained on.

    Raises `UserError` for a shape that no architecture there has: biases beside norms of queries
    and keys."""
    if config.qkv_bias and config.qk_norm:
        raise UserError(
            "model.qkv_bias with model.qk_norm: no architecture of transformers has both; there is"
            " nothing to export to"
        )
    kind = "qwen2" if config.qkv_bias else "qwen3" if config.qk_norm else "llama"
    theirs: dict[str, Any] = {
        "architectures": [_ARCHITECTURES[kind]],
        "model_type": kind,
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
    if config.rope_scaling.is_scaled:
        scaling = {key: getattr(config.rope_scaling, ours) for key, ours in _LLAMA3_ROPE.items()}
        theirs["rope_scaling"] = {"rope_type": "llama3", **scaling}  # transformers 4
        theirs["rope_parameters"] = {
            "rope_type": "llama3",
            "rope_theta": config.rope_theta,
            **scaling,
        }
    if kind != "llama":
        theirs.pop("mlp_bias")
        theirs["use_sliding_window"] = False
    if kind == "qwen2":
        theirs.pop("attention_bias")  # its biases are no option there
    return theirs


def from_config(theirs: Mapping[str, Any], place: str) -> tuple[ModelConfig, int]:
    """Our shape and the context length of a `config.json`.

    Raises `UserError` naming the key (at `place`) of anything that our decoder does not compute:
    another architecture or activation, rotary embeddings that are neither plain nor Llama 3's,
    other biases, sliding windows, quantised weights; and of a value that is missing or of a wrong
    type."""
    hostile_config.check_kinds(theirs, place)
    reader = _Reader(theirs, place)
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        reader.refuse("model_type", f"{', '.join(_ARCHITECTURES)} can be")
    if theirs.get("hidden_act", "silu") != "silu":
        reader.refuse("hidden_act", "'silu'")
    for key in ("attention_bias", "mlp_bias", "quantization_config"):
        if theirs.get(key):
            reader.refuse(key, "checkpoints without it")
    if theirs.get("is_causal") not in (None, True):
        reader.refuse("is_causal", "attention to what came before")
    context = reader.integer("max_position_embeddings")
    _check_windows(reader, kind, context)
    theta, scaling = _rope(reader)
    heads, hidden = reader.integer("num_attention_heads"), reader.integer("hidden_size")
    if kind == "qwen3":
        head_dim = reader.integer("head_dim", _HEAD_DIM_OF_QWEN3)
    else:
        head_dim = reader.integer("head_dim", hidden // max(heads, 1))
    tied = theirs.get("tie_word_embeddings")
    if tied not in (None, True, False):
        reader.refuse("tie_word_embeddings", "true or false")
    try:
        config = ModelConfig(
            vocab_size=reader.integer("vocab_size"),
            hidden=hidden,
            intermediate=reader.integer("intermediate_size"),
            layers=reader.integer("num_hidden_layers"),
            heads=heads,
            kv_heads=reader.integer("num_key_value_heads", heads if kind == "llama" else None),
            head_width=0 if head_dim * heads == hidden else head_dim,
            qkv_bias=kind == "qwen2",
            qk_norm=kind == "qwen3",
            rope_theta=theta,
            rope_scaling=scaling,
            norm_eps=reader.number("rms_norm_eps"),
            tied=bool(tied),
            dtype="float32",
            attention="blocked",
        )
    except (ValueError, ArithmeticError, TypeError) as error:
        raise UserError(f"{place}: {error}") from None
    return config, context


class _Reader:
    """Values of a config.json by key, checked for their types."""

    def __init__(self, theirs: Mapping[str, Any], place: str) -> None:
        self.theirs, self.place = theirs, place

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise the `UserError` of a key that our decoder cannot compute."""
        value = repr(self.theirs.get(key))[:80]
        raise UserError(f"{self.place}: {key}={value} cannot be imported; only {expected}")

    def integer(self, key: str, default: int | None = None) -> int:
        """A positive whole number; a key that is missing or null means `default`."""
        value = default if self.theirs.get(key) is None else self.theirs[key]
        if value is None:
            raise UserError(f"{self.place}: {key} is missing; not the config of such a checkpoint")
        if type(value) is not int or value < 1:
            raise UserError(
                f"{self.place}: {key}={repr(value)[:80]} must be a positive whole number"
            )
        return value

    def number(
        self, key: str, default: float | None = None, among: Mapping[str, Any] | None = None
    ) -> float:
        """A positive number, `among` the values of a key or of the whole file."""
        values = self.theirs if among is None else among
        value = default if values.get(key) is None else values[key]
        if value is None:
            raise UserError(f"{self.place}: {key} is missing; not the config of such a checkpoint")
        if type(value) not in (int, float) or not hostile_config.is_in_range(value):
            raise UserError(f"{self.place}: {key}={repr(value)[:80]} must be a positive number")
        return float(value)


def _check_windows(reader: _Reader, kind: str, context: int) -> None:
    """Refuse attention over a window that is shorter than the context."""
    theirs = reader.theirs
    if kind == "mistral":
        window = theirs.get("sliding_window", _WINDOW_OF_MISTRAL)
        if window is not None and (type(window) is not int or window < context):
            raise UserError(
                f"{reader.place}: sliding_window={repr(window)[:80]} (of {context} positions)"
                " cannot be imported; only attention over the whole context"
            )
    if theirs.get("use_sliding_window"):
        reader.refuse("use_sliding_window", "attention over the whole context")
    layers = reader.integer("num_hidden_layers")
    types = theirs.get("layer_types")
    is_full = isinstance(types, list) and all(each == "full_attention" for each in types)
    if types is not None and not (is_full and len(types) == layers):
        reader.refuse("layer_types", "full_attention in every layer")


def _rope(reader: _Reader) -> tuple[float, RopeScaling]:
    """Base and scaling of the rotary embeddings, in any spelling of transformers 4 and 5.

    As there, `rope_scaling` has the last word, then `rope_parameters`, then the key `rope_theta` of
    the file; two that say different things are refused."""
    theirs = reader.theirs
    if theirs.get("partial_rotary_factor") not in (None, 1, 1.0):
        reader.refuse("partial_rotary_factor", "whole heads are rotated")
    said = {key: theirs[key] for key in ("rope_scaling", "rope_parameters") if theirs.get(key)}
    scalings = [_scaling(reader, key, value) for key, value in said.items()]
    theta = _theta([*list(said.values())[:1], theirs], reader)
    if len(set(scalings)) > 1 or any(
        _theta([value], reader, theta) != theta for value in said.values()
    ):
        reader.refuse("rope_scaling", "one that agrees with rope_parameters")
    return theta, scalings[0] if scalings else RopeScaling()


def _theta(
    places: Sequence[Mapping[str, Any]], reader: _Reader, default: float = _ROPE_THETA
) -> float:
    """The `rope_theta` of the first of `places` that has the key, which may not be null."""
    for values in places:
        if "rope_theta" in values:
            return reader.number("rope_theta", among=values)
    return default


def _scaling(reader: _Reader, key: str, value: Any) -> RopeScaling:
    if not isinstance(value, Mapping):
        reader.refuse(key, "an object with rope_type")
    named = [value[name] for name in ("rope_type", "type") if name in value]
    kinds = {name for name in named if isinstance(name, str)}
    if value.get("partial_rotary_factor") not in (None, 1, 1.0):
        raise UserError(
            f"{reader.place}: partial_rotary_factor={repr(value['partial_rotary_factor'])[:80]}"
            " cannot be imported; only whole heads are rotated"
        )
    extra = {name for name in value if name not in _PLAIN_ROPE and value[name] is not None}
    is_text = all(isinstance(name, str) for name in named)
    if is_text and kinds <= {"default"} and not extra:
        return RopeScaling()
    if is_text and kinds == {"llama3"} and extra | {_ORIGINAL_CONTEXT} == set(_LLAMA3_ROPE):
        # The key of the file itself comes first, as in transformers.
        if reader.theirs.get(_ORIGINAL_CONTEXT) is not None:
            value = {**value, _ORIGINAL_CONTEXT: reader.theirs[_ORIGINAL_CONTEXT]}
        numbers = {ours: reader.number(name, among=value) for name, ours in _LLAMA3_ROPE.items()}
        original = numbers.pop("original_context")
        if original % 1:
            reader.refuse(key, f"a whole number as {_ORIGINAL_CONTEXT}")
        try:
            return RopeScaling(**numbers, original_context=int(original))
        except ValueError as error:
            raise UserError(f"{reader.place}: {key}: {error}") from None
    reader.refuse(key, "plain rotary embeddings (rope_type 'default') or Llama 3's ('llama3')")
