"""Pairs of one corpus judged by people: the sheet they are given, and what their answers say."""

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import TextFingerprint
from divsyn_jax.diversity.agents.base import Embedder
from divsyn_jax.diversity.pairs import agreement, sheet
from divsyn_jax.diversity.pairs.agreement import ControlPair, JudgeCheck
from divsyn_jax.diversity.pairs.estimate import JudgedPairs, estimate_from_sheet, sheet_pairs
from divsyn_jax.diversity.pairs.judged import control_record, judged_record, nothing_judged
from divsyn_jax.diversity.pairs.pair_settings import file_fingerprint
from divsyn_jax.diversity.pairs.records import ControlRecord, JudgedRecord
from divsyn_jax.diversity.pairs.sheet import Sheet
from divsyn_jax.diversity.sampling import Sample

LEAST_AGREEMENT = 0.667  # Krippendorff: below it not even tentative conclusions are drawn


def write_people_sheet(
    path: pathlib.Path, sample: Sample, embedder: Embedder, pairs: int, seed: int
) -> str:
    """Write the sheet for people, and say what to do with it.

    Raises:
      UserError: there is something at `path`, which may hold answers.
    """
    check_free(path)
    vectors_NE = embedder.vectors(sample)
    asked = sheet_pairs(vectors_NE, pairs, seed)
    known = agreement.control_pairs(sample.texts, seed)
    controls = [(control, _second(control, vectors_NE)) for control in known]
    sheet.write_sheet(
        path,
        sample.texts,
        asked,
        controls,
        seed,
        numbers=sample.index_N.tolist(),
        bound_to=bound_to(sample, embedder),
    )
    return (
        f"Wrote {len(asked) + len(controls)} pairs to {path}, {len(controls)} of them of known"
        " answer. Write 1 into the column same where both documents are of one kind (the same"
        " subject, the same purpose, however worded), 0 where they are of two, nothing where you"
        " cannot say; a second reader fills in a copy of the empty file. Then repeat the command"
        f" with --pairs_in={path} (or --pairs_in={path},SECOND.csv) in place of --pairs_out."
        " Nothing was scored."
    )


def check_free(path: pathlib.Path) -> None:
    """Raise `UserError` where a sheet would replace something."""
    if os.path.lexists(path):
        raise UserError(f"{path}: exists, and may hold answers; name another --pairs_out")
    files.check_local(path)


def bound_to(sample: Sample, embedder: Embedder) -> str:
    """What a sheet's rows belong to: these texts in this order, by this embedding model."""
    fingerprint = TextFingerprint()
    for text in (str(embedder.model), str(embedder.settings().get("weights")), *sample.texts):
        fingerprint.update(text)
    return fingerprint.hexdigest()


def read_answers(paths: Sequence[str], sample: Sample, embedder: Embedder) -> tuple[Sheet, ...]:
    """The answers of each reader.

    Raises:
      UserError: see `sheet.read_sheet`.
    """
    numbers, bound = sample.index_N.tolist(), bound_to(sample, embedder)
    return tuple(sheet.read_sheet(path, numbers, bound) for path in paths)


def judged_by_people(
    sheets: Sequence[Sheet], paths: Sequence[str], vectors_NE: np.ndarray
) -> JudgedRecord:
    """Effective clusters from the sheets of one reader or more.

    A pair that several answered stands with the mean of their answers.
    """
    who = {
        "kind": "people",
        "files": list(paths),
        "fingerprints": [file_fingerprint(path) for path in paths],
    }
    checks = [_check(each) for each in sheets]
    controls = [_control_record(check) for check in checks]
    failed = [
        f"{path}: {check['rule']}"
        for path, check in zip(paths, controls, strict=True)
        if check["believed"] is False
    ]
    if failed:
        return nothing_judged(
            f"who judged is not to be believed here: {'; '.join(failed)}", who, controls
        )
    warnings = [
        f"{path}: {check['answered']} control pairs are answered, too few to check the reader"
        for path, check in zip(paths, controls, strict=True)
        if check["believed"] is None
    ]
    pairs = tuple(dict.fromkeys(pair for each in sheets for pair in each.pairs))
    place = {pair: number for number, pair in enumerate(pairs)}
    answers_AP = np.full((len(sheets), len(pairs)), math.nan)
    for reader, each in enumerate(sheets):
        answers_AP[reader, [place[pair] for pair in each.pairs]] = each.same_P
    given_P = (~np.isnan(answers_AP)).sum(axis=0)
    ones_P = np.nansum(answers_AP, axis=0)
    same_P = np.where(given_P > 0, ones_P / np.maximum(given_P, 1), math.nan)
    alpha = agreement.krippendorff_alpha(answers_AP)
    if alpha is not None and alpha < LEAST_AGREEMENT:
        warnings.append(
            f"the readers agree little (Krippendorff's alpha {alpha:.2f}, under {LEAST_AGREEMENT}):"
            " they mean different things by one kind"
        )
    found = estimate_from_sheet(vectors_NE, JudgedPairs(pairs, same_P))
    record = judged_record(found, who, controls, warnings)
    if len(sheets) > 1:
        record["agreement"] = alpha
        record["agreement_pairs"] = int((given_P >= 2).sum())
    return record


def _check(answers: Sheet) -> JudgeCheck:
    controls = [ControlPair(0, "", "", same) for same in answers.control_known]
    return agreement.check_judge(controls, answers.control_answers)


def _control_record(check: JudgeCheck) -> ControlRecord:
    """A reader who left control pairs empty is not checked, which is said; one who answered them
    wrongly is not believed.
    """
    return control_record(check, check.believed if check.enough else None)


def _second(control: ControlPair, vectors_NE: np.ndarray) -> int:
    """The document whose number stands beside a control pair: its own for a copy, else the farthest
    one.
    """
    if control.same:
        return control.first
    return int(np.argmin(vectors_NE @ vectors_NE[control.first]))
