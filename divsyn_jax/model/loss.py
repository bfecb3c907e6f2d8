"""Next-token cross-entropy from hidden states, without ever forming the B x L x V logits.

The training loss computes its gradients in the forward pass, chunk by chunk: once a chunk's logits
are there, their softmax minus the target is all that the backward pass would need, so nothing is
kept or recomputed.

Shape legend: B batch, L length, C length of a chunk, D hidden, V vocabulary, S devices that rows
are split over, T tokens of a chunk on a device."""

import functools

import jax
import jax.numpy as jnp

from divsyn_jax.model import sharding


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def weighted_loss(
    x_BLD: jax.Array,
    head_VD: jax.Array,
    targets_BL: jax.Array,
    weights_BL: jax.Array,
    z_loss: float,
    chunk: int,
) -> tuple[jax.Array, jax.Array]:
    """Weighted sum of cross-entropy plus `z_loss` times the squared log-normaliser (PaLM, Chowdhery
    et al. 2022, section 5).

    Args: x_BLD: final hidden states, in the compute dtype. head_VD: output projection, float32;
      cast to the dtype of `x_BLD` for the products. targets_BL: target ids. weights_BL: float32
      weight of every target, e.g. 1/(number of valid targets); no gradient flows to it. z_loss:
      weight of the squared log-normaliser. chunk: C, positions whose logits exist at one time; 0
      means all. L must be a multiple of it.

    Returns: (loss, nll): the sum of weights x (nll + z_loss x logz^2), and of weights x nll alone,
      which carries no gradient.

    Raises:
      ValueError: L is not a multiple of `chunk`.
    """
    nll_BL, logz_BL = token_nll(x_BLD, head_VD, targets_BL, chunk)
    nll = jnp.sum(weights_BL * nll_BL)
    return nll + z_loss * jnp.sum(weights_BL * jnp.square(logz_BL)), nll


def _forward(x_BLD, head_VD, targets_BL, weights_BL, z_loss, chunk):
    B, L = targets_BL.shape
    S = sharding.row_shards()
    head = sharding.constrain(head_VD.astype(x_BLD.dtype), "vocab", None)

    def step(carry, chunk_inputs):
        loss_B, nll_B, head_gradient_SVD = carry
        x_BCD, targets_BC, weights_BC = chunk_inputs
        logits_BCV = _logits(x_BCD, head)
        logz_BC = jax.nn.logsumexp(logits_BCV, axis=-1)
        nll_BC = logz_BC - _at_target(logits_BCV, targets_BC)
        nll_B += jnp.sum(weights_BC * nll_BC, axis=1)
        loss_B += jnp.sum(weights_BC * (nll_BC + z_loss * jnp.square(logz_BC)), axis=1)
        # d loss / d logits = w (1 + 2 z logz) softmax - w onehot
        softmax_BCV = jnp.exp(logits_BCV - logz_BC[..., None])
        scale_BC = weights_BC * (1.0 + 2.0 * z_loss * logz_BC)
        is_target_BCV = jnp.arange(head.shape[0]) == targets_BC[..., None]
        gradient_BCV = scale_BC[..., None] * softmax_BCV - jnp.where(
            is_target_BCV, weights_BC[..., None], 0.0
        )
        gradient_BCV = gradient_BCV.astype(x_BCD.dtype)
        x_gradient_BCD = jnp.einsum("BCV,VD->BCD", gradient_BCV, head)
        by_device = (array.reshape(S, -1, *array.shape[2:]) for array in (gradient_BCV, x_BCD))
        head_gradient_SVD += jnp.einsum(
            "STV,STD->SVD", *by_device, preferred_element_type=jnp.float32
        )
        return (loss_B, nll_B, head_gradient_SVD), x_gradient_BCD

    # Each device sums its own rows over all chunks, and the devices' sums meet once, after the
    # loop.
    head_gradient_SVD = sharding.constrain(jnp.zeros((S, *head_VD.shape)), "batch", "vocab", None)
    zero = (jnp.zeros(B), jnp.zeros(B), head_gradient_SVD)
    inputs = (x_BLD, targets_BL, weights_BL)
    if chunk in (0, L):
        (loss_B, nll_B, head_gradient_SVD), x_gradient_BLD = step(zero, inputs)
    else:
        chunks = jax.tree.map(lambda array: _split(array, chunk), inputs)
        (loss_B, nll_B, head_gradient_SVD), x_gradients = jax.lax.scan(step, zero, chunks)
        x_gradient_BLD = _join(x_gradients)
    head_gradient_VD = sharding.constrain(jnp.sum(head_gradient_SVD, axis=0), "vocab", "embed")
    return (jnp.sum(loss_B), jnp.sum(nll_B)), (x_gradient_BLD, head_gradient_VD)


def _backward(z_loss, chunk, gradients, cotangents):
    x_gradient_BLD, head_gradient_VD = gradients
    loss_cotangent, _ = cotangents
    return (
        (loss_cotangent * x_gradient_BLD).astype(x_gradient_BLD.dtype),
        loss_cotangent * head_gradient_VD,
        None,
        None,
    )


weighted_loss.defvjp(_forward, _backward)


def token_nll(
    x_BLD: jax.Array, head_VD: jax.Array, targets_BL: jax.Array, chunk: int
) -> tuple[jax.Array, jax.Array]:
    """Negative log-likelihood (nats) and log-normaliser of every target: (nll_BL, logz_BL),
    float32. For evaluation.
    """
    head = head_VD.astype(x_BLD.dtype)

    def step(_, chunk_inputs):
        x_BCD, targets_BC = chunk_inputs
        logits_BCV = _logits(x_BCD, head)
        logz_BC = jax.nn.logsumexp(logits_BCV, axis=-1)
        return None, (logz_BC - _at_target(logits_BCV, targets_BC), logz_BC)

    if chunk in (0, x_BLD.shape[1]):
        return step(None, (x_BLD, targets_BL))[1]
    _, (nll, logz) = jax.lax.scan(step, None, (_split(x_BLD, chunk), _split(targets_BL, chunk)))
    return _join(nll), _join(logz)


def _logits(x_BCD: jax.Array, head_VD: jax.Array) -> jax.Array:
    return jnp.einsum("BCD,VD->BCV", x_BCD, head_VD, preferred_element_type=jnp.float32)


def _at_target(logits_BCV: jax.Array, targets_BC: jax.Array) -> jax.Array:
    return jnp.take_along_axis(logits_BCV, targets_BC[..., None], axis=-1)[..., 0]


def _split(array: jax.Array, chunk: int) -> jax.Array:
    """[B, L, ...] -> [L/C, B, C, ...]: rows keep their place on the devices."""
    B, L = array.shape[:2]
    if L % chunk:
        raise ValueError(f"loss.chunk={chunk} does not divide the length {L}")
    return array.reshape(B, L // chunk, chunk, *array.shape[2:]).swapaxes(0, 1)


def _join(chunks: jax.Array) -> jax.Array:
    """The inverse of `_split`."""
    n, B, C = chunks.shape[:3]
    return chunks.swapaxes(0, 1).reshape(B, n * C, *chunks.shape[3:])
