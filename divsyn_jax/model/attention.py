"""Causal self-attention behind one function, with a small mask specification and named backends.

Shape legend: B batch, L query length, M key length, H query heads, G key/value heads (H a multiple
of G), R = H/G, K head dimension, T rows of a block of queries."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from jax.sharding import PartitionSpec

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model.sharding import RULES

# reference: the whole score matrix; for tests.    blocked: query blocks against the keys they may
# see; any platform. cudnn: flash attention of cuDNN, NVIDIA GPUs.    splash: the Pallas kernel for
# TPUs.
BACKENDS = ("reference", "blocked", "cudnn", "splash")
_FASTEST = {"cpu": "blocked", "gpu": "cudnn", "cuda": "cudnn", "tpu": "splash"}
_QUERY_BLOCK = 256
_SPLASH_BLOCK, _SPLASH_LANES = 512, 128


# What the attention of one layer keeps between calls, such as a cache; None where it keeps nothing.
LayerState = Any
# The attention of a layer: (its state, rotated queries [B, L, H, K] and keys [B, L, G, K], values
# [B, L, G, K]) -> (what the heads attended to [B, L, H, K], its state afterwards).
Attend = Callable[[LayerState, jax.Array, jax.Array, jax.Array], tuple[jax.Array, LayerState]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mask:
    """Who may attend to whom. Attention is always causal by position in the window.

    Attributes: segments_BL: document number of each token in a packed window (attention stays
      within a document), or None when the window is one stream.
    """

    segments_BL: jax.Array | None = None


def resolve_backend(name: str, platform: str, dtype: str, head_dim: int, seq_len: int) -> str:
    """The backend that `name` ('auto' included) means on `platform` ('cpu', 'gpu', 'tpu') for these
    shapes.

    'auto' is the platform's own kernel, or 'blocked' where that cannot compute them. Raises
    `UserError` for an unknown name, or a backend that the platform does not have or that cannot
    compute them."""
    if name == "auto":
        if platform not in _FASTEST:
            raise UserError(
                f"model.attention='auto': no backend is known for platform {platform!r}; name one"
                f" of {', '.join(BACKENDS)}"
            )
        fastest = _FASTEST[platform]
        return "blocked" if _refusal(fastest, dtype, head_dim, seq_len) else fastest
    if name not in BACKENDS:
        raise UserError(
            f"model.attention={name!r} is unknown; use one of auto, {', '.join(BACKENDS)}"
        )
    if (name == "cudnn" and platform not in ("gpu", "cuda")) or (
        name == "splash" and platform != "tpu"
    ):
        raise UserError(f"model.attention={name!r} does not run on {platform}; use auto")
    refusal = _refusal(name, dtype, head_dim, seq_len)
    if refusal:
        raise UserError(
            f"model.attention={name!r} {refusal}, or use auto, which means 'blocked' here"
        )
    return name


def _refusal(backend: str, dtype: str, head_dim: int, seq_len: int) -> str:
    """Why `backend` cannot compute these shapes, with the remedy; '' where it can."""
    if backend == "cudnn":
        if dtype not in ("bfloat16", "float16"):
            return f"computes in bfloat16 or float16, not {dtype}; set model.dtype=bfloat16"
        if head_dim % 8 or head_dim > 128:  # Hopper takes 256, GPUs before it do not
            return (
                f"needs heads of a multiple of 8 up to 128 wide, not {head_dim}; change model.heads"
            )
        if seq_len % 2:  # of packed documents, while training
            return f"needs an even length, not {seq_len}; change seq_len"
    if backend == "splash":
        multiple = _SPLASH_BLOCK if seq_len > _SPLASH_BLOCK else _SPLASH_LANES
        if seq_len % multiple:
            return f"needs a length that is a multiple of {multiple}, not {seq_len}; change seq_len"
    return ""


def attention(
    q_BLHK: jax.Array, k_BLGK: jax.Array, v_BLGK: jax.Array, mask: Mask, backend: str
) -> jax.Array:
    """Softmax attention scaled by 1/sqrt(K), scores and softmax in float32.

    Args:
      q_BLHK, k_BLGK, v_BLGK: rotated queries and keys, and values; H must be a multiple of G.
      mask: see `Mask`.
      backend: one of `BACKENDS`.

    Returns:
      [B, L, H, K] in the dtype of the values.

    Raises:
      ValueError: unknown backend, or a backend that cannot do this mask.
    """
    if backend == "reference":
        segments = None if mask.segments_BL is None else (mask.segments_BL, mask.segments_BL)
        return dense_attention(
            q_BLHK, k_BLGK, v_BLGK, _allowed(q_BLHK.shape[1], k_BLGK.shape[1], 0, segments)
        )
    if backend == "blocked":
        return _blocked(q_BLHK, k_BLGK, v_BLGK, mask)
    if backend == "cudnn":
        return _cudnn(q_BLHK, k_BLGK, v_BLGK, mask)
    if backend == "splash":
        return _splash(q_BLHK, k_BLGK, v_BLGK, mask)
    raise ValueError(f"unknown attention backend {backend!r}; known: {', '.join(BACKENDS)}")


def attend_over_window(mask: Mask, backend: str) -> Attend:
    """The attention of training: over the window itself, under `mask`, by `backend`."""

    def attend(state: LayerState, q_BLHK: jax.Array, k_BLGK: jax.Array, v_BLGK: jax.Array):
        return attention(q_BLHK, k_BLGK, v_BLGK, mask, backend), state

    return attend


def dense_attention(
    q_BLHK: jax.Array, k_BMGK: jax.Array, v_BMGK: jax.Array, allowed_BLM: jax.Array
) -> jax.Array:
    """Attention [B, L, H, K] where `allowed_BLM` (first axis perhaps 1) says who sees whom; the
    score matrix is formed.
    """
    B, L, H, K = q_BLHK.shape
    G = k_BMGK.shape[2]
    q_BLGRK = q_BLHK.reshape(B, L, G, H // G, K)
    scores_BGRLM = (
        jnp.einsum("BLGRK,BMGK->BGRLM", q_BLGRK, k_BMGK, preferred_element_type=jnp.float32)
        * K**-0.5
    )
    scores_BGRLM = jnp.where(allowed_BLM[:, None, None], scores_BGRLM, jnp.finfo(jnp.float32).min)
    weights_BGRLM = jax.nn.softmax(scores_BGRLM, axis=-1).astype(v_BMGK.dtype)
    return jnp.einsum("BGRLM,BMGK->BLGRK", weights_BGRLM, v_BMGK).reshape(B, L, H, K)


def _allowed(L: int, M: int, q_offset: int, segments) -> jax.Array:
    """Who sees whom, [B or 1, L, M]: queries of positions q_offset.. and keys of positions 0..,
    within a document.
    """
    allowed_BLM = (jnp.arange(L)[:, None] + q_offset >= jnp.arange(M)[None, :])[None]
    if segments is not None:
        q_segments_BL, k_segments_BM = segments
        allowed_BLM = allowed_BLM & (q_segments_BL[:, :, None] == k_segments_BM[:, None, :])
    return allowed_BLM


def _blocked(q_BLHK, k_BLGK, v_BLGK, mask: Mask) -> jax.Array:
    """Block of queries by block of queries, against only the keys they may see: half the work and
    no L x L matrix.

    All products are of matrices [B, G, rows, columns], the T = R x L queries of a block that share
    keys being rows of one: for any other form XLA on CPUs transposes an operand first."""
    B, L, H, K = q_BLHK.shape
    G = k_BLGK.shape[2]
    # Heads first once, not for every product of every block.
    q_BGRLK = q_BLHK.reshape(B, L, G, H // G, K).transpose(0, 2, 3, 1, 4)
    k_BGLK, v_BGLK = k_BLGK.swapaxes(1, 2), v_BLGK.swapaxes(1, 2)
    outputs = []
    for start in range(0, L, _QUERY_BLOCK):
        stop = min(start + _QUERY_BLOCK, L)
        segments_BL = mask.segments_BL
        segments = (
            None if segments_BL is None else (segments_BL[:, start:stop], segments_BL[:, :stop])
        )
        q_BGTK = q_BGRLK[..., start:stop, :].reshape(B, G, -1, K)
        out_BGTK = _block(q_BGTK, k_BGLK[..., :stop, :], v_BGLK[..., :stop, :], segments, start)
        outputs.append(out_BGTK.reshape(B, G, H // G, stop - start, K))
    return jnp.concatenate(outputs, axis=3).transpose(0, 3, 1, 2, 4).reshape(B, L, H, K)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _block(q_BGTK, k_BGMK, v_BGMK, segments, q_offset: int) -> jax.Array:
    """The queries of positions q_offset..M-1, with FlashAttention's backward pass (Dao et al. 2022,
    algorithm 4).

    Of T x M nothing is kept: the logarithm of each row's sum gives its weights back in one pass
    over the scores, where differentiating a recomputed softmax takes four."""
    return _block_forward(q_BGTK, k_BGMK, v_BGMK, segments, q_offset)[0]


def _block_scores(q_BGTK, k_BGMK, segments, q_offset: int) -> jax.Array:
    T, (M, K) = q_BGTK.shape[2], k_BGMK.shape[2:]
    L = M - q_offset
    scores_BGTM = (
        jnp.einsum("BGTK,BGMK->BGTM", q_BGTK, k_BGMK, preferred_element_type=jnp.float32) * K**-0.5
    )
    allowed_BTM = jnp.tile(_allowed(L, M, q_offset, segments), (1, T // L, 1))
    return jnp.where(allowed_BTM[:, None], scores_BGTM, jnp.finfo(jnp.float32).min)


def _block_forward(q_BGTK, k_BGMK, v_BGMK, segments, q_offset: int):
    scores_BGTM = _block_scores(q_BGTK, k_BGMK, segments, q_offset)
    highest_BGT1 = scores_BGTM.max(axis=-1, keepdims=True)
    weights_BGTM = jnp.exp(scores_BGTM - highest_BGT1)
    sum_BGT1 = weights_BGTM.sum(axis=-1, keepdims=True)
    product = jnp.einsum(
        "BGTM,BGMK->BGTK",
        weights_BGTM.astype(v_BGMK.dtype),
        v_BGMK,
        preferred_element_type=jnp.float32,
    )
    out_BGTK = (product / sum_BGT1).astype(v_BGMK.dtype)
    return out_BGTK, (q_BGTK, k_BGMK, v_BGMK, segments, out_BGTK, highest_BGT1 + jnp.log(sum_BGT1))


def _block_backward(q_offset: int, saved, d_out_BGTK):
    q_BGTK, k_BGMK, v_BGMK, segments, out_BGTK, log_sum_BGT1 = saved
    weights_BGTM = jnp.exp(_block_scores(q_BGTK, k_BGMK, segments, q_offset) - log_sum_BGT1)
    d_weights_BGTM = jnp.einsum(
        "BGTK,BGMK->BGTM", d_out_BGTK, v_BGMK, preferred_element_type=jnp.float32
    )
    # The gradient of a softmax, sum(weights * d_weights) being sum(out * d_out).
    mean_BGT1 = jnp.sum(
        out_BGTK.astype(jnp.float32) * d_out_BGTK.astype(jnp.float32), axis=-1, keepdims=True
    )
    d_scores = weights_BGTM * (d_weights_BGTM - mean_BGT1) * k_BGMK.shape[-1] ** -0.5
    d_scores_BGTM = d_scores.astype(q_BGTK.dtype)
    d_q_BGTK = jnp.einsum("BGTM,BGMK->BGTK", d_scores_BGTM, k_BGMK)
    d_k_BGMK = jnp.einsum("BGTM,BGTK->BGMK", d_scores_BGTM, q_BGTK)
    d_v_BGMK = jnp.einsum("BGTM,BGTK->BGMK", weights_BGTM.astype(v_BGMK.dtype), d_out_BGTK)
    return d_q_BGTK, d_k_BGMK, d_v_BGMK, None


_block.defvjp(_block_forward, _block_backward)


def _require(backend: str, q_BLHK: jax.Array) -> None:
    """Raise `ValueError` when `backend` cannot compute attention of these queries."""
    _, L, _, K = q_BLHK.shape
    refusal = _refusal(backend, q_BLHK.dtype.name, K, L)
    if refusal:
        raise ValueError(f"attention backend {backend!r} {refusal}")


def _cudnn(q_BLHK, k_BLGK, v_BLGK, mask: Mask) -> jax.Array:
    """cuDNN's fused kernel.

    Packed documents become a dense bias of B x L x L, which is said when the step is traced.
    """
    _require("cudnn", q_BLHK)
    same_B1LM = None
    if mask.segments_BL is not None:
        B, L = mask.segments_BL.shape
        # Packing by offsets, which needs no bias, is not in JAX's public interface.
        gib = B * L * L * q_BLHK.dtype.itemsize / 2**30
        message = (
            f"attention backend 'cudnn': packed documents become a bias of {B} x {L} x {L}"
            f" ({gib:.2f} GiB) in every layer"
        )
        logging.log_first_n(logging.WARNING, message, 1)
        same_B1LM = (mask.segments_BL[:, :, None] == mask.segments_BL[:, None, :])[:, None]
    return jax.nn.dot_product_attention(
        q_BLHK, k_BLGK, v_BLGK, mask=same_B1LM, is_causal=True, implementation="cudnn"
    )


def _splash(q_BLHK, k_BLGK, v_BLGK, mask: Mask, interpret: bool = False) -> jax.Array:
    """Splash attention, one kernel a device:

    rows split over replica and fsdp, heads over tensor.
    """
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        splash_attention_mask as splash_mask,
    )

    _require("splash", q_BLHK)
    L = q_BLHK.shape[1]
    block = min(_SPLASH_BLOCK, L)
    sizes = splash.BlockSizes(
        **{
            f"block_{name}": block
            for name in (
                "q",
                "kv",
                "kv_compute",
                "q_dkv",
                "kv_dkv",
                "kv_dkv_compute",
                "q_dq",
                "kv_dq",
            )
        }
    )

    def on_device(q_BLHK, k_BLGK, v_BLGK, segments_BL):
        heads = q_BLHK.shape[2]
        causal = splash_mask.MultiHeadMask([splash_mask.CausalMask((L, L))] * heads)
        kernel = splash.make_splash_mha_single_device(
            causal, block_sizes=sizes, is_mqa=False, interpret=interpret
        )

        def row(q_LHK, k_LGK, v_LGK, segments_L):
            segments = None if segments_L is None else splash.SegmentIds(segments_L, segments_L)
            q_HLK = q_LHK.swapaxes(0, 1) * q_LHK.shape[-1] ** -0.5  # the kernel does not scale
            return kernel(
                q_HLK, k_LGK.swapaxes(0, 1), v_LGK.swapaxes(0, 1), segment_ids=segments
            ).swapaxes(0, 1)

        return jax.vmap(row)(q_BLHK, k_BLGK, v_BLGK, segments_BL).astype(v_BLGK.dtype)

    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return on_device(q_BLHK, k_BLGK, v_BLGK, mask.segments_BL)
    rows = PartitionSpec(RULES["batch"])
    heads = PartitionSpec(RULES["batch"], None, RULES["heads"])
    # check_vma: the kernel does not say over which axes its results vary.
    return jax.shard_map(
        on_device, in_specs=(heads, heads, heads, rows), out_specs=heads, check_vma=False
    )(q_BLHK, k_BLGK, v_BLGK, mask.segments_BL)
