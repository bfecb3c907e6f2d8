"""The fused cross-entropy against the plain one, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.model.loss import token_nll, weighted_loss

B, L, D, V = 3, 24, 16, 50


def problem(seed=0, dtype=jnp.float32):
    generator = np.random.default_rng(seed)
    x = jnp.asarray(generator.standard_normal((B, L, D)), dtype)
    head = jnp.asarray(generator.standard_normal((V, D)), jnp.float32)
    targets = jnp.asarray(generator.integers(0, V, (B, L)), jnp.int32)
    weights = jnp.asarray(generator.integers(0, 2, (B, L)), jnp.float32) / 7
    return x, head, targets, weights


def plain(x, head, targets, weights, z_loss):
    """By definition, with all logits at once."""
    logits = jnp.einsum("BLD,VD->BLV", x.astype(jnp.float32), head)
    logz = jax.nn.logsumexp(logits, axis=-1)
    nll = -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    return jnp.sum(weights * (nll + z_loss * logz**2))


@pytest.mark.long
@pytest.mark.parametrize("chunk", [0, 1, 8, 24])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
def test_value_and_gradient(chunk, z_loss):
    x, head, targets, weights = problem()

    def fused(x, head):
        return 3.0 * weighted_loss(x, head, targets, weights, z_loss, chunk)[0]

    def reference(x, head):
        return 3.0 * plain(x, head, targets, weights, z_loss)

    ours, theirs = (jax.value_and_grad(f, (0, 1))(x, head) for f in (fused, reference))
    assert float(ours[0]) == pytest.approx(float(theirs[0]), rel=1e-6)
    for left, right in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    # The value without differentiation takes another path.
    loss, nll = weighted_loss(x, head, targets, weights, z_loss, chunk)
    assert 3.0 * float(loss) == pytest.approx(float(theirs[0]), rel=1e-6)
    assert float(nll) == pytest.approx(float(plain(x, head, targets, weights, 0.0)), rel=1e-6)


def test_masked_targets_leave_no_trace():
    x, head, targets, weights = problem()
    changed = jnp.where(weights == 0, (targets + 1) % V, targets)

    def gradient(targets):
        return jax.grad(
            lambda x, head: weighted_loss(x, head, targets, weights, 0.0, 8)[0], (0, 1)
        )(x, head)

    for left, right in zip(gradient(targets), gradient(changed), strict=True):
        np.testing.assert_array_equal(left, right)


def test_token_nll_chunks_agree():
    x, head, targets, _ = problem()
    whole = token_nll(x, head, targets, 0)
    for left, right in zip(whole, token_nll(x, head, targets, 6), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_the_full_logits_are_never_formed():
    """No array of B x L x V in the compiled step when a chunk is asked for."""
    x, head, targets, weights = problem()
    step = jax.jit(
        jax.grad(lambda x, head: weighted_loss(x, head, targets, weights, 0.0, 8)[0], (0, 1))
    )
    text = step.lower(x, head).as_text()
    assert f"{B}x{L}x{V}x" not in text
    assert f"{B}x8x{V}x" in text


def test_a_chunk_must_divide_the_length():
    x, head, targets, weights = problem()
    with pytest.raises(ValueError, match=r"loss.chunk=7 does not divide the length 24"):
        weighted_loss(x, head, targets, weights, 0.0, 7)
