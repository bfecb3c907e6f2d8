"""Calibration from labelled documents of one kind of text: how far apart documents of one kind lie,
and of two.

The distances of an unlabelled corpus are a mixture of both densities with q, the share of pairs of
one kind, as its weight. q is estimated by maximum likelihood (expectation maximisation on the
weight alone), which uses every distance where (q - f) / (s - f) at a cut uses one bit of it. The
densities hold for the kind of text they were measured on and for no other: short sentences lie
farther apart than long answers.

Shapes: N documents, B bins of distance, F folds of labels.
"""

import collections
import dataclasses
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.estimation.all_pairs import BIN, BINS, PairDistances, distance_bins
from divsyn_jax.diversity.estimation.all_pairs import share_variance as _share_variance
from divsyn_jax.diversity.estimation.estimators import hill

MIXTURE_VERSION = 1
FOLDS = 10  # parts of the kinds, left out in turn for the calibration's own uncertainty
LEAST_KINDS = 4  # with two documents or more
MOST_MISFIT = 0.15  # in-kind corpora of intents: 0.13 at most; other kinds: 0.06 to 0.50
COARSE = 4  # bins joined into one of 0.02, wide enough to be filled
_FLOOR = 0.5  # pairs added to each coarse bin of either density
_ITERATIONS = 2000
_ROWS_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class DistanceCalibration:
    """Pairs of labelled documents by distance.

    Attributes:
      kind_of_text: what the documents are, in the user's words.
      model: the embedding model.
      documents, kinds: labelled documents and distinct labels.
      words: (5%, 95%) of the words of a document, between which the middle nine tenths lie; None
        where nobody counted.
      same_FB, different_FB: [F, B] pairs of one kind and of two at each distance, by fold. A pair
        belongs to the fold of its first kind.
    """

    kind_of_text: str
    model: str
    documents: int
    kinds: int
    same_FB: np.ndarray
    different_FB: np.ndarray
    words: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class CalibratedEstimate:
    """Effective clusters with the 95% interval over documents and the calibration.

    Attributes:
      value, ci_low, ci_high: effective clusters.
      share: q.
      log_error: standard error of log q.
      documents_log_error, calibration_log_error: its two parts.
      method: how the interval was made.
    """

    value: float
    ci_low: float
    ci_high: float
    share: float
    log_error: float
    documents_log_error: float
    calibration_log_error: float
    method: str = "mixture of calibrated densities; normal on log q over documents and calibration"


def check_labels(label_N: Sequence[Hashable]) -> None:
    """Raise `UserError` for labels of fewer than `LEAST_KINDS` kinds with two documents or more."""
    repeated = sum(count > 1 for count in collections.Counter(label_N).values())
    if repeated < LEAST_KINDS:
        raise UserError(
            f"calibration: {repeated} labels with two documents or more; give {LEAST_KINDS} or more"
        )


def calibrate_distances(
    vectors_NE: np.ndarray,
    label_N: Sequence[Hashable],
    kind_of_text: str,
    model: str,
    codes: dict[Hashable, int] | None = None,
) -> DistanceCalibration:
    """Count the distances of pairs of one kind and of two.

    Args:
      vectors_NE: [N, E] unit vectors.
      label_N: the kind of each document.
      kind_of_text, model: for the record.
      codes: number of each label, to which new ones are added: the same for all corpora that are
        pooled, so that a kind is in one fold everywhere.

    Raises:
      UserError: fewer than `LEAST_KINDS` kinds with two documents or more.
    """
    check_labels(label_N)
    code: dict[Hashable, int] = {} if codes is None else codes
    label_codes_N = np.array([code.setdefault(label, len(code)) for label in label_N], np.int64)
    fold_N = label_codes_N % FOLDS
    vectors_NE = np.asarray(vectors_NE, np.float32)
    counts = np.zeros(2 * FOLDS * BINS, np.int64)
    for start in range(0, len(vectors_NE), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        bins_RN = distance_bins(vectors_NE[rows], vectors_NE)
        same_RN = label_codes_N[rows, None] == label_codes_N
        later_RN = np.arange(len(vectors_NE)) > np.arange(start, start + len(bins_RN))[:, None]
        cell_RN = (same_RN * FOLDS + fold_N[rows, None]) * BINS + bins_RN
        counts += np.bincount(cell_RN[later_RN], minlength=len(counts))
    different_FB, same_FB = counts.reshape(2, FOLDS, BINS)
    return DistanceCalibration(
        kind_of_text, model, len(vectors_NE), len(set(label_N)), same_FB, different_FB
    )


def calibrated_estimate(
    distances: PairDistances, calibration: DistanceCalibration
) -> CalibratedEstimate:
    """Effective clusters of an unlabelled corpus of the calibrated kind of text.

    The documents' part of the error is the jackknife of the likelihood equation's terms; the
    calibration's is the delete-a-fold jackknife over kinds, for its own and for the corpus's.
    """
    pairs_C = _coarse(distances.pairs_B)
    same_C, different_C = _densities(calibration)
    q = _share(pairs_C, same_C, different_C)
    score_C = (same_C - different_C) / (q * same_C + (1 - q) * different_C)
    information = float(pairs_C @ score_C**2) / float(pairs_C.sum())
    score_B = np.repeat(score_C, COARSE)
    means_N = distances.counts_NB @ score_B / (distances.documents - 1) / information
    # At the maximum these average to zero; their spread over documents is that of q.
    documents_error = math.sqrt(_share_variance(q + means_N - means_N.mean())[0]) / q
    left_out = [
        math.log(_share(pairs_C, *_densities(calibration, without=fold)))
        for fold in range(FOLDS)
        if calibration.same_FB[fold].sum() > 0
    ]
    folds = len(left_out)
    documents = distances.documents
    # The corpus holds kinds of its own: as far as those of the calibration stray from their mean,
    # so do they, the more the fewer they are.
    other_kinds = 1 + calibration.kinds / hill(q, documents)
    calibration_error = math.sqrt((folds - 1) * float(np.var(left_out)) * other_kinds)
    error = math.hypot(documents_error, calibration_error)
    factor = math.exp(min(1.96 * error, 700.0))
    low, high = hill(min(1.0, q * factor), documents), hill(q / factor, documents)
    return CalibratedEstimate(
        hill(q, documents), low, high, q, error, documents_error, calibration_error
    )


def misfit(distances: PairDistances, calibration: DistanceCalibration) -> float:
    """How far the distances lie from any mixture of both densities, in [0, 1]: the total variation
    between them and the likeliest.

    A corpus of the calibrated kind of text stays under `MOST_MISFIT`.
    """
    pairs_C = _coarse(distances.pairs_B)
    same_C, different_C = _densities(calibration)
    q = _share(pairs_C, same_C, different_C)
    expected_C = q * same_C + (1 - q) * different_C
    return float(np.abs(pairs_C / pairs_C.sum() - expected_C).sum()) / 2


def pooled(parts: Sequence[DistanceCalibration]) -> DistanceCalibration:
    """One calibration from several corpora of one kind of text; pairs lie within a corpus.

    `kinds` are those of the corpus that holds most, since the corpora of a ladder share theirs.
    """
    first = parts[0]
    return dataclasses.replace(
        first,
        documents=sum(part.documents for part in parts),
        kinds=max(part.kinds for part in parts),
        same_FB=np.sum([part.same_FB for part in parts], axis=0),
        different_FB=np.sum([part.different_FB for part in parts], axis=0),
    )


def join_rates(calibration: DistanceCalibration, middle: float) -> tuple[float, float]:
    """(s, f): shares of the pairs of one kind, and of two, nearer than `middle`."""
    nearer = round(middle / BIN)
    same_B, different_B = calibration.same_FB.sum(axis=0), calibration.different_FB.sum(axis=0)
    return (
        float(same_B[:nearer].sum() / same_B.sum()),
        float(different_B[:nearer].sum() / different_B.sum()),
    )


def save(path: str | os.PathLike, calibration: DistanceCalibration) -> None:
    """Write calibration.json."""
    files.write_json(
        path,
        {
            "version": MIXTURE_VERSION,
            "kind_of_text": calibration.kind_of_text,
            "model": calibration.model,
            "documents": calibration.documents,
            "kinds": calibration.kinds,
            "words": None if calibration.words is None else list(calibration.words),
            "bin": BIN,
            "same": calibration.same_FB.tolist(),
            "different": calibration.different_FB.tolist(),
        },
    )


def load_mixture(path: str | os.PathLike, model: str | None = None) -> DistanceCalibration:
    """Read calibration.json.

    Raises:
      UserError: it is no such file, or was measured with another embedding model than `model`.
    """
    made = files.read_json(path)
    remedy = "make it with calibrate_agent --save"
    try:
        known: Mapping[str, Any] = {key: made[key] for key in ("version", "bin", "model")}
        same_FB, different_FB = (np.asarray(made[key], np.int64) for key in ("same", "different"))
        documents, kinds = int(made["documents"]), int(made["kinds"])
        kind_of_text = str(made["kind_of_text"])
        ends = made.get("words")
        words = None if ends is None else (float(ends[0]), float(ends[1]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: no calibration of distances ({error!r}); {remedy}") from None
    shape = (FOLDS, BINS)
    if known["version"] != MIXTURE_VERSION or known["bin"] != BIN or same_FB.shape != shape:
        raise UserError(f"{path}: a calibration of another version; {remedy}")
    if different_FB.shape != shape or min(same_FB.min(), different_FB.min()) < 0:
        raise UserError(f"{path}: its counts are damaged; {remedy}")
    if not same_FB.sum() or not different_FB.sum():
        raise UserError(f"{path}: holds no pairs of one of the two sorts; {remedy}")
    if model is not None and known["model"] != model:
        raise UserError(
            f"{path}: measured with {known['model']}, and the vectors are of {model}; calibrate"
            " with the same --embedding_model"
        )
    return DistanceCalibration(
        kind_of_text, known["model"], documents, kinds, same_FB, different_FB, words
    )


def _coarse(counts_B: np.ndarray) -> np.ndarray:
    return counts_B.reshape(-1, COARSE).sum(axis=1).astype(np.float64)


def _densities(
    calibration: DistanceCalibration, without: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Densities of both sorts over coarse bins; their ratio never rises with distance."""
    kept = [fold for fold in range(FOLDS) if fold != without]
    same_C = _coarse(calibration.same_FB[kept].sum(axis=0)) + _FLOOR
    different_C = _coarse(calibration.different_FB[kept].sum(axis=0)) + _FLOOR
    same_C, different_C = same_C / same_C.sum(), different_C / different_C.sum()
    # A nearer pair is no less likely of one kind: the chance is made monotone (pool adjacent
    # violators, weighted by the pairs there), and the densities follow it.
    weight_C = same_C + different_C
    chance_C = _falling(same_C / weight_C, weight_C)
    chance_C = np.clip(chance_C, 1e-6, 1 - 1e-6)
    same_C, different_C = weight_C * chance_C, weight_C * (1 - chance_C)
    return same_C / same_C.sum(), different_C / different_C.sum()


def _falling(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([float(value), float(weight), 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            total = last[1] + before[1]
            mean = (last[0] * last[1] + before[0] * before[1]) / total
            blocks.append([mean, total, last[2] + before[2]])
    return np.concatenate([np.full(int(count), value) for value, _, count in blocks])


def _share(pairs_C: np.ndarray, same_C: np.ndarray, different_C: np.ndarray) -> float:
    """The weight of the first density that makes the distances likeliest."""
    total = float(pairs_C.sum())
    q = 0.05
    for _ in range(_ITERATIONS):
        posterior_C = q * same_C / (q * same_C + (1 - q) * different_C)
        new = float(pairs_C @ posterior_C) / total
        if abs(new - q) < 1e-9 * max(q, 1e-12):
            q = new
            break
        q = new
    return float(np.clip(q, 1e-12, 1 - 1e-12))
