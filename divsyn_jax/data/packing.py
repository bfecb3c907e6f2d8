"""Packing of conversations into windows: best-fit decreasing, every conversation whole."""

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np

from divsyn_jax.data import shards
from divsyn_jax.data.chat import ChatTemplate, Message
from divsyn_jax.data.jinja_template import JinjaTemplate
from divsyn_jax.data.tokenizer import Tokenizer


def best_fit_decreasing(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items of `sizes` into bins of `capacity`: the largest first, each into the fullest bin
    that still takes it.

    Asymptotically at most 11/9 of the fewest bins possible (Johnson et al. 1974). A function of its
    arguments alone: items of one size keep their order, and among equally full bins the oldest is
    taken.

    Returns:
      The bins in the order they were opened, each a rising list of indices into `sizes`.

    Raises:
      ValueError: an item is larger than a bin.
    """
    bins: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room left, bin) of the bins that have any, rising
    for item in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        size = sizes[item]
        if size > capacity:
            raise ValueError(f"item {item} of size {size} is larger than a bin of {capacity}")
        place = bisect.bisect_left(rooms, (size, 0))
        if place < len(rooms):
            room, chosen = rooms.pop(place)
            bins[chosen].append(item)
        else:
            room, chosen = capacity, len(bins)
            bins.append([item])
        if room > size:
            bisect.insort(rooms, (room - size, chosen))
    return [sorted(items) for items in bins]


@dataclasses.dataclass(frozen=True)
class PackedConversations:
    """Conversations laid out in windows.

    Attributes: windows: see `best_fit` in divsyn_jax/data/shards.py. documents: the records of
      `documents.json`, in the order of windows and segments: `bytes` of the responses. tokens:
      tokens of the packed conversations, template included. too_long: conversations that no window
      holds, as `place: why`; they are in none.
    """

    windows: list[np.ndarray]
    documents: list[dict[str, int]]
    tokens: int
    too_long: list[str]


def pack_conversations(
    conversations: Sequence[tuple[str, Sequence[Message]]],
    tokenizer: Tokenizer,
    template: ChatTemplate | JinjaTemplate,
    seq_len: int,
    dtype: np.dtype,
) -> PackedConversations:
    """Tokenise conversations, given as (place, messages), and pack them whole into windows of
    `seq_len` inputs.
    """
    encoded = template.encode_conversations(tokenizer, [messages for _, messages in conversations])
    sizes = [len(tokens) - 1 for tokens, _ in encoded]  # the last token is only a target
    fits = [index for index, size in enumerate(sizes) if size <= seq_len]
    bins = best_fit_decreasing([sizes[index] for index in fits], seq_len)
    windows, documents = [], []
    for items in bins:
        chosen = [fits[item] for item in items]
        windows.append(shards.packed_window([encoded[index] for index in chosen], dtype))
        for index in chosen:
            responses = [
                message["content"]
                for message in conversations[index][1]
                if message["role"] == "assistant"
            ]
            documents.append({"bytes": sum(len(text.encode()) for text in responses)})
    too_long = [
        f"{where}: {size:,} inputs, a window holds {seq_len:,}"
        for (where, _), size in zip(conversations, sizes, strict=True)
        if size > seq_len
    ]
    return PackedConversations(
        windows, documents, sum(sizes[index] + 1 for index in fits), too_long
    )
