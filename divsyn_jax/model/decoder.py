"""The Llama-style decoder: rotary embeddings, RMSNorm, SwiGLU, grouped-query heads, tied or untied
output.

Written with Flax NNX and used functionally: `init_params` gives a nested dict of float32 arrays,
`apply` runs the model on such a dict. Layers are stacked along a leading axis and scanned.

Shape legend: B batch, L length, D hidden, F intermediate, H query heads, G key/value heads, K head
dimension, V vocabulary, N layers (leading axis of every parameter under `layers`)."""

import contextlib
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from divsyn_jax.model import sharding
from divsyn_jax.model.attention import Attend, LayerState, Mask, attend_over_window
from divsyn_jax.model.config import PLAIN_ROPE, ModelConfig, RopeScaling

Params = dict[str, Any]

REMAT_POLICIES = {
    "none": None,
    "minimal": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "dots": jax.checkpoint_policies.dots_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


class Block(nnx.Module):
    """One pre-norm decoder block: attention, then the MLP, each added to the residual stream."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        c = config
        D, F, H, G, K = c.hidden, c.intermediate, c.heads, c.kv_heads, c.head_dim
        # Projections that write to the residual stream start smaller with depth (GPT-2), so its
        # variance stays put; or as zeros, so that a fresh block passes its input on.
        if c.initialization == "gpt2":
            inner, outer = _normal(rngs, 0.02), _normal(rngs, 0.02 / (2 * c.layers) ** 0.5)
        else:
            inner, outer = _normal_by_fans(rngs), _zeros
        self.attention_norm = nnx.Param(jnp.ones(D))
        self.query = inner(D, H, K)
        self.key = inner(D, G, K)
        self.value = inner(D, G, K)
        if c.qkv_bias:
            self.query_bias = nnx.Param(jnp.zeros((H, K)))
            self.key_bias = nnx.Param(jnp.zeros((G, K)))
            self.value_bias = nnx.Param(jnp.zeros((G, K)))
        if c.qk_norm:
            self.query_norm = nnx.Param(jnp.ones(K))
            self.key_norm = nnx.Param(jnp.ones(K))
        self.attention_out = outer(H, K, D)
        self.mlp_norm = nnx.Param(jnp.ones(D))
        self.gate = inner(D, F)
        self.up = inner(D, F)
        self.down = outer(F, D)
        self.config = config

    def __call__(
        self,
        x_BLD: jax.Array,
        rope_BLK: tuple[jax.Array, jax.Array],
        attend: Attend,
        state: LayerState,
    ) -> tuple[jax.Array, LayerState]:
        """The block's output [B, L, D], and the state of its attention afterwards."""
        a_BLD, state = self.attention(x_BLD, rope_BLK, attend, state)
        x_BLD = x_BLD + a_BLD
        return x_BLD + self.mlp(x_BLD), state

    def attention(
        self,
        x_BLD: jax.Array,
        rope_BLK: tuple[jax.Array, jax.Array],
        attend: Attend,
        state: LayerState,
    ) -> tuple[jax.Array, LayerState]:
        """Multi-head attention [B, L, D] over what `attend` lets the queries see."""
        c, dtype = self.config, self.config.dtype
        h_BLD = rms_norm(x_BLD, self.attention_norm, c.norm_eps)
        q_BLHK = _product(h_BLD, self.query, dtype)
        k_BLGK = _product(h_BLD, self.key, dtype)
        v_BLGK = _product(h_BLD, self.value, dtype)
        if c.qkv_bias:
            q_BLHK = q_BLHK + self.query_bias[...].astype(dtype)
            k_BLGK = k_BLGK + self.key_bias[...].astype(dtype)
            v_BLGK = v_BLGK + self.value_bias[...].astype(dtype)
        if c.qk_norm:
            q_BLHK = rms_norm(q_BLHK, self.query_norm, c.norm_eps)
            k_BLGK = rms_norm(k_BLGK, self.key_norm, c.norm_eps)
        a_BLHK, state = attend(state, rotate(q_BLHK, rope_BLK), rotate(k_BLGK, rope_BLK), v_BLGK)
        return _product(a_BLHK, self.attention_out, dtype), state

    def mlp(self, x_BLD: jax.Array) -> jax.Array:
        """The gated MLP (SwiGLU, Shazeer 2020) [B, L, D]."""
        c, dtype = self.config, self.config.dtype
        h_BLD = rms_norm(x_BLD, self.mlp_norm, c.norm_eps)
        gate_BLF = _product(h_BLD, self.gate, dtype)
        up_BLF = _product(h_BLD, self.up, dtype)
        return _product(jax.nn.silu(gate_BLF) * up_BLF, self.down, dtype)


class Decoder(nnx.Module):
    """Embedding, N scanned blocks, final norm and output projection."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        c = config
        weight = _normal(rngs, 0.02)
        self.embedding = weight(c.vocab_size, c.hidden)

        @nnx.split_rngs(splits=c.layers)
        @nnx.vmap(in_axes=0, out_axes=0)
        def stacked(rngs: nnx.Rngs) -> Block:
            return Block(c, rngs=rngs)

        self.layers = stacked(rngs)
        self.final_norm = nnx.Param(jnp.ones(c.hidden))
        if not c.tied:
            self.head = weight(c.vocab_size, c.hidden)
        self.config = config

    def hidden_states(
        self,
        tokens_BL: jax.Array,
        positions_BL: jax.Array,
        attend: Attend,
        states: LayerState = None,
    ) -> tuple[jax.Array, LayerState]:
        """The one forward pass, of training, decoding and scoring.

        Args:
          attend: the attention of a layer, e.g. `attend_over_window`. It is given the layer's own
            part of `states`, and gives it back changed.
          states: what `attend` keeps between calls, stacked along a leading axis of N layers, such
            as a cache of keys and values; None where it keeps nothing.

        Returns:
          Final normalised hidden states [B, L, D], in the compute dtype; and the states afterwards.
        """
        c = self.config
        # With a cache, new tokens are few: the compiler is left to move their activations between
        # devices rather than the weights.
        constrain = sharding.constrain if states is None else _unconstrained
        # Cast after the lookup: its gradient, a sum over all places of a token, is then taken in
        # float32.
        table_VD = constrain(self.embedding[...], "vocab", None)
        x_BLD = constrain(table_VD[tokens_BL].astype(c.dtype), "batch", None, None)
        rope_BLK = rope_tables(positions_BL, c.head_dim, c.rope_theta, c.rope_scaling)

        def layer_step(
            x_BLD: jax.Array, block_and_state: tuple[Block, LayerState]
        ) -> tuple[jax.Array, LayerState]:
            block, state = block_and_state
            x_BLD, state = block(x_BLD, rope_BLK, attend, state)
            return constrain(x_BLD, "batch", None, None), state

        if c.remat != "none":
            # Outside a loop XLA would merge what is computed again with what was computed before.
            layer_step = jax.checkpoint(
                layer_step, policy=REMAT_POLICIES[c.remat], prevent_cse=not c.scan
            )
        unroll = 1 if c.scan else c.layers
        x_BLD, states = jax.lax.scan(layer_step, x_BLD, (self.layers, states), unroll=unroll)
        return rms_norm(x_BLD, self.final_norm, c.norm_eps), states

    def head_VD(self) -> jax.Array:
        """Output projection [V, D] in float32: the embedding itself when tied."""
        return self.embedding[...] if self.config.tied else self.head[...]


def init_params(config: ModelConfig, seed: int) -> Params:
    """Fresh float32 parameters:

    `initialization` says what matrices are drawn from; norms are one, biases zero. 'gpt2' is that
    of Radford et al. 2019. 'fan_in' is that of nanochat (karpathy/nanochat, gpt.py) for the
    matrices of layers: the spectral condition of Yang et al. 2023 (arXiv 2310.17813), which keeps
    activations of one size at every width.
    """
    return nnx.to_pure_dict(nnx.split(Decoder(config, rngs=nnx.Rngs(seed)))[1])


def bind(config: ModelConfig, params: Params) -> Decoder:
    """The model holding `params`. Cheap: call it inside a jitted function."""
    return nnx.merge(_graph(config), params)


def logits(
    config: ModelConfig,
    params: Params,
    tokens_BL: jax.Array,
    mask: Mask = Mask(),
    positions_BL: jax.Array | None = None,
) -> jax.Array:
    """Float32 logits [B, L, V].

    For inspection and scoring; training never forms this array (see divsyn_jax/model/loss.py).
    """
    model = bind(config, params)
    positions_BL = default_positions(tokens_BL) if positions_BL is None else positions_BL
    attend = attend_over_window(mask, config.attention)
    x_BLD, _ = model.hidden_states(tokens_BL, positions_BL, attend)
    return output_logits(model, x_BLD)


def output_logits(model: Decoder, x_BLD: jax.Array) -> jax.Array:
    """Float32 logits [B, L, V] of final hidden states."""
    head_VD = model.head_VD().astype(model.config.dtype)
    return jnp.einsum("BLD,VD->BLV", x_BLD, head_VD, preferred_element_type=jnp.float32)


def exact_products(dtype: str) -> contextlib.AbstractContextManager:
    """Context in which products of float32 numbers are float32; JAX's default is TF32 on GPUs and
    bfloat16 on TPUs.

    For a model that computes in another `dtype` nothing changes: kernels for TPUs refuse such a
    demand."""
    return (
        jax.default_matmul_precision("highest") if dtype == "float32" else contextlib.nullcontext()
    )


def default_positions(tokens_BL: jax.Array) -> jax.Array:
    """Positions 0..L-1 in every row."""
    return jnp.broadcast_to(jnp.arange(tokens_BL.shape[1]), tokens_BL.shape)


def count_params(config: ModelConfig) -> int:
    """Number of trained parameters, embedding and output projection included."""
    return sum(
        leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: init_params(config, 0)))
    )


def rms_norm(x_BLD: jax.Array, scale_D: nnx.Param, eps: float) -> jax.Array:
    """Root-mean-square norm over the last axis, computed in float32, returned in the dtype of
    `x_BLD`.
    """
    x = x_BLD.astype(jnp.float32)
    x = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps)
    return (x * scale_D[...]).astype(x_BLD.dtype)


def rope_tables(
    positions_BL: jax.Array,
    head_dim: int,
    theta: float,
    scaling: RopeScaling = PLAIN_ROPE,
) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine tables [B, L, K] of rotary embeddings (Su et al. 2021) in float32, the sine
    of a first half negated.
    """
    frequency = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    if scaling.is_scaled:
        turns = scaling.original_context * frequency / (2 * math.pi)  # over the original context
        low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
        kept = jnp.clip((turns - low) / (high - low), 0.0, 1.0)
        frequency = kept * frequency + (1 - kept) * frequency / scaling.factor
    angle = positions_BL[..., None].astype(jnp.float32) * frequency
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.concatenate([cos, cos], axis=-1), jnp.concatenate([-sin, sin], axis=-1)


def rotate(x_BLHK: jax.Array, tables: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotate pairs (k, k + K/2) of every head by their position's angle:

    the half-split layout of Llama checkpoints.
    """
    cos_BL1K, sin_BL1K = (table[:, :, None] for table in tables)
    x = x_BLHK.astype(jnp.float32)
    return (x * cos_BL1K + jnp.roll(x, x.shape[-1] // 2, axis=-1) * sin_BL1K).astype(x_BLHK.dtype)


def _unconstrained(x: jax.Array, *axes: str | None) -> jax.Array:
    return x


def _normal(rngs: nnx.Rngs, std: float):
    return lambda *shape: nnx.Param(std * jax.random.normal(rngs.params(), shape, jnp.float32))


def _product(x_BLI: jax.Array, weight: nnx.Param, dtype: str) -> jax.Array:
    """`x` [B, L, *inputs] times `weight` [*inputs, *outputs], as [B, L, *outputs], in the compute
    dtype.

    Master weights are cast here, where they are used. Taken as a product of two matrices: for sums
    over several axes, as in the gradient of a weight, XLA on CPUs transposes whole activations
    first."""
    B, L, *inputs = x_BLI.shape
    rows, columns = math.prod(inputs), weight.shape[len(inputs) :]
    y = x_BLI.astype(dtype).reshape(B * L, rows) @ weight[...].astype(dtype).reshape(
        rows, math.prod(columns)
    )
    return y.reshape(B, L, *columns)


def _normal_by_fans(rngs: nnx.Rngs):
    """Matrices [inputs, *outputs] whose products have the size of their input."""

    def draw(*shape: int) -> nnx.Param:
        fan_in, fan_out = shape[0], math.prod(shape[1:])
        return _normal(rngs, (min(1.0, fan_out / fan_in) / fan_in) ** 0.5)(*shape)

    return draw


def _zeros(*shape: int) -> nnx.Param:
    return nnx.Param(jnp.zeros(shape))


@functools.lru_cache
def _graph(config: ModelConfig) -> nnx.GraphDef:
    return nnx.split(nnx.eval_shape(lambda: Decoder(config, rngs=nnx.Rngs(0))))[0]
