"""Measures labelled corpora of one kind of text for score_corpus --calibration."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Hashable, Mapping

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.words import count_words
from divsyn_jax.diversity.agents.embedding import make_embedding_agent
from divsyn_jax.diversity.pairs import distance_mixture
from divsyn_jax.diversity.sampling import read_sample
from divsyn_jax.diversity.settings import ScoreSettings

_NINE_TENTHS = (0.05, 0.95)


def save_distances(
    path: pathlib.Path,
    corpora: Mapping[str, str],
    settings: ScoreSettings,
    kind_of_text: str | None,
) -> list[str]:
    """Write the calibration, and say what it holds.

    Args:
      path: of the file.
      corpora: name -> corpus, labelled by `settings.label_field`.
      settings: how to read and embed them.
      kind_of_text: what the documents are; None for the names of the corpora.

    Raises:
      UserError: a corpus cannot be read, spelt by the model or has too few repeated labels.
    """
    samples = {
        name: read_sample(
            spec,
            settings.read,
            documents=settings.max_documents,
            label_field=settings.label_field,
            seed=settings.seed,
        )
        for name, spec in corpora.items()
    }
    for name, sample in samples.items():  # before anything is embedded
        try:
            distance_mixture.check_labels(sample.labels or [])
        except UserError as few:
            raise UserError(f"{name}: {few}") from None
    kind = kind_of_text or ", ".join(samples)
    codes: dict[Hashable, int] = {}
    parts, words = [], []
    with contextlib.closing(make_embedding_agent(settings, samples)) as agent:
        for sample in samples.values():
            words += [count_words(text) for text in sample.texts]
            parts.append(
                distance_mixture.calibrate_distances(
                    agent.vectors(sample), sample.labels or [], kind, str(agent.model), codes
                )
            )
    low, high = (float(end) for end in np.quantile(words, _NINE_TENTHS))
    made = dataclasses.replace(distance_mixture.pooled(parts), words=(low, high))
    distance_mixture.save(path, made)
    same, different = (int(each.sum()) for each in (made.same_FB, made.different_FB))
    return [
        f"{made.documents:,} documents of {len(codes):,} kinds ({kind}), {low:.0f} to {high:.0f}"
        f" words long: {same:,} pairs of one kind and {different:,} of two.",
        f"Wrote {path}; it holds for this kind of text and {made.model}: score_corpus ..."
        f" --calibration={path}",
    ]
