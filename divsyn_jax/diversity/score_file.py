"""score.json and draws.jsonl: what a scored corpus leaves on disk, its one writer and reader."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, Required, TypedDict

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity.estimation.intervals import EstimateRecord
from divsyn_jax.diversity.estimation.reliability import PositionBiasRecord, RetestRecord
from divsyn_jax.diversity.estimation.stopping import StoppedRecord, StoppingRecord

SCORE_VERSION = 5  # of score.json: a score written under another version is made anew
# Those of 0.1.0 have version 4: their words are what white space separates.
READABLE_VERSIONS = (4, SCORE_VERSION)
HEADLINE_METRICS: tuple[Literal["cluster_score", "effective_clusters"], ...] = (
    "cluster_score",
    "effective_clusters",
)
_SCORE, _DRAWS = "score.json", "draws.jsonl"
# What the folder of one corpus consists of.
SCORE_FILES = (_SCORE, _DRAWS, "groups.jsonl")


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


class Identity(TypedDict):
    """The part of score.json that determines the rest: the same identity means the same score."""

    version: int
    corpus: CorpusRecord
    agent: AgentRecord
    settings: SettingsRecord


class ClusterScoreRecord(EstimateRecord):
    """The published score C/S, with its interval for the process that wrote the corpus."""

    generator_ci_low: float
    generator_ci_high: float
    sd: float
    document_variance: float
    sample_size: int
    draws: int
    draws_asked: int
    criteria_sets: int | None
    mean_clusters: float


class EffectiveClustersRecord(EstimateRecord):
    """Effective clusters and the share of same-cluster pairs they are made from."""

    generator_ci_low: float | None
    generator_ci_high: float | None
    documents: int
    pair_share: float
    pair_share_sd: float
    document_variance: float


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
    """The cluster-agent metric in all its forms."""

    cluster_score: ClusterScoreRecord
    effective_clusters: EffectiveClustersRecord
    clusters_per_document: EstimateRecord
    exp_entropy: EstimateRecord
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
    near_of: NotRequired[str]
    near_cosine_distance: NotRequired[float]


class NearDuplicateClusters(EstimateRecord):
    """Effective clusters at the near-duplicate cut."""

    cosine_distance: float


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
    # Scores of 0.1.0 lack it.
    lengths: NotRequired[dict[str, Any]]
    # Scores of 0.1.0 lack it; null where nobody embedded the documents.
    reading: NotRequired[dict[str, Any] | None]


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


def write_score(folder: pathlib.Path, score: Score, draws: Sequence[DrawRecord]) -> None:
    """Write a corpus's folder whole, in place of an earlier score."""
    with files.new_directory(folder, SCORE_FILES) as made:
        files.write_text(made / _DRAWS, "".join(json.dumps(draw) + "\n" for draw in draws))
        files.write_json(made / _SCORE, score)


def holds_score(folder: pathlib.Path) -> bool:
    """Whether there is a score in `folder`, of whatever version."""
    return (folder / _SCORE).exists()


def read_score(folder: str | os.PathLike) -> Score:
    """The score in `folder`.

    Raises `UserError` naming the file when it is missing, damaged or of a version that is none of
    `READABLE_VERSIONS`.
    """
    path = pathlib.Path(folder) / _SCORE
    content = files.read_json(path)
    version = content.get("version") if isinstance(content, Mapping) else None
    if version is not None and version not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise UserError(
            f"{path}: of version {version!r}, and {readable} can be read; score the corpus again"
            " with score_corpus"
        )
    return _typed(Score, content, path)


def finished_score(folder: pathlib.Path, identity: Identity) -> Score | None:
    """The score in `folder` when it was made from the same content with the same settings.

    Raises `UserError` naming the file when it is damaged."""
    if not holds_score(folder):
        return None
    path = folder / _SCORE
    content = files.read_json(path)
    if not isinstance(content, dict) or any(
        content.get(key) != value for key, value in identity.items() if key != "corpus"
    ):
        return None
    score = _typed(Score, content, path)
    corpus = identity["corpus"]
    same = score["corpus"]["fingerprint"] == corpus["fingerprint"]
    same_labels = score["corpus"]["label_fingerprint"] == corpus["label_fingerprint"]
    return score if same and same_labels else None


def read_draws(folder: str | os.PathLike) -> list[DrawRecord]:
    """The draws beside a score. Raises `UserError` naming file and line of a damaged one."""
    path = pathlib.Path(folder) / _DRAWS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {_why(error)}; {_REMEDY}") from None
    draws = []
    for number, line in enumerate(lines, start=1):
        try:
            draws.append(as_typed(DrawRecord, json.loads(line)))
        except ValueError as error:  # of json, too
            raise UserError(f"{path}:{number}: damaged ({error}); {_REMEDY}") from None
    return draws


_REMEDY = "remove its folder and score the corpus again with score_corpus"


def _typed(kind: type[Score], content: Any, path: pathlib.Path) -> Score:
    try:
        return as_typed(kind, content)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); {_REMEDY}") from None


def _why(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else "not UTF-8"
