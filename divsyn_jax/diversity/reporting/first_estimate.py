"""A first number on the screen, from a few hundred documents, before all are embedded."""

import dataclasses
from collections.abc import Mapping

from divsyn_jax.base.html import number
from divsyn_jax.diversity.agents.base import Embedder
from divsyn_jax.diversity.estimation import all_pairs
from divsyn_jax.diversity.estimation.all_pairs import PairEstimate, pair_distances
from divsyn_jax.diversity.estimation.ratio_tests import compare_ratios
from divsyn_jax.diversity.reporting.answer import APART_LEVEL
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.sampling import Sample, random_order

FIRST_DOCUMENTS = 300
_WORTH_IT = 2  # times as many documents in the largest sample: else the whole is soon there


def first_estimate(samples: Mapping[str, Sample], embedder: Embedder, seed: int) -> Sentence | None:
    """What the first `FIRST_DOCUMENTS` documents of a random order say of corpora that are scored
    next; None where the samples are so small that the answer is as soon there.

    By the estimator of the headline: the mean over granularities of all pairs, said of as many
    documents as the smallest sample holds (`all_pairs.at_documents`).

    Args:
      samples: by corpus, the documents as they are read.
      embedder: embeds them; with a cache they are not embedded again.
      seed: of the random order.
    """
    if max(map(len, samples.values())) < _WORTH_IT * FIRST_DOCUMENTS:
        return None
    documents = min(map(len, samples.values()))
    found = {
        name: _moved(embedder, _first(sample, seed), documents) for name, sample in samples.items()
    }
    values = [
        Sentence(
            f"{{}} about {number(round(each.value))} (between {number(round(each.ci_low))} and"
            f" {number(round(each.ci_high))})",
            (name,),
        )
        for name, each in found.items()
    ]
    used = min(FIRST_DOCUMENTS, documents)
    parts = tuple(part for value in values for part in value.parts)
    template = "; ".join(value.template for value in values)
    return Sentence(
        f"First estimate from {used:,} documents{' of each' if len(found) > 1 else ''}, effective"
        f" clusters of {documents:,}: {template}.{_told(found)} All of them follow.",
        (*parts, *_names_told(found)),
    )


def _first(sample: Sample, seed: int) -> Sample:
    """A sample of the first documents of a random order."""
    chosen = sorted(random_order(sample, seed)[:FIRST_DOCUMENTS].tolist())
    return dataclasses.replace(
        sample,
        texts=[sample.texts[at] for at in chosen],
        wheres=[sample.wheres[at] for at in chosen],
        labels=None,
        index_N=sample.index_N[chosen],
        grouped=None,
    )


def _moved(embedder: Embedder, some: Sample, documents: int) -> PairEstimate:
    octaves = all_pairs.octave_estimates(pair_distances(embedder.vectors(some)))
    return all_pairs.mean_over_granularities(
        [all_pairs.at_documents(octave, len(some), documents) for octave in octaves]
    )


def _told(found: Mapping[str, PairEstimate]) -> str:
    """Of two corpora, whether they are told apart already."""
    if len(found) != 2:
        return ""
    return " {} is the more diverse." if _names_told(found) else " Not told apart yet."


def _names_told(found: Mapping[str, PairEstimate]) -> tuple[str, ...]:
    if len(found) != 2:
        return ()
    (tested,) = compare_ratios(found)
    if tested.ratio is None or tested.p_value_holm is None or tested.p_value_holm >= APART_LEVEL:
        return ()
    return (tested.second if tested.ratio.value > 1 else tested.first,)
