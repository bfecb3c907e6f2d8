"""Log-likelihoods of continuations: requests that share a beginning share its computation.

The choices of a question repeat its context, so they are laid out in one row: the shared prefix
once, then a branch for each. A branch sees the prefix and itself, at the positions it would have
alone; a log-likelihood is that of the text alone.

Rows go to the device in batches of few fixed shapes. Everything is float32, log-softmax included,
so results do not depend on how requests were batched beyond rounding.

Shape legend: B rows, L slots of a row, T scored tokens of a batch, D hidden, V vocabulary, H, K
heads."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.attention import Attend, LayerState, dense_attention
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.model.decoder import Params

_ROW_SLOTS = 512  # rows are not made longer than this by sharing
_WORTH = 0.75  # a request joins a row when it adds at most this share of its own length
_TARGET_CHUNK = 512  # logits of so many tokens exist at one time


@dataclasses.dataclass(frozen=True)
class ContinuationRequest:
    """Score `tokens[context:]` given what precedes; `context` is at least 1."""

    tokens: Sequence[int]
    context: int


@dataclasses.dataclass(frozen=True)
class Row:
    """Requests with a common prefix:

    `members` are indices of requests; their first `prefix` tokens are the same.
    """

    members: tuple[int, ...]
    prefix: int
    slots: int


def plan_rows(requests: Sequence[ContinuationRequest]) -> list[Row]:
    """Group requests into rows, longest rows first.

    The last token of a request is predicted, never fed in.
    """
    fed = [tuple(request.tokens[:-1]) for request in requests]
    rows: list[Row] = []
    for index in sorted(
        range(len(fed)), key=lambda i: fed[i]
    ):  # neighbours share the longest beginnings
        if rows:
            row = rows[-1]
            prefix = min(row.prefix, _common_prefix(fed[row.members[0]], fed[index]))
            slots = prefix + sum(len(fed[i]) - prefix for i in (*row.members, index))
            if slots <= _ROW_SLOTS and slots - row.slots <= _WORTH * len(fed[index]):
                rows[-1] = Row((*row.members, index), prefix, slots)
                continue
        rows.append(Row((index,), len(fed[index]), len(fed[index])))
    return sorted(rows, key=lambda row: -row.slots)


def score_continuations(
    config: ModelConfig,
    params: Params,
    mesh: Mesh,
    requests: Sequence[ContinuationRequest],
    batch_tokens: int,
) -> Iterator[dict[int, tuple[float, bool]]]:
    """Batch by batch: {request index: (log-likelihood in nats, every token was the likeliest)}.

    `batch_tokens` bounds the slots of a batch (a row longer than it is a batch of its own).
    """
    splits = mesh.shape["replica"] * mesh.shape["fsdp"]
    where = sharding.batch_sharding(mesh)
    rows = plan_rows(requests)
    start = 0
    while start < len(rows):
        L = _bucket(rows[start].slots)
        B = max(splits, _power_of_two_below(batch_tokens // L) // splits * splits)
        batch = [row for row in rows[start : start + B] if _bucket(row.slots) == L]
        start += len(batch)
        B = min(B, splits * -(-_power_of_two_above(len(batch)) // splits))
        tokens, positions, branches = (np.zeros((B, L), np.int32) for _ in range(3))
        owners, targets = [], []
        for number, row in enumerate(batch):
            for owner, slot, target in _lay_out(
                row, requests, tokens[number], positions[number], branches[number]
            ):
                owners.append(owner)
                targets.append((number, slot, target))
        T = max(64, _power_of_two_above(len(targets)))
        targets_T3 = np.zeros((T, 3), np.int32)
        targets_T3[: len(targets)] = targets
        inputs = (jax.device_put(array, where) for array in (tokens, positions, branches))
        nll_T, greedy_T = score_targets(config, params, *inputs, targets_T3)
        nll, greedy = (
            np.asarray(nll_T, np.float64)[: len(targets)],
            np.asarray(greedy_T)[: len(targets)],
        )
        sums: dict[int, tuple[float, bool]] = {}
        for owner, n, g in zip(owners, nll.tolist(), greedy.tolist(), strict=True):
            total, all_greedy = sums.get(owner, (0.0, True))
            sums[owner] = (total - n, all_greedy and g)
        yield sums


@functools.partial(jax.jit, static_argnums=0)
def score_targets(
    config: ModelConfig,
    params: Params,
    tokens_BL: jax.Array,
    positions_BL: jax.Array,
    branches_BL: jax.Array,
    targets_T3: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Negative log-likelihood [T] of each target (row, slot it follows, token id), and whether it
    is the likeliest token [T].

    `branches_BL` is 0 in the prefix of a row, and a number of its own in each branch.
    """
    # Many shapes are compiled, and a loop compiles in the time of one layer.
    model = decoder.bind(dataclasses.replace(config, scan=True), params)
    x_BLD, _ = model.hidden_states(tokens_BL, positions_BL, attend_within_branches(branches_BL))

    def target_step(chunk_C3):
        x_1CD = x_BLD[chunk_C3[:, 0], chunk_C3[:, 1]][None]
        logits_CV = decoder.output_logits(model, x_1CD)[0]
        at_target_C = jnp.take_along_axis(logits_CV, chunk_C3[:, 2:], axis=-1)[:, 0]
        greedy_C = jnp.argmax(logits_CV, axis=-1) == chunk_C3[:, 2]
        return jax.nn.logsumexp(logits_CV, axis=-1) - at_target_C, greedy_C

    T = targets_T3.shape[0]
    chunk = min(T, _TARGET_CHUNK)
    nll, greedy = jax.lax.map(target_step, targets_T3.reshape(T // chunk, chunk, 3))
    # On every device, so that every process can read it.
    return jax.lax.with_sharding_constraint((nll.reshape(T), greedy.reshape(T)), PartitionSpec())


def attend_within_branches(branches_BL: jax.Array) -> Attend:
    """The attention of scoring: a token sees those before it of the row's prefix (branch 0) and of
    its own branch.
    """
    L = branches_BL.shape[1]
    causal_LL = jnp.arange(L)[:, None] >= jnp.arange(L)[None, :]
    visible_BLL = (branches_BL[:, None, :] == 0) | (
        branches_BL[:, None, :] == branches_BL[:, :, None]
    )
    allowed_BLL = causal_LL & visible_BLL

    def attend(state: LayerState, q_BLHK: jax.Array, k_BLGK: jax.Array, v_BLGK: jax.Array):
        return dense_attention(q_BLHK, k_BLGK, v_BLGK, allowed_BLL), state

    return attend


def _lay_out(
    row: Row, requests: Sequence[ContinuationRequest], tokens: Any, positions: Any, branches: Any
):
    """Fill one row's arrays and yield (request index, slot, target id) of every scored token."""
    P = row.prefix
    first = requests[row.members[0]].tokens
    tokens[:P], positions[:P] = first[:P], np.arange(P)
    begin = P
    for branch, index in enumerate(row.members, 1):
        request = requests[index]
        size = len(request.tokens) - 1 - P
        tokens[begin : begin + size] = request.tokens[P:-1]
        positions[begin : begin + size] = np.arange(P, P + size)
        branches[begin : begin + size] = branch
        for position in range(request.context - 1, len(request.tokens) - 1):
            slot = position if position < P else begin + position - P
            yield index, slot, request.tokens[position + 1]
        begin += size


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for length, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return length
    return min(len(left), len(right))


def _bucket(slots: int) -> int:
    """The next of 16, 24, 32, 48, 64, 96, ...:

    few shapes, and at most a third of a row is padding.
    """
    power = max(16, _power_of_two_above(slots))
    return power * 3 // 4 if power > 16 and slots <= power * 3 // 4 else power


def _power_of_two_above(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _power_of_two_below(number: int) -> int:
    return 1 << max(0, number.bit_length() - 1)
