"""Causal self-attention behind one function, with a small mask specification and named backends.

Shape legend: B batch, L query length, M key length, H query heads, G key/value heads (H a multiple of G), R = H/G, K head
dimension.
"""

import dataclasses

import jax
import jax.numpy as jnp

from divsyn_jax.commandline import UserError

BACKENDS = ("reference", "blocked")
_QUERY_BLOCK = 128


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mask:
    """Who may attend to whom. Attention is always causal by position in the window.

    Attributes:
      segments_BL: document number of each token in a packed window (attention stays within a document), or None when the
        window is one stream.
    """

    segments_BL: jax.Array | None = None


def resolve_backend(name: str, platform: str) -> str:
    """The backend that `name` ('auto' included) means on `platform` ('cpu', 'gpu', 'tpu'). Unknown names raise."""
    if name == "auto":
        return "blocked"
    if name not in BACKENDS:
        raise UserError(f"model.attention={name!r} is unknown; use one of auto, {', '.join(BACKENDS)}")
    return name


def attention(q_BLHK: jax.Array, k_BLGK: jax.Array, v_BLGK: jax.Array, mask: Mask, backend: str) -> jax.Array:
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
        return _attend_block(q_BLHK, k_BLGK, v_BLGK, mask.segments_BL, mask.segments_BL, 0)
    if backend == "blocked":
        return _blocked(q_BLHK, k_BLGK, v_BLGK, mask)
    raise ValueError(f"unknown attention backend {backend!r}; known: {', '.join(BACKENDS)}")


def _attend_block(q_BLHK, k_BMGK, v_BMGK, q_segments_BL, k_segments_BM, q_offset: int) -> jax.Array:
    """Queries of positions q_offset.. against keys of positions 0..; the whole score matrix of the block is formed."""
    B, L, H, K = q_BLHK.shape
    M, G = k_BMGK.shape[1:3]
    q_BLGRK = q_BLHK.reshape(B, L, G, H // G, K)
    scores_BGRLM = jnp.einsum("BLGRK,BMGK->BGRLM", q_BLGRK, k_BMGK, preferred_element_type=jnp.float32) * K**-0.5
    allowed_LM = jnp.arange(L)[:, None] + q_offset >= jnp.arange(M)[None, :]
    allowed = allowed_LM[None, None, None]
    if q_segments_BL is not None:
        same_BLM = q_segments_BL[:, :, None] == k_segments_BM[:, None, :]
        allowed = allowed & same_BLM[:, None, None]
    scores_BGRLM = jnp.where(allowed, scores_BGRLM, jnp.finfo(jnp.float32).min)
    weights_BGRLM = jax.nn.softmax(scores_BGRLM, axis=-1).astype(v_BMGK.dtype)
    return jnp.einsum("BGRLM,BMGK->BLGRK", weights_BGRLM, v_BMGK).reshape(B, L, H, K)


def _blocked(q_BLHK, k_BLGK, v_BLGK, mask: Mask) -> jax.Array:
    """Block of queries by block of queries, against only the keys they may see: half the work and no L x L matrix."""
    L = q_BLHK.shape[1]
    if L <= _QUERY_BLOCK:
        return _attend_block(q_BLHK, k_BLGK, v_BLGK, mask.segments_BL, mask.segments_BL, 0)
    # Recomputing a block's scores in the backward pass is cheaper than keeping them.
    block = jax.checkpoint(_attend_block, static_argnums=5)
    outputs = []
    for start in range(0, L, _QUERY_BLOCK):
        stop = min(start + _QUERY_BLOCK, L)
        segments = (
            (None, None) if mask.segments_BL is None else (mask.segments_BL[:, start:stop], mask.segments_BL[:, :stop])
        )
        outputs.append(block(q_BLHK[:, start:stop], k_BLGK[:, :stop], v_BLGK[:, :stop], *segments, start))
    return jnp.concatenate(outputs, axis=1)
