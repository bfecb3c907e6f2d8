"""Text from a model, token by token, with a cache of keys and values.

The cache holds, for every layer, the keys and values of every position: two arrays [N, B, M, G, K],
slot m of a row being position m of its text. Prompts of unequal length are padded on the right;
what padding leaves in a slot is overwritten when the text arrives there, and until then lies in the
future of every query.

Shape legend: N layers, B rows, L new tokens, M slots, S tokens decoded in one call, D hidden, H
query heads, G key/value heads, R = H/G, K head dimension, V vocabulary."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.attention import Attend, LayerState, dense_attention
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.model.decoder import Params
from divsyn_jax.model.sampling import Sampling

_CHUNK = 16  # tokens decoded between two looks at what was written
_SLOTS = 64  # shapes are multiples of this, so that few are compiled


def forward(
    config: ModelConfig,
    params: Params,
    tokens_BL: jax.Array,
    positions_BL: jax.Array,
    cache: dict[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Final hidden states [B, L, D] of new tokens at `positions_BL`, and the cache with their keys
    and values in it.
    """
    # Many shapes are compiled, and a loop compiles in the time of one layer.
    model = decoder.bind(dataclasses.replace(config, scan=True), params)
    return model.hidden_states(tokens_BL, positions_BL, attend_over_cache(positions_BL), cache)


def attend_over_cache(positions_BL: jax.Array) -> Attend:
    """The attention of decoding: new tokens at `positions_BL` are written into the layer's cache
    {keys, values: [B, M, G, K]} and see every slot up to their own.
    """
    rows_B1 = jnp.arange(positions_BL.shape[0])[:, None]

    def attend(
        cache: LayerState, q_BLHK: jax.Array, k_BLGK: jax.Array, v_BLGK: jax.Array
    ) -> tuple[jax.Array, LayerState]:
        keys_BMGK = cache["keys"].at[rows_B1, positions_BL].set(k_BLGK)
        values_BMGK = cache["values"].at[rows_B1, positions_BL].set(v_BLGK)
        allowed_BLM = jnp.arange(keys_BMGK.shape[1]) <= positions_BL[:, :, None]
        a_BLHK = dense_attention(q_BLHK, keys_BMGK, values_BMGK, allowed_BLM)
        return a_BLHK, {"keys": keys_BMGK, "values": values_BMGK}

    return attend


@functools.partial(jax.jit, static_argnums=(0, 4))
def prefill(
    config: ModelConfig, params: Params, tokens_BL: jax.Array, length_B: jax.Array, slots: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Logits [B, V] after the last token of each prompt, and a cache of M = `slots` that holds the
    prompts.
    """
    B = tokens_BL.shape[0]
    empty = jnp.zeros((config.layers, B, slots, config.kv_heads, config.head_dim), config.dtype)
    cache = {"keys": empty, "values": empty}
    x_BLD, cache = forward(config, params, tokens_BL, decoder.default_positions(tokens_BL), cache)
    last_B1D = jnp.take_along_axis(x_BLD, (length_B - 1)[:, None, None], axis=1)
    return decoder.output_logits(decoder.bind(config, params), last_B1D)[:, 0], cache


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def decode_chunk(
    config: ModelConfig,
    params: Params,
    state: dict[str, Any],
    keys_B: jax.Array,
    choice: dict[str, Any],
):
    """Up to S = `_CHUNK` tokens more in every row, fewer when all rows are done: (state, tokens [B,
    S]).

    `state` holds `cache`, `logits` [B, V] of the next token, `position` [B] it goes to, and `done`
    [B]; a row that is done repeats the first of the ids that end a text. `choice` holds
    temperature, top_k, top_p, stops (those ids) and vocabulary. A row ends by itself at the last
    slot of the cache."""
    B, M = state["logits"].shape[0], state["cache"]["keys"].shape[2]

    def condition(carry):
        step, state, _ = carry
        return (step < _CHUNK) & ~jnp.all(state["done"])

    def body(carry):
        step, state, tokens_BS = carry
        keys = jax.vmap(jax.random.fold_in)(keys_B, state["position"])
        chosen_B = jnp.where(
            state["done"], choice["stops"][0], sample(state["logits"], keys, choice)
        )
        is_end_B = jnp.isin(chosen_B, choice["stops"])
        done_B = state["done"] | is_end_B | (state["position"] >= M - 1)
        position_B = jnp.minimum(state["position"], M - 1)
        x_B1D, cache = forward(
            config, params, chosen_B[:, None], position_B[:, None], state["cache"]
        )
        logits_BV = decoder.output_logits(decoder.bind(config, params), x_B1D)[:, 0]
        state = {
            "cache": cache,
            "logits": logits_BV,
            "position": state["position"] + ~state["done"],
            "done": done_B,
        }
        return step + 1, state, tokens_BS.at[:, step].set(chosen_B)

    tokens_BS = jnp.full((B, _CHUNK), choice["stops"][0], jnp.int32)
    _, state, tokens_BS = jax.lax.while_loop(condition, body, (0, state, tokens_BS))
    return state, tokens_BS


def sample(logits_BV: jax.Array, keys_B: jax.Array, choice: dict[str, Any]) -> jax.Array:
    """The next token [B] of every row, drawn with its own key; see `Sampling`.

    Ids from `choice["vocabulary"]` on pad the model's vocabulary and stand for no text: they are
    never chosen."""
    logits_BV = jnp.where(
        jnp.arange(logits_BV.shape[-1]) < choice["vocabulary"], logits_BV, -jnp.inf
    )
    order_BV = jnp.argsort(-logits_BV, axis=-1)
    sorted_BV = jnp.take_along_axis(logits_BV, order_BV, axis=-1) / jnp.maximum(
        choice["temperature"], 1e-6
    )
    probability_BV = jax.nn.softmax(sorted_BV, axis=-1)
    before_BV = jnp.cumsum(probability_BV, axis=-1) - probability_BV
    top_k = jnp.where(choice["top_k"] > 0, choice["top_k"], logits_BV.shape[-1])
    kept_BV = (jnp.arange(logits_BV.shape[-1]) < top_k) & (before_BV < choice["top_p"])
    drawn_B = jax.vmap(jax.random.categorical)(keys_B, jnp.where(kept_BV, sorted_BV, -jnp.inf))
    rank_B = jnp.where(choice["temperature"] > 0, drawn_B, 0)
    return jnp.take_along_axis(order_BV, rank_B[:, None], axis=-1)[:, 0].astype(jnp.int32)


def generate(
    config: ModelConfig,
    params: Params,
    mesh: Mesh,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    stops: Sequence[int],
    vocabulary: int,
    sampling: Sampling,
    stopped: Callable[[int, list[int]], bool] = lambda row, tokens: False,
) -> list[list[int]]:
    """Continue each prompt (ids, not empty) by at most `max_tokens` tokens.

    Args: stops: ids that end a text, EOS first; they are not returned. vocabulary: number of ids of
      the tokenizer; the model's may be padded. stopped: asked now and then, with a row and its new
      tokens, whether that text has ended by another rule.
    """
    splits = mesh.shape["replica"] * mesh.shape["fsdp"]
    rows = -(-len(prompts) // splits) * splits
    longest = max(map(len, prompts))
    tokens_BL = np.full((rows, _rounded(longest)), stops[0], np.int32)
    length_B = np.ones(rows, np.int32)
    for row, prompt in enumerate(prompts):
        tokens_BL[row, : len(prompt)], length_B[row] = prompt, len(prompt)
    where = sharding.batch_sharding(mesh)
    tokens_BL, length_B = jax.device_put(tokens_BL, where), jax.device_put(length_B, where)
    logits_BV, cache = prefill(
        config, params, tokens_BL, length_B, _rounded(longest + max_tokens + 1)
    )
    done = np.arange(rows) >= len(prompts)
    state = {
        "cache": cache,
        "logits": logits_BV,
        "position": length_B,
        "done": jax.device_put(done, where),
    }
    keys_B = jax.vmap(jax.random.fold_in, (None, 0))(
        jax.random.key(sampling.seed), jnp.arange(rows)
    )
    choice = {
        "temperature": jnp.float32(sampling.temperature),
        "top_k": jnp.int32(sampling.top_k),
        "top_p": jnp.float32(sampling.top_p),
        "stops": jnp.asarray(stops, jnp.int32),
        "vocabulary": jnp.int32(vocabulary),
    }
    found: list[list[int]] = [[] for _ in prompts]
    for _ in range(0, max_tokens, _CHUNK):
        state, tokens_BS = decode_chunk(config, params, state, keys_B, choice)
        done = np.array(state["done"])
        for row, new in enumerate(np.asarray(tokens_BS)[: len(prompts)].tolist()):
            if not found[row] or found[row][-1] not in stops:
                found[row] += new[: _end(new, stops) + 1]
            done[row] |= len(found[row]) >= max_tokens or stopped(row, found[row])
        if done.all():
            break
        state["done"] = jax.device_put(done, where)
    kept = [tokens[:max_tokens] for tokens in found]
    return [tokens[: _end(tokens, stops)] for tokens in kept]


def _end(tokens: Sequence[int], stops: Sequence[int]) -> int:
    """Where the first of `stops` stands; the length of `tokens` where none does."""
    return next((place for place, token in enumerate(tokens) if token in stops), len(tokens))


def _rounded(size: int) -> int:
    return -(-size // _SLOTS) * _SLOTS
