"""What a score gets beside the agent's numbers where it is asked for: a calibrated or a judged
number of effective clusters, and diversity within groups.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.words import count_words
from divsyn_jax.diversity import scoring
from divsyn_jax.diversity.agents.base import Agent, Embedder
from divsyn_jax.diversity.baselines import SharedText
from divsyn_jax.diversity.estimation import groups as within
from divsyn_jax.diversity.estimation.all_pairs import pair_distances
from divsyn_jax.diversity.estimation.intervals import Estimate, EstimateRecord
from divsyn_jax.diversity.estimation.whole_groups import GroupedDocuments
from divsyn_jax.diversity.pairs import distance_mixture, people
from divsyn_jax.diversity.pairs.distance_mixture import DistanceCalibration
from divsyn_jax.diversity.pairs.pair_settings import PairSettings, file_fingerprint
from divsyn_jax.diversity.pairs.records import (
    CalibratedRecord,
    GroupLine,
    GroupsRecord,
    JudgedRecord,
    NoMean,
)
from divsyn_jax.diversity.pairs.sheet import Sheet
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import Score, UsageRecord
from divsyn_jax.diversity.settings import ScoreSettings


@dataclasses.dataclass(frozen=True)
class PairInputs:
    """What is read before anything is scored, so that a bad file stops the command at once.

    Attributes:
      embedder: of the documents; None where nothing asked for needs vectors.
      calibration: of --calibration.
      sheets: of --pairs_in, one a reader.
    """

    embedder: Embedder | None = None
    calibration: DistanceCalibration | None = None
    sheets: tuple[Sheet, ...] = ()


def check_corpora(names: Sequence[str], settings: PairSettings) -> None:
    """Raise `UserError` where several corpora are given with a file of pairs of one."""
    flag = settings.for_one_corpus()
    if flag and len(names) > 1:
        raise UserError(f"{flag} speaks of one corpus, and {len(names)} are given; name one")
    if settings.pairs_out is not None:
        people.check_free(settings.pairs_out)


def read_inputs(
    samples: Mapping[str, Sample], agent: Agent, shared: SharedText, settings: ScoreSettings
) -> PairInputs:
    """Read the files that the flags name.

    Raises:
      UserError: a file is not what it should be, or is of another corpus or embedding model; or
        there is no embedding model.
    """
    asked = settings.pairs
    by_vectors = asked.group_field is not None and not agent.kind.reads_labels
    if not asked.need_vectors and not by_vectors:
        return PairInputs()
    embedder = agent if isinstance(agent, Embedder) else _embedder(samples, settings)
    calibration = None
    if asked.calibration is not None:
        file_fingerprint(asked.calibration)
        calibration = distance_mixture.load_mixture(asked.calibration, str(embedder.model))
    sheets: tuple[Sheet, ...] = ()
    if asked.pairs_in:
        (sample,) = samples.values()
        sheets = people.read_answers(asked.pairs_in, scoring.as_read(sample, shared), embedder)
    return PairInputs(embedder, calibration, sheets)


def write_pairs(
    samples: Mapping[str, Sample], agent: Agent, shared: SharedText, settings: ScoreSettings
) -> str:
    """Write the sheet of --pairs_out, and say what to do with it."""
    (sample,) = samples.values()
    embedder = agent if isinstance(agent, Embedder) else _embedder(samples, settings)
    path = settings.pairs.pairs_out
    assert path is not None
    read = scoring.as_read(sample, shared)
    return people.write_people_sheet(path, read, embedder, settings.pairs.pairs, settings.seed)


def add_pairs(
    scores: Mapping[str, Score],
    samples: Mapping[str, Sample],
    inputs: PairInputs,
    agent: Agent,
    shared: SharedText,
    settings: ScoreSettings,
) -> dict[str, list[GroupLine]]:
    """Put `calibrated` and `judged` into the effective clusters of each score, and `groups` into
    the score, where they are asked for.

    Returns:
      by corpus: the lines of groups.jsonl, where a group field is asked for.

    Raises:
      Unfinished: the endpoint stopped or a budget is used up; a rerun goes on.
    """
    lines: dict[str, list[GroupLine]] = {}
    judge = None
    if settings.pairs.pair_judge is not None and settings.endpoint is not None:
        from divsyn_jax.diversity.pairs.by_endpoint import EndpointPairs

        judge = EndpointPairs(settings.endpoint, settings, cast(dict[str, Any], agent.usage()))
    for name, score in scores.items():
        sample = scoring.as_read(samples[name], shared)
        effective = score["effective_clusters"]
        embedder = inputs.embedder
        if embedder is not None and settings.pairs.need_vectors:
            vectors_NE = embedder.vectors(sample)
            if inputs.calibration is not None:
                effective["calibrated"] = _calibrated(
                    sample, vectors_NE, inputs.calibration, settings.pairs
                )
            if inputs.sheets:
                effective["judged"] = people.judged_by_people(
                    inputs.sheets, settings.pairs.pairs_in, vectors_NE
                )
            if judge is not None:
                found: JudgedRecord = judge.judge_corpus(sample.texts, vectors_NE)
                effective["judged"] = found
        if sample.grouped is not None:
            score["groups"], lines[name] = _groups(sample, sample.grouped, inputs, agent, shared)
    if judge is not None:
        from divsyn_jax.diversity.pairs.by_endpoint import added_usage

        for score in scores.values():
            both = added_usage(cast(dict[str, Any], score["usage"]), judge.usage)
            score["usage"] = cast(UsageRecord, both)
    return lines


def _embedder(samples: Mapping[str, Sample], settings: ScoreSettings) -> Embedder:
    from divsyn_jax.diversity.agents.embedding import make_embedding_agent

    return make_embedding_agent(settings, samples)


def _calibrated(
    sample: Sample, vectors_NE: np.ndarray, calibration: DistanceCalibration, asked: PairSettings
) -> CalibratedRecord:
    distances = pair_distances(vectors_NE)
    found = distance_mixture.calibrated_estimate(distances, calibration)
    misfit = distance_mixture.misfit(distances, calibration)
    kind = calibration.kind_of_text
    warnings = []
    words = float(np.mean([count_words(text) for text in sample.texts]))
    if calibration.words is not None:
        low, high = calibration.words
        if not low <= words <= high:
            warnings.append(
                f"a document has {words:.0f} words on average, and nine in ten of those the"
                f" calibration stands on ({kind}) have {low:.0f} to {high:.0f}: another kind of"
                " text, for which this number does not hold"
            )
    if misfit > distance_mixture.MOST_MISFIT:
        warnings.append(
            f"{misfit:.0%} of the pairs lie at distances that the calibration ({kind}) does not"
            f" explain, over {distance_mixture.MOST_MISFIT:.0%}: another kind of text, for which"
            " this number does not hold"
        )
    return {
        **dataclasses.asdict(found),  # type: ignore[typeddict-item]
        "kind_of_text": kind,
        "model": calibration.model,
        "file": str(asked.calibration),
        "fingerprint": file_fingerprint(asked.calibration) if asked.calibration else "",
        "misfit": misfit,
        "warnings": warnings,
    }


def _groups(
    sample: Sample,
    grouped: GroupedDocuments,
    inputs: PairInputs,
    agent: Agent,
    shared: SharedText,
) -> tuple[GroupsRecord, list[GroupLine]]:
    if agent.kind.reads_labels and grouped.labels is not None:
        found = within.within_groups_of_labels(grouped.labels, grouped.groups)
        measured_by = "known labels"
    else:
        assert inputs.embedder is not None
        whole = sample
        if grouped.index != sample.index_N.tolist():
            other = dataclasses.replace(
                sample,
                texts=grouped.texts,
                labels=grouped.labels,
                index_N=np.array(grouped.index),
            )
            whole = scoring.as_read(other, shared)
        found = within.within_groups_of_vectors(inputs.embedder.vectors(whole), grouped.groups)
        measured_by = (
            f"{inputs.embedder.model}: distinct kinds by average linkage at"
            f" {within.DISTINCT_CUT}, effective kinds over all granularities"
        )
    record: GroupsRecord = {
        "field": grouped.field,
        "distinct_kinds": _mean(found.distinct_kinds, len(found.groups)),
        "effective_kinds": _mean(found.effective_kinds, len(found.groups)),
        "groups": len(found.groups),
        "single": found.single,
        "documents": len(grouped),
        "left_out": grouped.left_out,
        "sizes": None if found.sizes is None else list(found.sizes),
        "measured_by": measured_by,
    }
    return record, [cast(GroupLine, dict(line)) for line in within.as_records(found)]


def _mean(estimate: Estimate | None, groups: int) -> EstimateRecord | NoMean:
    if estimate is not None:
        return estimate.to_json()
    return {
        "value": None,
        "reason": f"{groups} groups of two documents or more; a mean with an interval needs two",
    }
