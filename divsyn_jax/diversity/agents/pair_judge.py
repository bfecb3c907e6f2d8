"""Asks an endpoint whether the two documents of a pair are of one kind, several pairs a call.

Each document stands in a fence under a tag that says nothing of its place; which of a pair comes
first is random. Answers are cached: a repeated or interrupted run pays for none twice.

Shapes: P pairs.
"""

import asyncio
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.commandline import Unfinished
from divsyn_jax.endpoint import running
from divsyn_jax.endpoint.answers.strict_schema import object_of
from divsyn_jax.endpoint.client import Client, ContentFailure, EndpointStopped, Request
from divsyn_jax.endpoint.fence import SYSTEM_NOTE, Fenced, fence, quoted
from divsyn_jax.endpoint.settings import EndpointSettings

PAIR_PROMPT_VERSION = 1  # of the wording; a change of it is a change of the judge
PAIRS_A_CALL = 5
_ORDER_STREAM = 5  # of the random streams of one --seed; see `llm`
_SYSTEM = (
    "You are a careful reader. You decide for pairs of documents whether both are of one kind."
)
ONE_KIND = (
    "Two documents are of one kind when they are about the same subject and serve the same purpose,"
    " however they are worded"
)


class PairJudge:
    """Answers about pairs of texts, from an endpoint."""

    def __init__(
        self,
        endpoint: EndpointSettings,
        seed: int,
        cache: pathlib.Path | None = None,
        *,
        one_kind: str = ONE_KIND,
        document_characters: int = 4000,
        pairs_a_call: int = PAIRS_A_CALL,
    ) -> None:
        """Args:
        endpoint: whom to ask.
        seed: of the order of pairs and of the two documents of each.
        cache: SQLite file of answers; None keeps none.
        one_kind: what makes two documents one kind, a clause without its full stop.
        document_characters: every document is cut to this many characters.
        pairs_a_call: pairs in one question.

        Raises:
          ValueError: no pair a call.
        """
        if pairs_a_call < 1:
            raise ValueError(f"pairs_a_call={pairs_a_call} must be positive")
        self.model = endpoint.model
        self._endpoint, self._seed, self._cache = endpoint, seed, cache
        self._one_kind, self._characters = one_kind, document_characters
        self._pairs_a_call = pairs_a_call
        self.usage: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """What determines the answers, as JSON."""
        return {
            **self._endpoint.identity(),
            "prompts": PAIR_PROMPT_VERSION,
            "one_kind": self._one_kind,
            "document_characters": self._characters,
            "pairs_a_call": self._pairs_a_call,
        }

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        """[P] whether the texts of each pair are of one kind; None where no usable answer came.

        Raises:
          UserError: the endpoint cannot serve.
          Unfinished: it stopped serving or a budget is used up; a rerun goes on.
        """
        try:
            return running.run_stoppable(self._judge(pairs))
        except EndpointStopped as stop:
            raise Unfinished(str(stop)) from None

    async def _judge(self, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        from tqdm import tqdm

        answers: list[bool | None] = [None] * len(pairs)
        rng = np.random.default_rng([self._seed, _ORDER_STREAM, len(pairs)])
        order = rng.permutation(len(pairs)).tolist()
        turned = (rng.random(len(pairs)) < 0.5).tolist()
        batches = iter(
            [
                order[start : start + self._pairs_a_call]
                for start in range(0, len(order), self._pairs_a_call)
            ]
        )
        async with Client(self._endpoint, self._cache) as client:
            with tqdm(
                total=len(pairs), desc="judging", unit="pair", mininterval=1, file=sys.stderr
            ) as progress:

                async def work() -> None:
                    for batch in batches:
                        shown = [
                            pairs[index][::-1] if turned[index] else pairs[index] for index in batch
                        ]
                        found = await self._ask(client, shown)
                        for index, answer in zip(batch, found, strict=True):
                            answers[index] = answer
                        progress.set_postfix_str(client.usage.spent(), refresh=False)
                        progress.update(len(batch))

                workers = min(len(pairs), 2 * self._endpoint.side_by_side)
                tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
                try:
                    await asyncio.gather(*tasks)
                finally:  # the first failure ends the others
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
            self.usage = client.usage.to_json()
        return answers

    async def _ask(self, client: Client, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        """The answers to one call; pairs of a call without a usable answer are asked one by one."""
        texts = [text for pair in pairs for text in pair]
        shown = fence(texts, f"{self._seed} pairs {PAIR_PROMPT_VERSION}", self._characters)
        identity = {"pairs": len(pairs), "version": PAIR_PROMPT_VERSION}
        try:
            value = (await client.complete(request(shown, self._one_kind, identity))).value
        except ContentFailure:
            if len(pairs) == 1:
                return [None]
            return [answer for pair in pairs for answer in await self._ask(client, [pair])]
        return [bool(value[f"pair_{number}"]["same"]) for number in range(1, len(pairs) + 1)]


def request(shown: Fenced, one_kind: str, identity: Mapping[str, Any]) -> Request:
    """Whether documents 1 and 2, 3 and 4, ... of the fenced ones are of one kind.

    The answer holds `pair_1`, ...: a reason, then `same`, 1 or 0.
    """
    tags = list(zip(shown.tags[::2], shown.tags[1::2], strict=True))
    keys = [f"pair_{number}" for number in range(1, len(tags) + 1)]
    listed = "\n".join(
        f"- {key}: {one} and {two}" for key, (one, two) in zip(keys, tags, strict=True)
    )
    verdict = object_of({"reason": {"type": "string"}, "same": {"type": "integer", "enum": [0, 1]}})
    return Request(
        purpose="pairs",
        system=f"{_SYSTEM}\n{SYSTEM_NOTE}",
        user=(
            f"{quoted(one_kind)}. Below are {len(tags)} pairs of documents. Decide for each pair on"
            " its own: give a short reason, then 1 if both documents are of one kind and 0 if they"
            f" are of two kinds.\n\nPairs:\n{listed}\n\nDocuments:\n\n{shown.text}"
        ),
        schema=object_of(dict.fromkeys(keys, verdict)),
        identity=identity,
        check=lambda value: [],
        max_output_tokens=100 + 100 * len(tags),
    )
