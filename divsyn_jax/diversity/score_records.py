"""What the files of a score hold, as types: score.json and draws.jsonl."""

from typing import Any, NotRequired, Required, TypedDict

from divsyn_jax.diversity.estimation.document_curve import DocumentsPoint
from divsyn_jax.diversity.estimation.intervals import EstimateRecord
from divsyn_jax.diversity.estimation.profile import GranularityRecord, ProfileRecord
from divsyn_jax.diversity.estimation.reliability import PositionBiasRecord, RetestRecord
from divsyn_jax.diversity.estimation.stopping import StoppedRecord, StoppingRecord
from divsyn_jax.diversity.facets.records import FacetRecord
from divsyn_jax.diversity.pairs.records import (
    CalibratedRecord,
    GroupsRecord,
    JudgedRecord,
)


class CorpusRecord(TypedDict):
    """The corpus that was scored, and what its reader skipped."""

    name: str
    path: str
    documents: int
    tokens: int
    token_unit: str
    fingerprint: str
    label_fingerprint: str | None
    malformed: int
    empty: int
    problems: list[str]
    # What stands beside the documents and is none; scores of 0.1.0 lack it.
    left_out: NotRequired[list[str]]


class AgentRecord(TypedDict):
    """Who judged."""

    kind: str
    model: str | None
    settings: dict[str, Any]


class SettingsRecord(TypedDict):
    """How it was scored; see `settings.ScoreSettings` and `baselines.SharedText`."""

    sample_size: int
    draws: int
    stopping: StoppingRecord | None
    retest: int
    control_variate: bool
    seed: int
    max_documents: int
    rounds: int
    document_words: int | None
    judged_words: NotRequired[int | None]  # scores of 0.1.0 lack it
    baselines: list[str]
    baseline_words: int
    baseline_bytes: int
    baseline_documents: int
    parity: str | None
    perplexity_models: list[str]
    embedding_model: NotRequired[str]  # only where one is named
    facets: NotRequired[list[str]]  # only where some are asked for
    proxy: NotRequired[str]  # only where one is named


class Identity(TypedDict):
    """The part of score.json that determines the rest: the same identity means the same score."""

    version: int
    corpus: CorpusRecord
    agent: AgentRecord
    settings: SettingsRecord


class GeneratorInterval(TypedDict, total=False):
    """The 95% interval for the process that wrote a corpus: documents vary too. Null where there is
    none, and why.
    """

    generator_ci_low: float | None
    generator_ci_high: float | None
    generator_ci_reason: str | None


class DrawEstimateRecord(EstimateRecord, GeneratorInterval):
    """A mean over draws: `ci` is over the draws alone, `generator_ci` over documents and draws."""


class ClusterScoreRecord(DrawEstimateRecord):
    """The published score C/S."""

    sd: float
    document_variance: float
    document_variance_error: NotRequired[float]
    sample_size: int
    draws: int
    draws_asked: int
    criteria_sets: int | None
    mean_clusters: float


class EffectiveClustersRecord(DrawEstimateRecord):
    """Effective clusters from draws, and the share of same-cluster pairs they are made from."""

    documents: int
    pair_share: float
    pair_share_sd: float
    document_variance: float
    document_variance_error: NotRequired[float]
    # Where they were asked for (--calibration, --pair_judge, --pairs_in).
    calibrated: NotRequired[CalibratedRecord]
    judged: NotRequired[JudgedRecord]


class CutRecord(TypedDict):
    """Both headline numbers at one threshold of the dendrograms."""

    threshold: float
    cluster_score: EstimateRecord
    effective_clusters: EstimateRecord
    mean_clusters: float


class FailedDraw(TypedDict):
    """A draw without a usable answer, and why."""

    draw: int
    problems: list[str]


class Numbers(TypedDict):
    """The cluster-agent metric in all its forms.

    `effective_clusters` is from all pairs where the agent has vectors (a `ProfileRecord`); the
    estimate from its draws is then `effective_clusters_of_draws`."""

    cluster_score: ClusterScoreRecord
    effective_clusters: EffectiveClustersRecord | ProfileRecord
    effective_clusters_of_draws: NotRequired[EffectiveClustersRecord]
    clusters_per_document: DrawEstimateRecord
    exp_entropy: DrawEstimateRecord
    curve: list[CutRecord]
    stopping: StoppedRecord | None
    failures: list[FailedDraw]
    failure_rate: float


class SampleSizeRecord(TypedDict):
    """Both headline numbers at one K."""

    sample_size: int
    cluster_score: EstimateRecord
    effective_clusters: EstimateRecord


class NoValue(TypedDict):
    """Where a number could not be had, and why."""

    value: None
    reason: str


class PolicyRecord(TypedDict):
    """Both headline numbers under one policy for invalid clusters."""

    empty_draws: int
    cluster_score: EstimateRecord | NoValue
    effective_clusters: EstimateRecord | NoValue


class VerificationRecord(TypedDict, total=False):
    """What verification changed; `policy` None and a `reason` where nothing was verified."""

    policy: Required[str | None]
    reason: str
    policies: dict[str, PolicyRecord]
    clusters_changed: EstimateRecord
    change_of_clusters: EstimateRecord


class AdjustedRecord(EstimateRecord):
    """See `control_variate.Adjusted`."""

    correlation: float | None
    variance_saved: float
    reason: str | None


class ControlVariateRecord(TypedDict, total=False):
    """The metric adjusted by a cheap agent's answers; only a `reason` where there is none."""

    agent: AgentRecord
    cheap_draws: int
    cluster_score: AdjustedRecord
    effective_clusters: AdjustedRecord
    reason: str


class DuplicatesRecord(TypedDict):
    """Shares of exact and near duplicates."""

    exact: float
    exact_standard_error: float
    exact_of: str
    near: float | None
    near_standard_error: NotRequired[float]
    near_of: NotRequired[str]
    near_cosine_distance: NotRequired[float]


class NearDuplicateClusters(DrawEstimateRecord):
    """Effective clusters at the near-duplicate cut: from all pairs, or (before version 6) draws."""

    cosine_distance: float
    granularity: NotRequired[GranularityRecord]


class Duplicates(TypedDict):
    """What the duplicates of a corpus say."""

    duplicates: DuplicatesRecord
    near_duplicate_clusters: NearDuplicateClusters | NoValue


class PurposeRecord(TypedDict):
    """Calls and tokens of one purpose; see `endpoint.usage.PurposeUsage`."""

    calls: int
    cached_calls: int
    prompt_tokens: int
    completion_tokens: int
    re_asks: int
    retries: int
    failed: int


class UsageRecord(TypedDict):
    """What was asked and spent for all corpora scored together; what is not required is an
    endpoint's.
    """

    calls: int
    cached_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    re_asks: NotRequired[int]
    retries: NotRequired[int]
    failed: NotRequired[int]
    cost_with_cached: NotRequired[float | None]
    by_purpose: NotRequired[dict[str, PurposeRecord]]
    mode: NotRequired[str]
    concessions: NotRequired[list[str]]


class ControlDrawsRecord(TypedDict):
    """What the judge made of draws whose answer is known; each pair of counts is [wrong, asked].

    `faults` names in what ways it fails; a judge with any is not `usable`."""

    usable: bool
    faults: list[str]
    draws: int
    answered: int
    twins_parted: list[int]
    repeats_parted: list[int]
    far_joined: list[int]
    missing: list[str]


class Spread(TypedDict):
    """One metric over rounds."""

    mean: float
    sd: float
    values: list[float]


class RoundsRecord(TypedDict):
    """How far every metric moves between fresh samples; a metric without a value has no entry."""

    rounds: int
    seeds: list[int]
    metrics: dict[str, Spread]


class Score(Identity, Numbers, Duplicates):
    """The content of score.json.

    `baselines` holds for each {value, settings, interval or why there is none}, or {value: None,
    reason}; `rounds` is there where there was more than one."""

    population: str
    by_sample_size: list[SampleSizeRecord]
    verification: VerificationRecord
    position_bias: PositionBiasRecord
    test_retest: RetestRecord
    control_variate: ControlVariateRecord | None
    baselines: dict[str, dict[str, Any]]
    usage: UsageRecord
    draws_written: int
    rounds: NotRequired[RoundsRecord]
    # Where all pairs made effective clusters; scores of 0.1.0 lack it.
    by_documents: NotRequired[list[DocumentsPoint] | None]
    # Scores of 0.1.0 lack it.
    lengths: NotRequired[dict[str, Any]]
    # Where an endpoint judged; scores of 0.1.0 lack it.
    control_draws: NotRequired[ControlDrawsRecord]
    # Scores of 0.1.0 lack it; null where nobody embedded the documents.
    reading: NotRequired[dict[str, Any] | None]
    groups: NotRequired[GroupsRecord]  # where --group_field was given
    facets: NotRequired[dict[str, FacetRecord]]  # where some were asked for


class NamedCluster(TypedDict):
    """What the agent said of one cluster; `valid` and `verdict` where it was verified."""

    cluster: int
    name: str
    reason: str
    valid: NotRequired[bool]
    verdict: NotRequired[str]


class DrawRecord(TypedDict):
    """A line of draws.jsonl.

    `documents` are numbers in the corpus; `clusters` the headline partition, `agent_clusters`
    (where verification may change it) the agent's own; clusters are numbered by their first
    document, so equal partitions read the same. What is not required is said by an agent that
    gives reasons."""

    draw: int
    documents: list[int]
    clusters: list[int]
    agent_clusters: NotRequired[list[int]]
    shown_order: NotRequired[list[int]]
    criteria_set: NotRequired[int]
    named: NotRequired[list[NamedCluster]]
