"""Facets as score.json holds them."""

from typing import NotRequired, TypedDict

from divsyn_jax.diversity.estimation.all_pairs import PairEstimate, at_documents


class FacetRecord(TypedDict):
    """A facet of a corpus in score.json: its effective number, or the reason why there is none.

    `share` is the mean similarity over pairs that the number is made from, `documents` how many
    there are."""

    value: float | None
    reads: str
    cannot_see: str
    ci_low: NotRequired[float]
    ci_high: NotRequired[float]
    log_error: NotRequired[float | None]
    share: NotRequired[float | None]
    documents: NotRequired[int]
    method: NotRequired[str]
    reason: NotRequired[str]


def estimate_of(record: FacetRecord, documents: int) -> PairEstimate | None:
    """A facet read from a file, as it is for so many documents of the process that wrote the
    corpus; None where it has no value."""
    if record["value"] is None:
        return None
    ends = record["value"], record["ci_low"], record["ci_high"]
    found = PairEstimate(*ends, record["share"], record["log_error"], record["method"])
    return at_documents(found, record["documents"], documents)
