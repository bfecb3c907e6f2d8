"""Generation with a cache against the forward pass without one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.model import decode, decoder, sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.model.decode import Sampling
from tests.model.test_decoder import TINY, larger_weights

V = TINY.vocab_size
NO_EOS = 200  # never written: the vocabulary ends before
PROMPTS = [[5], list(range(3, 20)), [7, 8, 9, 50, 51] * 14]


@pytest.fixture(scope="module")
def params():
    return larger_weights(decoder.init_params(TINY, seed=0))


@pytest.fixture(scope="module")
def mesh():
    return sharding.make_mesh(MeshConfig(replica=1, fsdp=-1, tensor=1), jax.devices()[:1])


def without_cache(params, prompt, count) -> list[int]:
    tokens = list(prompt)
    padded = np.zeros((1, len(prompt) + count), np.int32)
    for _ in range(count):
        padded[0, : len(tokens)] = tokens
        tokens.append(int(jnp.argmax(decoder.logits(TINY, params, padded)[0, len(tokens) - 1])))
    return tokens[len(prompt) :]


@pytest.mark.long
def test_greedy_tokens_are_those_of_the_forward_pass(params, mesh):
    found = decode.generate(TINY, params, mesh, PROMPTS, 20, [NO_EOS], V, Sampling())
    for prompt, tokens in zip(PROMPTS, found, strict=True):
        assert tokens == without_cache(params, prompt, 20)


def test_logits_after_prefill_and_each_step_are_those_of_the_forward_pass(params):
    text = np.random.default_rng(0).integers(0, TINY.vocab_size, (2, 40)).astype(np.int32)
    expected = decoder.logits(TINY, params, text)
    lengths = np.array([11, 30])
    padded = np.where(np.arange(30) < lengths[:, None], text[:, :30], 99).astype(np.int32)
    logits, cache = decode.prefill(TINY, params, padded, lengths, 64)
    for step in range(10):
        for row in range(2):
            gap = jnp.max(jnp.abs(logits[row] - expected[row, lengths[row] + step - 1]))
            assert gap < 1e-5 * jnp.max(jnp.abs(expected))
        positions = (lengths + step)[:, None]
        x, cache = decode.forward(
            TINY, params, np.take_along_axis(text, positions, axis=1), positions, cache
        )
        logits = decoder.output_logits(decoder.bind(TINY, params), x)[:, 0]


@pytest.mark.long
def test_eos_and_other_rules_end_a_text(params, mesh):
    whole = decode.generate(TINY, params, mesh, PROMPTS, 40, [NO_EOS], V, Sampling())
    eos = whole[1][5]
    ended = decode.generate(TINY, params, mesh, PROMPTS, 40, [eos], V, Sampling())
    for tokens, full in zip(ended, whole, strict=True):
        assert tokens == (full[: full.index(eos)] if eos in full else full)
    sooner = whole[1][2]
    ended = decode.generate(TINY, params, mesh, PROMPTS, 40, [eos, sooner], V, Sampling())
    assert len(ended[1]) <= 2
    for tokens, full in zip(ended, whole, strict=True):
        assert tokens == list(itertools.takewhile(lambda token: token not in (eos, sooner), full))
    asked = []
    stopped = decode.generate(
        TINY,
        params,
        mesh,
        PROMPTS[:1],
        40,
        [NO_EOS],
        V,
        Sampling(),
        lambda row, tokens: asked.append(len(tokens)) or True,
    )
    assert asked == [16]
    assert stopped[0] == whole[0][:16]


@pytest.mark.long
def test_a_rows_draws_do_not_depend_on_its_neighbours(params, mesh):
    hot = Sampling(temperature=1.0, seed=3)
    together = decode.generate(TINY, params, mesh, PROMPTS, 24, [NO_EOS], V, hot)
    assert together[:2] == decode.generate(TINY, params, mesh, PROMPTS[:2], 24, [NO_EOS], V, hot)
    assert (
        together[0]
        != decode.generate(TINY, params, mesh, PROMPTS[:1], 24, [NO_EOS], V, Sampling(1.0, seed=4))[
            0
        ]
    )


@pytest.mark.long
def test_draws_follow_the_distribution_that_is_left():
    logits = jnp.log(jnp.array([0.1, 0.4, 0.3, 0.2]))
    keys = jax.random.split(jax.random.key(0), 20_000)

    def shares(temperature=1.0, top_k=0, top_p=1.0, vocabulary=4):
        choice = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "vocabulary": vocabulary,
        }
        drawn = decode.sample(jnp.broadcast_to(logits, (len(keys), 4)), keys, choice)
        return np.bincount(np.asarray(drawn), minlength=4) / len(keys)

    np.testing.assert_allclose(shares(), [0.1, 0.4, 0.3, 0.2], atol=0.015)
    np.testing.assert_allclose(shares(top_k=2), [0, 4 / 7, 3 / 7, 0], atol=0.015)
    np.testing.assert_allclose(shares(top_p=0.75), [0, 4 / 9, 3 / 9, 2 / 9], atol=0.015)
    squared = np.array([0.01, 0.16, 0.09, 0.04]) / 0.3
    np.testing.assert_allclose(shares(temperature=0.5), squared, atol=0.015)
    np.testing.assert_array_equal(shares(temperature=0.0), [0, 1, 0, 0])
    np.testing.assert_allclose(shares(vocabulary=3), [1 / 8, 4 / 8, 3 / 8, 0], atol=0.015)


def test_meaningless_sampling_is_refused():
    for wrong in ({"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(ValueError, match="must be at least 0"):
            Sampling(**wrong)
