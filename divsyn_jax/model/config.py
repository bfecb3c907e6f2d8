"""The settings of a model and of the mesh it lies on, readable without JAX.

A default here is what a run did that was written before the key existed; the numbers of the paper
are in configs/base.py."""

import dataclasses

# What the backward pass may recompute; divsyn_jax/model/decoder.py has the policy of each.
REMATS = ("none", "minimal", "dots", "full")
# What fresh weights are drawn from; divsyn_jax/model/decoder.py has the sources.
INITIALIZATIONS = ("gpt2", "fan_in")


@dataclasses.dataclass(frozen=True)
class RopeScaling:
    """Rotary frequencies of a model whose context was made longer, as those of Llama 3.1
    (Grattafiori et al. 2024): slow ones are divided by `factor`, fast ones stay, those between are
    blended.

    Attributes: factor: 1 leaves every frequency as it is. low_frequency_factor,
      high_frequency_factor: a frequency is slow where it turns less often than the first over the
      original context, and fast where more often than the second. original_context: positions that
      the model was trained on before.
    """

    factor: float = 1.0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    original_context: int = 8192

    def __post_init__(self) -> None:
        if self.factor <= 0 or self.original_context < 1:
            raise ValueError(f"{self}: factor and original_context must be positive")
        if not 0 < self.low_frequency_factor < self.high_frequency_factor:
            raise ValueError(
                f"{self}: low_frequency_factor must be above 0 and below high_frequency_factor"
            )

    @property
    def is_scaled(self) -> bool:
        """Whether any frequency differs from plain rotary embeddings."""
        return self.factor != 1.0


PLAIN_ROPE = RopeScaling()


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Shape and numerics of the decoder.

    Attributes: vocab_size: V; at least the tokenizer's, usually padded to a round number. hidden,
      intermediate, layers, heads, kv_heads: D, F, N, H, G. D must be a multiple of H, H of G.
      head_width: K; 0: D / H. qkv_bias: queries, keys and values have biases (Qwen2). qk_norm:
      queries and keys of every head are normalised (RMSNorm) before they are rotated (Qwen3).
      rope_theta: base of the rotary frequencies. rope_scaling: what was done to them since.
      norm_eps: epsilon of RMSNorm. tied: the output projection is the transposed embedding. dtype:
      compute dtype of matrix products ('float32' or 'bfloat16'); parameters, norms, softmax and
      loss are float32. attention: backend, see
      divsyn_jax/model/attention.py; 'auto' in a recipe, resolved before the model is built. remat:
      what the backward pass recomputes in a layer: 'none', 'minimal' (keeps matrix products of
      weights), 'dots' (keeps all matrix products), 'full' (keeps nothing). scan: compile one layer
      and loop over it, so that compile time does not grow with depth; else unroll the layers.
      initialization: what fresh matrices of a layer are drawn from: 'gpt2': normal(0, 0.02), those
      that write to the residual stream scaled down by sqrt(2N); 'fan_in': normal with a standard
      deviation of sqrt(min(1, outputs / inputs) / inputs), those that write to the residual stream
      zero. Embedding and output projection are normal(0, 0.02) in both.
    """

    vocab_size: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    tied: bool = False
    dtype: str = "bfloat16"
    attention: str = "auto"
    remat: str = "none"
    scan: bool = True
    head_width: int = 0
    qkv_bias: bool = False
    qk_norm: bool = False
    rope_scaling: RopeScaling = PLAIN_ROPE
    initialization: str = "gpt2"

    def __post_init__(self) -> None:
        if self.head_width % 2:
            raise ValueError(f"model.head_width={self.head_width} is odd; rotary embeddings pair")
        if not self.head_width and (self.hidden % self.heads or (self.hidden // self.heads) % 2):
            raise ValueError(
                f"model.hidden={self.hidden} does not split into model.heads={self.heads} heads of"
                " even width"
            )
        if self.heads % self.kv_heads:
            raise ValueError(
                f"model.heads={self.heads} is not a multiple of model.kv_heads={self.kv_heads}"
            )
        if self.remat not in REMATS:
            raise ValueError(
                f"model.remat={self.remat!r} is unknown; use one of {', '.join(REMATS)}"
            )
        if self.initialization not in INITIALIZATIONS:
            raise ValueError(
                f"model.initialization={self.initialization!r} is unknown; use one of"
                f" {', '.join(INITIALIZATIONS)}"
            )

    @property
    def head_dim(self) -> int:
        """K, the width of a head."""
        return self.head_width or self.hidden // self.heads


# Settings of how the model is computed and where it began, and not of which function it is.
NUMERICS = ("dtype", "attention", "remat", "scan", "initialization")


def model_differences(one: ModelConfig, other: ModelConfig) -> dict[str, tuple[object, object]]:
    """The settings of `model.*` that make two models different functions, by name, with the value
    of each: shapes, and what no shape shows (rotary base and scaling, epsilon, tied).
    """
    settings = [_function_of(model) for model in (one, other)]
    return {
        name: (settings[0][name], settings[1][name])
        for name in settings[0]
        if settings[0][name] != settings[1][name]
    }


def _function_of(model: ModelConfig) -> dict[str, object]:
    values = dataclasses.asdict(model)
    scaling = values.pop("rope_scaling") if model.rope_scaling.is_scaled else {}
    for field in dataclasses.fields(RopeScaling):
        values[f"rope_scaling.{field.name}"] = scaling.get(field.name, field.default)
    values.pop("rope_scaling", None)
    values["head_width"] = model.head_dim
    return {name: value for name, value in values.items() if name not in NUMERICS}


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; one may be -1 and takes the devices that are left.

    Attributes:
      replica: copies of the model (across slices or hosts; gradients are summed over it).
      fsdp: parameters, optimizer state and batch are split over it.
      tensor: heads, MLP width and vocabulary are split over it.
    """

    replica: int = 1
    fsdp: int = -1
    tensor: int = 1
