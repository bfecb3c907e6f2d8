"""cuDNN attention against the reference, and bit-exact resume on a GPU.

Without a GPU the same call is checked through XLA's own implementation of
`jax.nn.dot_product_attention`, so that mask, scale and layout are known to be right; the kernel
itself is not, and those tests are skipped."""

import functools
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.model import sharding
from divsyn_jax.model.attention import Mask, attention
from divsyn_jax.training import optimizer, step
from divsyn_jax.training.compiler import ahead_of_time
from divsyn_jax.training.recipe import Recipe
from tests.conftest import ROOT
from tests.test_train import metrics_of, start, wait_for_step

B, L, H, G, K = 2, 256, 4, 2, 64


def need_gpu() -> None:
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU here")


@pytest.fixture(params=["xla", "cudnn"])
def implementation(request, monkeypatch) -> str:
    """What stands behind the backend `cudnn`:

    the kernel, or XLA's implementation of the same call.
    """
    if request.param == "cudnn":
        need_gpu()
    else:
        call = jax.nn.dot_product_attention
        monkeypatch.setattr(
            jax.nn,
            "dot_product_attention",
            lambda *args, implementation, **kwargs: call(*args, **kwargs),
        )
    return request.param


def problem():
    generator = np.random.default_rng(0)
    q, k, v, weights = (
        jnp.asarray(generator.standard_normal((B, L, heads, K)), jnp.bfloat16)
        for heads in (H, G, G, H)
    )
    segments = jnp.asarray(np.sort(generator.integers(0, 5, (B, L)), axis=1), jnp.int32)
    return q, k, v, weights, segments


@pytest.mark.long
@pytest.mark.parametrize("packed", [False, True])
def test_cudnn_equals_the_reference_forward_and_backward(implementation, packed):
    q, k, v, weights, segments = problem()
    mask = Mask(segments if packed else None)

    def objective(q, k, v, backend):
        out = attention(q, k, v, mask, backend).astype(jnp.float32)
        return jnp.sum(out * weights), out

    run = functools.partial(jax.value_and_grad(objective, (0, 1, 2), has_aux=True), q, k, v)
    ((_, ours), our_gradients), ((_, theirs), their_gradients) = run("cudnn"), run("reference")
    for one, other in zip((ours, *our_gradients), (theirs, *their_gradients), strict=True):
        one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
        # Two roundings to bfloat16 (2^-8) at the size of the largest value.
        assert np.max(np.abs(one - other)) <= 2**-6 * np.max(np.abs(other))
        assert np.linalg.norm(one - other) <= 0.01 * np.linalg.norm(other)


def test_the_dense_bias_of_packed_documents_is_announced(implementation, caplog):
    from absl import logging

    logging._log_counter_per_token.clear()  # once a process; this test wants its own
    q, k, v, _, segments = problem()
    attention(q, k, v, Mask(), "cudnn")
    assert "bias" not in caplog.text
    attention(q, k, v, Mask(segments), "cudnn")
    assert f"packed documents become a bias of {B} x {L} x {L}" in caplog.text


def test_cudnn_refuses_float32():
    q, k, v, _, _ = problem()
    with pytest.raises(ValueError, match="'cudnn' computes in bfloat16 or float16, not float32"):
        attention(q.astype(jnp.float32), k, v, Mask(), "cudnn")


@pytest.mark.long
@pytest.mark.parametrize(
    ("preset", "kernel"),
    [("350m", "fmhaSoftmax"), ("1_4b", "fmhaSoftmax"), ("sft_350m", "fmhaScaleBiasSoftmax")],
)
def test_the_paper_s_steps_are_lowered_to_the_kernels_without_a_gpu(preset, kernel, monkeypatch):
    """All that JAX asks of shapes, layouts and dtypes of the kernels holds; whether they run is for
    a GPU to say.
    """
    from jax._src.cudnn import fused_attention_stablehlo as fused_attention

    monkeypatch.setattr(fused_attention, "check_cudnn_version", lambda: 91000)
    monkeypatch.setattr(fused_attention, "check_compute_capability", lambda least: True)
    config = runpy.run_path(ROOT / "configs" / f"{preset}.py")["get_config"]()
    config.model.update(attention="cudnn")
    config.update(global_batch=8, accumulation_steps=1)
    config.eval.batch = 8
    recipe = Recipe.from_config(config.to_dict())
    mesh = sharding.make_mesh(recipe.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        adamw = optimizer.make_optimizer(recipe.optimizer, recipe.steps)
        schedule = optimizer.make_schedule(recipe.optimizer, recipe.steps)
        state, batch = (
            step.abstract_state(recipe.model, adamw, mesh),
            ahead_of_time.abstract_batch(recipe, mesh),
        )
        train_step = step.make_train_step(recipe, adamw, schedule, sources=2)
        text = train_step.trace(state, batch).lower(lowering_platforms=("cuda",)).as_text()
    assert f"__cudnn${kernel}(" in text
    assert f"__cudnn${kernel}Backward(" in text


def test_a_killed_run_on_a_gpu_equals_an_uninterrupted_one(shards, tmp_path):
    need_gpu()
    settings = (
        "--config.model.dtype=bfloat16",
        "--config.model.attention=cudnn",
        "--config.debug.deterministic=True",
    )
    whole = start(shards, tmp_path / "whole", *settings)
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output
    killed = start(shards, tmp_path / "killed", *settings)
    wait_for_step(killed, tmp_path / "killed", 8)
    killed.kill()
    killed.wait()
    again = start(shards, tmp_path / "killed", *settings)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "continuing from step" in output
    assert metrics_of(tmp_path / "killed") == metrics_of(tmp_path / "whole")
