"""What score.json keeps of calibrated and judged numbers, and of diversity within groups."""

from typing import Any, NotRequired, TypedDict

from divsyn_jax.diversity.estimation.intervals import EstimateRecord


class CalibratedRecord(EstimateRecord):
    """Effective clusters by a calibration; see `distance_mixture.CalibratedEstimate`.

    `file` and `fingerprint` are the calibration's; `misfit` says how far the distances lie from
    what it can explain (`distance_mixture.misfit`); `warnings` what speaks against its use here.
    """

    share: float
    log_error: float
    documents_log_error: float
    calibration_log_error: float
    kind_of_text: str
    model: str
    file: str
    fingerprint: str
    misfit: float
    warnings: list[str]


class ControlRecord(TypedDict):
    """What control pairs say of one judge or reader; see `agreement.JudgeCheck`.

    `believed` is None for people who left too many of them unanswered to tell.
    """

    believed: bool | None
    answered: int
    accuracy_same: float | None
    accuracy_different: float | None
    rule: str


class StratumRecord(TypedDict):
    """See `estimate.StratumAnswers`."""

    distance: float
    pairs: int
    asked: int
    same: float


class JudgedRecord(TypedDict):
    """Effective clusters from judged pairs; `value` is None, with a reason, where who judged is not
    to be believed or gave no answer.

    `judge` is {kind, model, settings} of an endpoint, or {kind, files, fingerprints} of people;
    `controls` one a judge. `pairs_needed`: judged pairs after which their choice alone would leave
    an interval of `estimate.WANTED_ERROR`. `agreement` is Krippendorff's alpha of readers over the
    `agreement_pairs` that two or more answered.
    """

    value: float | None
    ci_low: NotRequired[float]
    ci_high: NotRequired[float]
    method: NotRequired[str]
    reason: NotRequired[str]
    share: NotRequired[float]
    log_error: NotRequired[float]
    pairs_log_error: NotRequired[float]
    documents_log_error: NotRequired[float]
    pairs: int
    unanswered: int
    pairs_needed: NotRequired[int]
    strata: list[StratumRecord]
    controls: list[ControlRecord]
    judge: dict[str, Any]
    agreement: NotRequired[float | None]
    agreement_pairs: NotRequired[int]
    usage: NotRequired[dict[str, Any]]
    warnings: list[str]


class NoMean(TypedDict):
    """Where there are too few groups for a mean, and why."""

    value: None
    reason: str


class GroupsRecord(TypedDict):
    """Diversity within groups, mean over groups; see `groups.GroupDiversity`.

    `single` groups hold one document and are left out; `left_out` documents are of groups for which
    --max_documents had no room.
    """

    field: str
    distinct_kinds: EstimateRecord | NoMean
    effective_kinds: EstimateRecord | NoMean
    groups: int
    single: int
    documents: int
    left_out: int
    sizes: list[int] | None
    measured_by: str


class GroupLine(TypedDict):
    """A line of groups.jsonl."""

    group: str
    documents: int
    distinct_kinds: int
    effective_kinds: float
