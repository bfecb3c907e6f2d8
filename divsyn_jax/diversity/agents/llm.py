"""The LLM cluster agent: any OpenAI-compatible endpoint partitions every draw, then verifies its
own clusters.

A draw takes one call to cluster its documents and, where a cluster holds two or more, one to verify
(Chen et al. 2024, arXiv 2410.15226, section 2.1; singletons are always valid). A draw whose answer
stays unusable is asked once more with its documents in a fresh order; then it is a recorded
failure. Draws of all corpora are asked in turn, so that a model that drifts during a run drifts for
all of them.

Shapes: D draws, K documents a draw.
"""

import asyncio
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.diversity.agents import control_draws, criteria, kinds, prompts
from divsyn_jax.diversity.agents.base import Agent, Draws, Partitions
from divsyn_jax.diversity.agents.criteria import CriteriaSet
from divsyn_jax.diversity.agents.draw_answers import DrawAnswer, NoDrawAnswer, partitions_of
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.agents.question import Question
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import ControlDrawsRecord, UsageRecord
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.embedding import models
from divsyn_jax.endpoint import heartbeat, running
from divsyn_jax.endpoint.client import Client, ContentFailure, EndpointStopped, Request
from divsyn_jax.endpoint.fence import Fenced
from divsyn_jax.endpoint.sending import canary
from divsyn_jax.endpoint.settings import EndpointSettings

_ORDER_STREAM = 4  # of the random streams of one --seed; criteria and sampling have 0 to 3
_REASON_CHARACTERS = 300
_PROBLEMS_KEPT = 3  # of a failed draw
_LONG_DOCUMENT = 0.95  # quantile of the documents' lengths that the start-up probe tries
_T = TypeVar("_T")


def make_llm_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Agent:
    """See `base.Agent`. Raises what `LLMAgent.prepare` does."""
    if settings.endpoint is None:
        raise UserError(f"--agent={kinds.LLM.name} needs an endpoint: --base_url and --model")
    if settings.embedding_model is not None:  # a missing model is told before anything is paid for
        models.load(settings.embedding_model)
    agent = LLMAgent(
        settings.endpoint,
        settings.judge,
        settings.seed,
        settings.answers,
        _far_apart(settings) if settings.control_variate or settings.baselines else None,
    )
    try:
        agent.prepare(list(samples.values()), settings.sample_size)
        if settings.total_draws < 2 * len(agent.criteria):
            raise UserError(
                f"--draws={settings.total_draws}: give two or more for each of the"
                f" {len(agent.criteria)} criteria sets"
            )
    except BaseException:
        agent.close()
        raise
    return agent


def _far_apart(settings: ScoreSettings) -> control_draws.FarApart | None:
    """Vectors of a sample's documents, where a model for them is installed."""
    from divsyn_jax.diversity.agents.embedding import make_embedding_agent

    try:
        beside = make_embedding_agent(settings, {})
    except UserError:  # scoring by an endpoint needs no model on this machine
        return None

    def vectors(sample: Sample) -> np.ndarray | None:
        try:
            beside.reading(sample).require_readable(sample.spec)
        except UserError:  # documents that it cannot spell are all alike to it
            return None
        return beside.vectors(sample)

    return vectors


class LLMAgent:
    """Partitions draws by asking an endpoint; answers are cached, so a repeated or interrupted run
    pays for nothing twice.
    """

    kind = kinds.LLM

    def __init__(
        self,
        endpoint: EndpointSettings,
        judge: JudgeSettings,
        seed: int,
        cache: pathlib.Path | None = None,
        far_apart: control_draws.FarApart | None = None,
    ) -> None:
        """`cache`: the SQLite file of answers; None keeps none. `far_apart`: unit vectors of a
        sample's documents, for control draws of documents far apart.

        Nothing is asked before `prepare`.
        """
        self.model = endpoint.model
        self.judge = judge
        self.criteria: tuple[CriteriaSet, ...] = ()
        self.probe: canary.Probe | None = None
        self.control_record: ControlDrawsRecord | None = None
        self._controls: control_draws.ControlDraws | None = None
        self._far_apart = far_apart
        self._endpoint, self._seed, self._cache = endpoint, seed, cache
        self._runner: asyncio.Runner | None = None
        self._client: Client | None = None
        self._opened = contextlib.AsyncExitStack()

    def settings(self) -> dict[str, Any]:
        made = dataclasses.asdict(self.judge)
        # They change no answer to a draw: the same score without them is the same.
        del made["control_draws"], made["strict_judge"], made["weak_models"]
        if made.pop(
            "criteria_file"
        ):  # where the criteria come from does not matter, only what they say
            for name in ("criteria_sets", "criteria_documents", "criteria_proposals"):
                made.pop(name)
        return {
            **self._endpoint.identity(),
            **made,
            "prompts": prompts.PROMPTS_VERSION,
            "criteria": criteria.criteria_fingerprint(self.criteria),
        }

    def prepare(self, samples: Sequence[Sample], sample_size: int) -> None:
        """Connect, probe the endpoint with a draw's worth of text, and load or make the criteria
        for the corpora together.

        Raises `UserError` for an endpoint that cannot serve, `Unfinished` when it stopped serving
        or a budget is used up."""
        if self.judge.criteria_file:
            self.criteria = criteria.load_criteria(self.judge.criteria_file)
        self._run(self._prepare(samples, sample_size))
        if self.judge.control_draws and sample_size > 1:
            self._controls = control_draws.make(samples, sample_size, self._seed, self._far_apart)

    async def _prepare(self, samples: Sequence[Sample], sample_size: int) -> None:
        client = await self._open_client()
        lengths = [
            min(len(text), self.judge.document_characters)
            for sample in samples
            for text in sample.texts
        ]
        self.probe = await canary.probe(
            client,
            sample_size,
            max(1, int(np.quantile(lengths, _LONG_DOCUMENT))),
            weak_models=self.judge.weak_models,
        )
        for concession in self.probe.concessions:
            print(f"{self.model}: {concession}", file=sys.stderr)
        if not self.criteria:
            judge = self.judge
            self.criteria = await criteria.make_sets(
                client,
                samples,
                sets=judge.criteria_sets,
                documents=judge.criteria_documents,
                proposals=judge.criteria_proposals,
                characters=judge.document_characters,
                seed=self._seed,
            )

    @property
    def client(self) -> Client:
        """The open client, with the answer mode it settled on."""
        assert self._client is not None, "prepare() opens the client"
        return self._client

    def partition(self, corpora: Sequence[Draws], repetition: int = 0) -> list[Partitions]:
        """Partition each draw of each corpus; see `Agent.partition`.

        Raises `Unfinished` where a rerun would go on.
        """
        controls = self._controls if self.control_record is None else None
        asked = list(corpora)
        if controls is not None:  # among the others, so that a judge cannot tell them
            asked.append(Draws(controls.sample, controls.documents_DK))
        answers = self._run(self._ask_all(asked, repetition))
        if controls is not None:
            self._judge_controls(controls, partitions_of(asked[-1], answers.pop(), self.judge))
        return [
            partitions_of(draws, answered, self.judge)
            for draws, answered in zip(corpora, answers, strict=True)
        ]

    def _judge_controls(self, controls: control_draws.ControlDraws, found: Partitions) -> None:
        assert found.answered_D is not None
        assert found.order_DK is not None
        self.control_record = control_draws.verdict(
            controls, found.labels_DK, found.order_DK, found.answered_D
        )
        said = f"{self.model}: {control_draws.line(self.control_record)}"
        if self.judge.strict_judge and not self.control_record["usable"]:
            raise UserError(f"{said}; nothing is scored under --strict_judge: take another --model")
        print(said, file=sys.stderr)

    def usage(self) -> UsageRecord:
        """What was asked and spent for all corpora together, and how the answers were shaped."""
        assert self.probe is not None, "prepare() probes the endpoint"
        spent = {
            **self.client.usage.to_json(),
            "mode": self.client.mode,
            "concessions": list(self.probe.concessions),
        }
        return cast(UsageRecord, spent)  # the endpoint's own counts, whatever it counts

    def close(self) -> None:
        """Close the connection; the cache is on disk already."""
        if self._runner is not None:
            self._runner.run(self._opened.aclose())
            self._runner.close()
            self._runner = self._client = None

    # --------------------------------------------------------------------------------
    # asking

    async def _ask_all(
        self, corpora: Sequence[Draws], repetition: int
    ) -> list[list["DrawAnswer | NoDrawAnswer"]]:
        from tqdm import tqdm

        client = await self._open_client()
        answers: list[dict[int, DrawAnswer | NoDrawAnswer]] = [{} for _ in corpora]
        todo = _interleaved([len(draws.documents_DK) for draws in corpora])
        total = sum(len(draws.documents_DK) for draws in corpora)
        with tqdm(
            total=total, desc="asking", unit="draw", mininterval=1, file=sys.stderr
        ) as progress:

            async def work() -> None:
                for corpus, row in todo:
                    answers[corpus][row] = await self._ask(client, corpora[corpus], row, repetition)
                    progress.set_postfix_str(client.usage.spent(), refresh=False)
                    progress.update()

            # Twice the ceiling: a worker between two calls must not leave a slot empty.
            async with heartbeat.shown_on(progress, client.usage.spent):
                await _gather([work() for _ in range(min(total, 2 * self._endpoint.side_by_side))])
        client.settle()
        return [[answered[row] for row in sorted(answered)] for answered in answers]

    async def _ask(
        self, client: Client, draws: Draws, row: int, repetition: int
    ) -> "DrawAnswer | NoDrawAnswer":
        number = draws.first + row
        criteria_set = number % len(self.criteria)
        texts = [draws.sample.texts[place] for place in draws.documents_DK[row]]
        rng = np.random.default_rng(
            [self._seed, _ORDER_STREAM, int(draws.sample.fingerprint[:16], 16), number, repetition]
        )
        # A draw's own order is random already; a repetition takes another.
        order_K = np.arange(len(texts)) if repetition == 0 else rng.permutation(len(texts))
        sentences = self.criteria[criteria_set].sentences(rng)
        asked = Question(
            client,
            texts,
            {
                "corpus": draws.sample.fingerprint,
                "draw": number,
                "repetition": repetition,
                **({"control": True} if self._is_control(draws) else {}),
            },
            rng,
            self._seed,
            self.judge.document_characters,
        )
        try:
            value, order_K, tags = await asked.answer(
                "cluster",
                order_K,
                lambda shown, _, identity: prompts.cluster(shown, sentences, identity),
            )
            label_K = np.empty(len(texts), np.int16)
            label_K[order_K] = [value["assignment"][tag] for tag in tags]
            names = {
                entry["id"]: (_line(entry["name"]), _line(entry["reason"]))
                for entry in value["clusters"]
            }
            verdicts = (
                await self._verify(asked, label_K, names, rng)
                if self.judge.verification and not self._is_control(draws)
                else {}
            )
        except ContentFailure as failure:
            return NoDrawAnswer(criteria_set, [failure.outcome, *failure.problems[:_PROBLEMS_KEPT]])
        return DrawAnswer(criteria_set, label_K, order_K, names, verdicts)

    def _is_control(self, draws: Draws) -> bool:
        """Control draws judge the judge's own partition, which needs no verification."""
        return self._controls is not None and draws.sample is self._controls.sample

    async def _verify(
        self,
        asked: Question,
        label_K: np.ndarray,
        names: dict[int, tuple[str, str]],
        rng: np.random.Generator,
    ) -> dict[int, tuple[bool, str]]:
        """Label -> (valid, reason) of the clusters of two and more; the documents are shown in
        another order.
        """
        labels, sizes = np.unique(label_K, return_counts=True)
        grouped = [int(label) for label in labels[sizes > 1]]
        if not grouped:
            return {}

        def request(shown: Fenced, order_K: np.ndarray, identity: dict[str, Any]) -> Request:
            tag_K = dict(zip(order_K, shown.tags, strict=True))
            groups = [
                (*names[label], [tag_K[place] for place in np.flatnonzero(label_K == label)])
                for label in grouped
            ]
            return prompts.verify(shown, groups, identity)

        value, _, _ = await asked.answer("verify", rng.permutation(len(label_K)), request)
        return {
            label: (
                bool(value[f"cluster_{position}"]["valid"]),
                _line(value[f"cluster_{position}"]["reason"]),
            )
            for position, label in enumerate(grouped, 1)
        }

    # -------------------------------------------------------------------------------------------
    # the event loop

    async def _open_client(self) -> Client:
        if self._client is None:
            client = Client(self._endpoint, self._cache)
            self._client = await self._opened.enter_async_context(client)
        return self._client

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        self._runner = self._runner or asyncio.Runner()
        try:
            return running.run_stoppable(work, self._runner)
        except EndpointStopped as stop:
            raise Unfinished(str(stop)) from None


async def _gather(work: Sequence[Awaitable[None]]) -> None:
    """Await all; the first failure cancels the others before it is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _interleaved(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(corpus, row) for all rows of all corpora: row 0 of each, row 1 of each, ..."""
    return (
        (corpus, row)
        for row in range(max(lengths))
        for corpus, length in enumerate(lengths)
        if row < length
    )


def _line(text: str) -> str:
    """One line of bounded length: an answer is quoted in later prompts and in reports."""
    return " ".join(text.split())[:_REASON_CHARACTERS]
