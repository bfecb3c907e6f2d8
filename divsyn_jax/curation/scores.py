"""What curation did to the diversity of a corpus: scored before, after, and beside a random subset
of the same size, by the estimator of score_corpus."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import selection
from divsyn_jax.curation.curation import Decisions, chosen_texts
from divsyn_jax.curation.settings import FEWEST_SCORED, CurationSettings

_DRAWS = 2_000  # C/S needs them; effective clusters are of all pairs
METRICS = ("effective_clusters", "cluster_score", "near_duplicates", "exact_duplicates")


class _Texts:
    """The texts of the documents that are chosen, as often as they are asked for."""

    def __init__(self, spec: str, settings: CurationSettings, chosen_N: np.ndarray) -> None:
        self._spec, self._settings, self._chosen_N = spec, settings, chosen_N

    def __iter__(self) -> Iterator[str]:
        return (text for _, text in chosen_texts(self._spec, self._settings, self._chosen_N))


def random_subset_of(settings: CurationSettings, decisions: Decisions) -> np.ndarray | None:
    """[N] whether each document is in a random subset of the selection's candidates, as large as
    the selection; None where nothing was selected, or at random.
    """
    if settings.by in (None, "random"):
        return None
    # Another stream than that of --by=random, whose subset this may be compared with.
    rows = selection.random_subset(
        len(decisions.candidates), int(decisions.stays.sum()), settings.seed + 1
    )
    subset_N = np.zeros(len(decisions.code_N), bool)
    subset_N[decisions.candidates[rows]] = True
    return subset_N


def scores(
    spec: str,
    settings: CurationSettings,
    decisions: Decisions,
    cache: str | os.PathLike[str],
) -> dict[str, Any]:
    """The entry `scores` of curation.json: by corpus (before, after, random) its metrics with
    intervals, and the verdict in words; or the reason why there is none.
    """
    if not settings.score_documents:
        return {"reason": "not asked for (--score_documents=0)"}
    corpora = {"before": np.ones(len(decisions.code_N), bool), "after": decisions.stays}
    subset_N = random_subset_of(settings, decisions)
    if subset_N is not None:
        corpora["random"] = subset_N
    if any(chosen_N.sum() < FEWEST_SCORED for chosen_N in corpora.values()):
        return {"reason": f"fewer than {FEWEST_SCORED} documents are before or left"}
    # Effective clusters grow with the documents that are looked at: as many of each corpus.
    fewest = min(int(chosen_N.sum()) for chosen_N in corpora.values())
    documents = min(settings.score_documents, fewest)
    from divsyn_jax.diversity.api import compare

    given = {name: _Texts(spec, settings, chosen_N) for name, chosen_N in corpora.items()}
    try:
        compared = compare(
            given,
            max_documents=documents,
            baselines=("none",),
            draws=_DRAWS,
            seed=settings.seed,
            embedding_cache=cache,
            embedding_model=settings.embedding_model,
        )
    except UserError as error:  # no model here, or one that cannot spell the texts
        return {"reason": str(error)}
    found: dict[str, Any] = {
        "agent": compared.scores["after"]["agent"],
        "documents": documents,
        "verdict": compared.verdict,
    }
    for name, scored in compared.scores.items():
        found[name] = {}
        for metric in METRICS:
            value = getattr(scored, metric)
            found[name][metric] = {"value": value.value, "low": value.low, "high": value.high}
    return found
