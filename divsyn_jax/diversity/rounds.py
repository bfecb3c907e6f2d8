"""Rounds: score fresh samples of the same corpora, and say how far every metric moves between them.

Chen et al. 2024 (arXiv 2410.15226), section 3.1, draw 1M documents anew in each of 10 rounds with
different seeds and report the mean and the spread over rounds. One round's own interval speaks of
one sample; the spread over rounds needs no formula."""

import dataclasses
import statistics
from collections.abc import Mapping

from divsyn_jax.base.parts import WorkPart
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.diversity import scoring
from divsyn_jax.diversity.agents.base import Agent
from divsyn_jax.diversity.baselines import SharedText
from divsyn_jax.diversity.comparison import COMPARED, measurement
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import Score, Spread
from divsyn_jax.diversity.settings import ScoreSettings


def ask_part_of_rounds(
    corpora: Mapping[str, str | CorpusReader],
    samples: Mapping[str, Sample],
    agent: Agent,
    shared: SharedText,
    settings: ScoreSettings,
    part: WorkPart,
) -> tuple[int, int]:
    """`scoring.ask_part` for the `samples` of the first round and those of all further ones."""
    asked, failed = scoring.ask_part(samples, agent, shared, settings, part)
    for anew in _further(settings):
        fresh = {name: scoring.sample_corpus(corpora[name], anew) for name in samples}
        more, lost = scoring.ask_part(fresh, agent, shared, anew, part)
        asked, failed = asked + more, failed + lost
    return asked, failed


def _further(settings: ScoreSettings) -> list[ScoreSettings]:
    """The settings of every round but the first."""
    seeds = range(settings.seed + 1, settings.seed + settings.rounds)
    return [dataclasses.replace(settings, seed=seed, retest=0, rounds=1) for seed in seeds]


def add_rounds(
    scores: Mapping[str, Score],
    corpora: Mapping[str, str | CorpusReader],
    agent: Agent,
    shared: SharedText,
    settings: ScoreSettings,
) -> None:
    """Score `settings.rounds` - 1 further samples of each corpus and put `rounds` into each of
    `scores` (round 0).

    `rounds`: {rounds, seeds, metrics: {metric: {mean, sd, values}}}; a metric without a value has
    none."""
    found = {name: [score] for name, score in scores.items()}
    seeds = [settings.seed + number for number in range(settings.rounds)]
    for anew in _further(settings):
        samples = {name: scoring.sample_corpus(corpora[name], anew) for name in scores}
        for name, (score, _) in scoring.score_corpora(samples, agent, shared, anew).items():
            found[name].append(score)
    for name, score in scores.items():
        metrics: dict[str, Spread] = {}
        for metric in COMPARED:
            every = [measurement(each, metric)["value"] for each in found[name]]
            values = [value for value in every if value is not None]
            if len(values) == len(every):
                metrics[metric] = {
                    "mean": statistics.fmean(values),
                    "sd": statistics.stdev(values),
                    "values": values,
                }
        score["rounds"] = {"rounds": settings.rounds, "seeds": seeds, "metrics": metrics}
