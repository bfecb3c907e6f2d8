"""Scoring from Python; see the package's docstring."""

import contextlib
from typing import Any

from divsyn_jax.data.readers.corpus import split_name
from divsyn_jax.diversity import rounds, scoring
from divsyn_jax.diversity.pairs import of_corpus
from divsyn_jax.diversity.score_file import Score
from divsyn_jax.diversity.settings import ScoreSettings


def score(path: str, agent: str = "embedding", **settings: Any) -> Score:
    """Score one corpus and return the content of its score.json; nothing is written but the caches,
    if named.

    Args:
      path: a corpus in any form the readers take, or `name=path`.
      agent: `embedding`, `openai` or `oracle`.
      settings: the other fields of `ScoreSettings`.

    Raises:
      UserError: the corpus or a setting cannot be used; the message says what to do.
      Unfinished: the endpoint stopped answering or a budget is used up.
    """
    chosen = ScoreSettings(agent=agent, **settings)
    name, spec = split_name(path)
    sample = scoring.sample_corpus(spec, chosen)
    shared = scoring.corpus_shared_text(sample, chosen)
    with contextlib.closing(scoring.make_agent(chosen, {name: sample})) as made:
        inputs = of_corpus.read_inputs({name: sample}, made, shared, chosen)
        found = scoring.score_corpora({name: sample}, made, shared, chosen)[name][0]
        of_corpus.add_pairs({name: found}, {name: sample}, inputs, made, shared, chosen)
        if chosen.rounds > 1:
            rounds.add_rounds({name: found}, {name: spec}, made, shared, chosen)
    return found
