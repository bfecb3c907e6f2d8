"""Next-token cross-entropy from hidden states, without ever forming the B x L x V logits.

Shape legend: B batch, L length, C length of a chunk, D hidden, V vocabulary.
"""

import jax
import jax.numpy as jnp


def token_nll(x_BLD: jax.Array, head_DV: jax.Array, targets_BL: jax.Array, chunk: int) -> tuple[jax.Array, jax.Array]:
    """Negative log-likelihood (nats) and log-normaliser of every target.

    Args:
      x_BLD: final hidden states, in the compute dtype.
      head_DV: output projection, float32; cast to the dtype of `x_BLD` for the product.
      targets_BL: target ids.
      chunk: C, positions whose logits exist at one time; 0 means all. L must be a multiple of it.

    Returns:
      (nll_BL, logz_BL), float32.

    Raises:
      ValueError: L is not a multiple of `chunk`.
    """
    B, L, D = x_BLD.shape
    head = head_DV.astype(x_BLD.dtype)
    if chunk in (0, L):
        return _chunk_nll(x_BLD, head, targets_BL)
    if L % chunk:
        raise ValueError(f"loss.chunk={chunk} does not divide the length {L}")
    x_chunks = x_BLD.reshape(B, L // chunk, chunk, D).swapaxes(0, 1)
    target_chunks = targets_BL.reshape(B, L // chunk, chunk).swapaxes(0, 1)
    # Without the checkpoint the scan would keep every chunk's logits for the backward pass.
    step = jax.checkpoint(lambda _, xy: (None, _chunk_nll(xy[0], head, xy[1])), prevent_cse=False)
    _, (nll, logz) = jax.lax.scan(step, None, (x_chunks, target_chunks))
    return nll.swapaxes(0, 1).reshape(B, L), logz.swapaxes(0, 1).reshape(B, L)


def _chunk_nll(x_BCD: jax.Array, head_DV: jax.Array, targets_BC: jax.Array) -> tuple[jax.Array, jax.Array]:
    logits_BCV = jnp.einsum("BCD,DV->BCV", x_BCD, head_DV, preferred_element_type=jnp.float32)
    logz_BC = jax.nn.logsumexp(logits_BCV, axis=-1)
    target_BC = jnp.take_along_axis(logits_BCV, targets_BC[..., None], axis=-1)[..., 0]
    return logz_BC - target_BC, logz_BC
