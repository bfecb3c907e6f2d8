"""The decoder against transformers' LlamaForCausalLM, and its own invariants."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.model import decoder
from divsyn_jax.model.attention import Mask, _splash, attention, resolve_backend
from divsyn_jax.model.config import REMATS, ModelConfig

TINY = ModelConfig(
    vocab_size=101, hidden=48, intermediate=80, layers=3, heads=4, kv_heads=2, rope_theta=10000.0,
    norm_eps=1e-5, tied=False, dtype="float32", attention="blocked", remat="none", scan=True,
)  # fmt: skip


def tokens(batch=2, length=40, seed=0):
    return jnp.asarray(
        np.random.default_rng(seed).integers(0, TINY.vocab_size, (batch, length)), jnp.int32
    )


def relative_difference(x, y):
    return float(np.max(np.abs(np.asarray(x) - np.asarray(y))) / np.max(np.abs(np.asarray(y))))


def torch_twin(config: ModelConfig, params):
    """A LlamaForCausalLM holding the same weights."""
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: no CPU build of it for this Python (make torch)"
    )
    transformers = pytest.importorskip("transformers")
    c = config
    twin = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.hidden,
            intermediate_size=c.intermediate,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            num_key_value_heads=c.kv_heads,
            rms_norm_eps=c.norm_eps,
            tie_word_embeddings=c.tied,
            max_position_embeddings=4096,
            rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
            attention_bias=False,
            mlp_bias=False,
        )
    ).eval()

    def as_torch(array, rows):
        """[D, ...] or [..., D] weights of ours -> [out, in] of torch.nn.Linear."""
        array = np.asarray(array)
        return torch.tensor(array.reshape(rows, -1).T.copy())

    layers = params["layers"]
    weights = {
        "model.embed_tokens.weight": torch.tensor(np.asarray(params["embedding"])),
        "model.norm.weight": torch.tensor(np.asarray(params["final_norm"])),
    }
    weights["lm_head.weight"] = torch.tensor(np.asarray(params["embedding" if c.tied else "head"]))
    for n in range(c.layers):
        at = f"model.layers.{n}."
        weights[at + "input_layernorm.weight"] = torch.tensor(
            np.asarray(layers["attention_norm"][n])
        )
        weights[at + "post_attention_layernorm.weight"] = torch.tensor(
            np.asarray(layers["mlp_norm"][n])
        )
        for ours, theirs in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
            weights[at + f"self_attn.{theirs}.weight"] = as_torch(layers[ours][n], c.hidden)
        weights[at + "self_attn.o_proj.weight"] = as_torch(layers["attention_out"][n], c.hidden)
        for ours, theirs, rows in (
            ("gate", "gate_proj", c.hidden),
            ("up", "up_proj", c.hidden),
            ("down", "down_proj", c.intermediate),
        ):
            weights[at + f"mlp.{theirs}.weight"] = as_torch(layers[ours][n], rows)
    # attention_out is [H, K, D]: its rows are H*K.
    for n in range(c.layers):
        out = np.asarray(layers["attention_out"][n]).reshape(-1, c.hidden)
        weights[f"model.layers.{n}.self_attn.o_proj.weight"] = torch.tensor(out.T.copy())
    twin.load_state_dict(weights, strict=True)
    return twin


def larger_weights(params):
    """Weights far enough from their small start that every part of the model matters to the
    logits.
    """
    generator = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: x + 0.1 * jnp.asarray(generator.standard_normal(x.shape), jnp.float32), params
    )


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("backend", ["reference", "blocked"])
def test_logits_equal_transformers(tied, kv_heads, backend):
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: no CPU build of it for this Python (make torch)"
    )
    config = dataclasses.replace(TINY, tied=tied, kv_heads=kv_heads, attention=backend)
    params = larger_weights(decoder.init_params(config, seed=0))
    x = tokens(length=300)  # longer than a query block
    with torch.no_grad():
        theirs = torch_twin(config, params)(torch.tensor(np.asarray(x))).logits.numpy()
    assert relative_difference(decoder.logits(config, params, x), theirs) < 1e-4


@pytest.mark.long
def test_packed_documents_give_the_logits_of_the_documents_alone():
    params = larger_weights(decoder.init_params(TINY, seed=0))
    lengths = [7, 150, 33, 70]
    parts = [tokens(1, length, seed) for seed, length in enumerate(lengths)]
    packed = jnp.concatenate(parts, axis=1)
    segments = jnp.asarray(np.repeat(np.arange(len(lengths)), lengths))[None]
    positions = jnp.concatenate([jnp.arange(length) for length in lengths])[None]
    for backend in ("reference", "blocked"):
        config = dataclasses.replace(TINY, attention=backend)
        together = decoder.logits(config, params, packed, Mask(segments), positions)
        alone = jnp.concatenate([decoder.logits(config, params, part) for part in parts], axis=1)
        assert relative_difference(together, alone) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("length", [1, 64, 256, 257, 600])
def test_blocked_attention_equals_the_reference_forward_and_backward(length):
    generator = np.random.default_rng(0)
    q, k, v = (
        jnp.asarray(generator.standard_normal((2, length, heads, 16)), jnp.float32)
        for heads in (4, 2, 2)
    )
    segments = jnp.asarray(np.sort(generator.integers(0, 3, (2, length)), axis=1))
    for mask in (Mask(), Mask(segments)):

        def objective(q, k, v, backend, mask=mask):
            return jnp.sum(jnp.sin(attention(q, k, v, mask, backend)))

        for reference, blocked in zip(
            jax.grad(objective, (0, 1, 2))(q, k, v, "reference"),
            jax.grad(objective, (0, 1, 2))(q, k, v, "blocked"),
            strict=True,
        ):
            np.testing.assert_allclose(reference, blocked, atol=2e-5)


@pytest.mark.long
@pytest.mark.parametrize("packed", [False, True])
def test_splash_attention_equals_the_reference_interpreted(packed):
    """The TPU kernel, interpreted on the CPU:

    causal, grouped heads, with and without documents, forward and backward.
    """
    generator = np.random.default_rng(0)
    q, k, v = (
        jnp.asarray(generator.standard_normal((1, 128, heads, 64)), jnp.float32)
        for heads in (2, 1, 1)
    )
    segments = jnp.asarray(np.sort(generator.integers(0, 3, (1, 128)), axis=1))
    mask = Mask(segments) if packed else Mask()

    def objective(attend):
        return jax.grad(lambda q, k, v: jnp.sum(jnp.sin(attend(q, k, v))), (0, 1, 2))(q, k, v)

    reference = objective(lambda q, k, v: attention(q, k, v, mask, "reference"))
    splash = objective(lambda q, k, v: _splash(q, k, v, mask, interpret=True))
    for left, right in zip(reference, splash, strict=True):
        np.testing.assert_allclose(left, right, atol=5e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    "change", [{"scan": False}, {"remat": "full"}, {"remat": "minimal"}, {"remat": "dots"}]
)
def test_scan_and_remat_change_nothing(change):
    params = larger_weights(decoder.init_params(TINY, seed=0))
    x = tokens()

    def objective(params, config):
        return jnp.mean(jnp.square(decoder.logits(config, params, x)))

    base, other = (
        jax.value_and_grad(objective)(params, config)
        for config in (TINY, dataclasses.replace(TINY, **change))
    )
    assert float(other[0]) == pytest.approx(float(base[0]), rel=1e-6)
    for left, right in zip(jax.tree.leaves(base[1]), jax.tree.leaves(other[1]), strict=True):
        assert relative_difference(left, right) < 1e-5


@pytest.mark.parametrize(
    ("remat", "scan", "guarded"),
    [("full", False, True), ("full", True, False), ("none", False, False)],
)
def test_what_unrolled_layers_compute_again_is_not_merged(remat, scan, guarded):
    """A barrier keeps XLA from it (for TPUs it would, not for CPUs); in a loop there is nothing to
    merge with.
    """
    config = dataclasses.replace(TINY, layers=2, remat=remat, scan=scan)
    params = jax.eval_shape(lambda: decoder.init_params(config, seed=0))
    gradient = jax.jit(jax.grad(lambda params, x: jnp.mean(decoder.logits(config, params, x))))
    assert ("optimization_barrier" in gradient.lower(params, tokens()).as_text()) == guarded


@pytest.mark.parametrize(("dtype", "exact"), [("float32", True), ("bfloat16", False)])
def test_float32_is_not_rounded_on_accelerators(dtype, exact):
    shape = dataclasses.replace(TINY, dtype=dtype)
    params = jax.eval_shape(lambda: decoder.init_params(shape, 0))
    with decoder.exact_products(dtype):
        text = (
            jax.jit(lambda p, t: decoder.logits(shape, p, t))
            .lower(params, jnp.zeros((1, 8), jnp.int32))
            .as_text()
        )
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert products
    assert all(("[HIGHEST, HIGHEST]" in line) == exact for line in products)


@pytest.mark.parametrize(
    ("platform", "dtype", "head_dim", "seq_len", "expected"),
    [
        ("cpu", "float32", 12, 40, "blocked"),
        ("gpu", "bfloat16", 64, 2048, "cudnn"),
        ("gpu", "float32", 64, 128, "blocked"),  # configs/tiny.py
        ("gpu", "bfloat16", 12, 2048, "blocked"),
        ("gpu", "bfloat16", 256, 2048, "blocked"),
        ("tpu", "float32", 64, 128, "splash"),
        ("tpu", "bfloat16", 64, 384, "splash"),
        ("tpu", "bfloat16", 64, 300, "blocked"),
        ("tpu", "bfloat16", 64, 640, "blocked"),
    ],
)
def test_auto_is_the_fastest_backend_that_can(platform, dtype, head_dim, seq_len, expected):
    assert resolve_backend("auto", platform, dtype, head_dim, seq_len) == expected


@pytest.mark.parametrize(
    ("name", "platform", "dtype", "head_dim", "seq_len", "message"),
    [
        (
            "cudnn",
            "cpu",
            "bfloat16",
            64,
            128,
            r"model.attention='cudnn' does not run on cpu; use auto",
        ),
        (
            "splash",
            "gpu",
            "bfloat16",
            64,
            128,
            r"model.attention='splash' does not run on gpu; use auto",
        ),
        (
            "cudnn",
            "gpu",
            "float32",
            64,
            128,
            r"model.attention='cudnn' .* not float32; set model.dtype=bfloat16, or use",
        ),
        (
            "cudnn",
            "gpu",
            "bfloat16",
            12,
            128,
            r"model.attention='cudnn' needs heads .* not 12; change model.heads, or use",
        ),
        (
            "cudnn",
            "gpu",
            "bfloat16",
            64,
            129,
            r"model.attention='cudnn' needs an even length, not 129; change seq_len",
        ),
        (
            "splash",
            "tpu",
            "bfloat16",
            64,
            300,
            r"model.attention='splash' .* multiple of 128, not 300; change seq_len",
        ),
        (
            "splash",
            "tpu",
            "bfloat16",
            64,
            640,
            r"model.attention='splash' .* multiple of 512, not 640; change seq_len",
        ),
    ],
)
def test_a_backend_that_cannot_run_is_refused_by_name(
    name, platform, dtype, head_dim, seq_len, message
):
    with pytest.raises(UserError, match=message):
        resolve_backend(name, platform, dtype, head_dim, seq_len)


def test_a_token_sees_only_the_past():
    params = larger_weights(decoder.init_params(TINY, seed=0))
    x = tokens(1, 200)
    before = decoder.logits(TINY, params, x)
    after = decoder.logits(TINY, params, x.at[0, 150].set((x[0, 150] + 1) % TINY.vocab_size))
    np.testing.assert_array_equal(before[0, :150], after[0, :150])
    assert float(jnp.max(jnp.abs(before[0, 150:] - after[0, 150:]))) > 1e-3


def test_bfloat16_stays_close_and_norms_stay_float32():
    params = decoder.init_params(TINY, seed=0)
    config = dataclasses.replace(TINY, dtype="bfloat16")
    low, high = decoder.logits(config, params, tokens()), decoder.logits(TINY, params, tokens())
    assert low.dtype == jnp.float32
    assert relative_difference(low, high) < 0.03


@pytest.mark.parametrize(
    ("name", "expected"),
    # The shapes of the paper (Chen et al. 2024, Table 5), untied: its "350M" and "1.4B".
    [("350m", 406_296_000), ("1_4b", 1_279_854_592)],
)
def test_presets_have_the_papers_shapes(name, expected):
    import runpy

    from divsyn_jax.training.recipe import Recipe

    config = runpy.run_path(f"configs/{name}.py")["get_config"]()
    config.model.attention = "blocked"
    assert decoder.count_params(Recipe.from_config(config.to_dict()).model) == expected


def test_every_remat_has_its_policy():
    assert tuple(decoder.REMAT_POLICIES) == REMATS


def test_unknown_names_raise():
    with pytest.raises(UserError, match="flash9"):
        resolve_backend("flash9", "cpu", "float32", 64, 128)
    with pytest.raises(ValueError, match="remat"):
        dataclasses.replace(TINY, remat="some")
    with pytest.raises(ValueError, match="unknown attention backend"):
        attention(*(jnp.ones((1, 2, 1, 4)),) * 3, Mask(), "flash9")
