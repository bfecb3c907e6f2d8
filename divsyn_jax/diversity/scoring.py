"""Scores corpora: sample, draw, judge, estimate; the result is the content of score.json.

Shapes: D draws, K documents a draw.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import NotRequired, TypedDict, cast

import numpy as np

from divsyn_jax.base.parts import WorkPart
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.diversity import baselines, copies, embedder, result
from divsyn_jax.diversity.agents.base import (
    Agent,
    ControlledJudge,
    Draws,
    Embedder,
    record_of,
)
from divsyn_jax.diversity.estimation.all_pairs import pair_distances
from divsyn_jax.diversity.estimation.document_curve import document_curve
from divsyn_jax.diversity.estimation.reliability import RetestRecord
from divsyn_jax.diversity.facets.measured import measure_facets
from divsyn_jax.diversity.facets.records import FacetRecord
from divsyn_jax.diversity.judging import Judged, judge
from divsyn_jax.diversity.redundancy.find import find_redundancy
from divsyn_jax.diversity.redundancy.records import Redundancy
from divsyn_jax.diversity.sampling import (
    Sample,
    random_draws,
    random_order,
    read_sample,
    require_documents,
)
from divsyn_jax.diversity.score_file import SCORE_VERSION
from divsyn_jax.diversity.score_records import (
    ControlDrawsRecord,
    ControlVariateRecord,
    CorpusRecord,
    DrawRecord,
    Identity,
    Score,
    SettingsRecord,
)
from divsyn_jax.diversity.settings import ScoreSettings


class _Controlled(TypedDict):
    """The part of a score that control draws add."""

    control_draws: NotRequired[ControlDrawsRecord]


class _Faceted(TypedDict):
    """The part of a score that facets add."""

    facets: NotRequired[dict[str, FacetRecord]]


def make_agent(settings: ScoreSettings, samples: Mapping[str, Sample]) -> Agent:
    """The agent asked for, ready to judge draws of these corpora.

    Raises `UserError` when it lacks what it needs.
    """
    module, _, function = settings.kind.maker.partition(":")
    made: Agent = getattr(importlib.import_module(module), function)(settings, samples)
    return made


def sample_corpus(spec: str | CorpusReader, settings: ScoreSettings) -> Sample:
    """Read a corpus once. Raises `UserError` when it is unreadable or too small for a draw."""
    label_field = settings.label_field if settings.kind.reads_labels else None
    sample = read_sample(
        spec,
        settings.read,
        documents=settings.max_documents,
        label_field=label_field,
        seed=settings.seed,
        group_field=settings.pairs.group_field,
    )
    require_documents(sample, settings.sample_size)
    return sample


def corpus_shared_text(sample: Sample, settings: ScoreSettings) -> baselines.SharedText:
    """The text this corpus can contribute to baselines; corpora compared share the smallest."""
    return baselines.largest_shared_text(_shuffled(sample, settings.seed), settings.baseline_tokens)


def identity(
    name: str, sample: Sample, agent: Agent, shared: baselines.SharedText, settings: ScoreSettings
) -> Identity:
    """The part of score.json that determines the rest: the same identity means the same score."""
    return {
        "version": SCORE_VERSION,
        "corpus": corpus_record(name, sample),
        "agent": record_of(agent),
        "settings": _settings_record(sample, agent, shared, settings),
    }


def corpus_record(name: str, sample: Sample) -> CorpusRecord:
    """What was read, as score.json names it."""
    return {
        "name": name,
        "path": sample.spec,
        "documents": sample.documents,
        "tokens": sample.words,
        "token_unit": "words (UAX 29 segments)",
        "fingerprint": sample.fingerprint,
        "label_fingerprint": sample.label_fingerprint,
        "malformed": sample.malformed,
        "empty": sample.empty,
        "problems": sample.problems,
        "left_out": sample.left_out,
    }


def _settings_record(
    sample: Sample, agent: Agent, shared: baselines.SharedText, settings: ScoreSettings
) -> SettingsRecord:
    rule = settings.stopping_rule()
    record: SettingsRecord = {
        "sample_size": settings.sample_size,
        "draws": settings.total_draws,
        "stopping": None if rule is None else rule.to_json(),
        "retest": 0 if agent.kind.free else settings.retest,
        "control_variate": settings.control_variate and not agent.kind.free,
        "seed": settings.seed,
        "max_documents": settings.max_documents,
        "rounds": settings.rounds,
        "document_words": shared.document_words,
        "judged_words": shared.judged_words,
        "baselines": list(settings.baselines),
        "baseline_words": shared.words,
        "baseline_bytes": shared.bytes,
        "baseline_documents": shared.documents,
        "parity": settings.parity,
        "perplexity_models": list(settings.perplexity_models),
    }
    if settings.facets:
        record["facets"] = list(settings.facets)
    # Only where one is named, so that other scores keep the identity that they had.
    if settings.embedding_model is not None:
        record["embedding_model"] = settings.embedding_model
    if settings.proxy:
        record["proxy"] = settings.proxy
    asked = {**settings.pairs.identity(), **_judge_identity(sample, settings)}
    return cast(SettingsRecord, {**record, **asked})


def _judge_identity(sample: Sample, settings: ScoreSettings) -> dict[str, object]:
    """Who is asked about pairs, and what groups there are: both only where they are asked for."""
    found: dict[str, object] = {}
    if settings.pairs.pair_judge is not None and settings.endpoint is not None:
        found["pair_endpoint"] = settings.endpoint.identity()
        found["pair_characters"] = settings.judge.document_characters
    if sample.group_fingerprint is not None:
        found["group_fingerprint"] = sample.group_fingerprint
    return found


def score_corpora(
    samples: Mapping[str, Sample],
    agent: Agent,
    shared: baselines.SharedText,
    settings: ScoreSettings,
) -> dict[str, tuple[Score, list[DrawRecord]]]:
    """Score corpora that have been read, their draws asked in turn.

    Returns:
      by corpus: the content of score.json, and the records of draws.jsonl.
    """
    read = {name: as_read(sample, shared) for name, sample in samples.items()}
    draws = {
        name: random_draws(sample, settings.total_draws, settings.sample_size, settings.seed)
        for name, sample in read.items()
    }
    judged = judge(agent, read, draws, settings.stopping_rule())
    retests = {name: result.retest(agent, found, settings.retest) for name, found in judged.items()}
    return {
        name: (
            _content(name, samples[name], found, retests[name], agent, shared, settings),
            result.records(found),
        )
        for name, found in judged.items()
    }


def ask_part(
    samples: Mapping[str, Sample],
    agent: Agent,
    shared: baselines.SharedText,
    settings: ScoreSettings,
    part: WorkPart,
) -> tuple[int, int]:
    """Put a part of the draws of every corpus to the agent, with their repetitions, for the answers
    alone.

    Returns:
      draws asked, and how many of them have no usable answer.
    """
    mine: list[Draws] = []
    for sample in (as_read(each, shared) for each in samples.values()):
        draws_DK = random_draws(sample, settings.total_draws, settings.sample_size, settings.seed)
        mine += [
            Draws(sample, draws_DK[number : number + 1], number)
            for number in range(len(draws_DK))
            if part.holds(number)
        ]
    again = [draw for draw in mine if draw.first < settings.retest]
    answered = agent.partition(mine) if mine else []
    if again:
        agent.partition(again, repetition=1)
    failed = sum(each.answered_D is not None and not each.answered_D.all() for each in answered)
    return len(mine), failed


def as_read(sample: Sample, shared: baselines.SharedText) -> Sample:
    """The sample with its documents cut to the length at which corpora are compared, where there is
    one.
    """
    return sample if shared.judged_words is None else sample.cut_to(shared.judged_words)


def _content(
    name: str,
    sample: Sample,
    judged: Judged,
    retest: RetestRecord,
    agent: Agent,
    shared: baselines.SharedText,
    settings: ScoreSettings,
) -> Score:
    embedding, no_vectors = embedder.beside(agent, settings, name, judged.sample)
    distances = None if embedding is None else pair_distances(embedding.vectors(judged.sample))
    of_pairs = isinstance(agent, Embedder)
    numbers = result.metric(judged, distances if of_pairs else None)
    order_N = random_order(sample, settings.seed)
    cut = (
        ""
        if shared.judged_words is None
        else f", each cut to its first {shared.judged_words} words"
    )
    return {
        **identity(name, sample, agent, shared, settings),
        "population": (
            f"the {len(sample):,} sampled documents of {sample.documents:,}{cut}; intervals"
            " are over the documents that the same process might have written and over draws"
            f"{_OF_PAIRS * of_pairs}, the Monte Carlo error is that of draws from these documents"
        ),
        "lengths": shared.to_json(),
        **numbers,
        "by_documents": (
            document_curve(embedding.vectors(judged.sample), distances, order_N)
            if of_pairs and embedding is not None and distances is not None
            else None
        ),
        "by_sample_size": result.by_sample_size(judged, agent, settings.seed),
        "verification": result.verification(judged),
        "position_bias": result.position_bias_record(judged),
        "test_retest": retest,
        "control_variate": _control_variate(judged, agent, embedding, no_vectors, settings),
        **copies.duplicates(judged.sample, embedding, distances),
        "baselines": baselines.compute(
            sample,
            shared,
            settings.baseline_settings(),
            _vectors(judged.sample, embedding),
            no_vectors,
        ),
        "reading": None if embedding is None else embedding.reading(judged.sample).to_json(),
        "usage": agent.usage(),
        **_controlled(agent),
        **_facets(judged.sample, embedding, no_vectors, settings),
        "draws_written": min(result.DRAWS_WRITTEN, len(judged.draws_DK)),
    }


def redundancy(
    name: str, sample: Sample, agent: Agent, shared: baselines.SharedText, settings: ScoreSettings
) -> Redundancy | None:
    """Where a corpus repeats itself; None where nobody embeds its documents."""
    judged = as_read(sample, shared)
    embedding, _ = embedder.beside(agent, settings, name, judged)
    if embedding is None:
        return None
    from divsyn_jax.diversity.agents.embedding import NEAR_DUPLICATE_DISTANCE

    vectors_NE = embedding.vectors(judged)
    return find_redundancy(
        sample,
        judged,
        vectors_NE,
        pair_distances(vectors_NE),
        settings.threshold,
        NEAR_DUPLICATE_DISTANCE,
        settings.seed,
    )


def _facets(
    sample: Sample, embedding: Embedder | None, no_vectors: str, settings: ScoreSettings
) -> _Faceted:
    """The facets asked for."""
    if not settings.facets:
        return {}
    vectors_NE = None if embedding is None else embedding.vectors(sample)
    return {"facets": measure_facets(settings.facets, sample.texts, vectors_NE, no_vectors)}


def _controlled(agent: Agent) -> _Controlled:
    """What the judge made of draws whose answer is known, where it was put to any."""
    if isinstance(agent, ControlledJudge) and agent.control_record is not None:
        return {"control_draws": agent.control_record}
    return {}


_OF_PAIRS = " (of effective clusters over documents alone, as all pairs are read)"
_CONTROL_STREAM = 1  # added to the seed: draws for the cheap mean must not be the judged ones


def _control_variate(
    judged: Judged,
    agent: Agent,
    embedding: Embedder | None,
    no_vectors: str,
    settings: ScoreSettings,
) -> ControlVariateRecord | None:
    if agent.kind.free:
        return None
    if not settings.control_variate:
        return {"reason": "not asked for (--control_variate)"}
    if embedding is None:
        return {"reason": no_vectors}
    many_DK = random_draws(
        judged.sample, result.CHEAP_DRAWS, settings.sample_size, settings.seed + _CONTROL_STREAM
    )
    return result.with_control_variate(judged, embedding, many_DK)


def _vectors(sample: Sample, embedding: Embedder | None) -> Callable[[], np.ndarray] | None:
    return None if embedding is None else lambda: embedding.vectors(sample)


def _shuffled(sample: Sample, seed: int) -> list[str]:
    return [sample.texts[position] for position in random_order(sample, seed)]
