"""A score whose draws are asked in parts: each process pays for a share of the answers, and the
score is made by the command itself, which finds them all in its cache.

So a score of parts is the score of one process by construction: nothing but answers is shared."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.parts import WorkPart, in_part_order
from divsyn_jax.diversity.score_records import CorpusRecord, Identity
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint.merged_caches import merge_caches

PART_FILE = "part.json"  # in the output of a part that is finished
_Asked = dict[str, Any]


def check_splits(settings: ScoreSettings) -> None:
    """Raise `UserError` where the draws cannot be split among processes."""
    if not settings.kind.asks_endpoint:
        raise UserError(
            f"--part and --merge share out what an endpoint is asked; --agent={settings.agent}"
            " asks none"
        )
    if settings.target_half_width is not None:
        raise UserError(
            "--target_half_width decides by all answers when to stop, which no part has; give"
            " --draws instead"
        )


def settings_of_part(settings: ScoreSettings, part: WorkPart) -> ScoreSettings:
    """The control draws are put to the judge once: by the first part."""
    if part.index == 1:
        return settings
    judge = dataclasses.replace(settings.judge, control_draws=False)
    return dataclasses.replace(settings, judge=judge)


def save_part(
    output: pathlib.Path,
    part: WorkPart,
    identities: Mapping[str, Identity],
    settings: ScoreSettings,
) -> None:
    """Write down that a part is finished, and of what."""
    record = {
        "part": dataclasses.asdict(part),
        **_asked(settings),
        "identities": {name: _content(identity) for name, identity in identities.items()},
    }
    files.write_json(output / PART_FILE, record)


def merge_parts(
    folders: Sequence[str], settings: ScoreSettings, answers: pathlib.Path
) -> list[_Asked]:
    """Copy the answers of all parts to the cache `answers`; returns the parts' records.

    Raises `UserError` where a part is missing, unfinished, there twice or of other settings."""
    found: list[tuple[str, WorkPart]] = []
    records: dict[str, _Asked] = {}
    for folder in folders:
        path = pathlib.Path(folder, PART_FILE)
        if not path.is_file():
            raise UserError(
                f"--merge: {folder} holds no finished part (no {PART_FILE}); run the command of"
                " that part again"
            )
        if path.parent.resolve() == answers.parent.resolve():
            raise UserError(f"--merge: {folder} is the --output, too; name another folder there")
        record = files.read_object(path)
        part = record.get("part")
        part = part if isinstance(part, dict) else {}
        found.append((folder, WorkPart.parse(f"{part.get('index')}/{part.get('of')}")))
        for name, value in _asked(settings).items():
            if record.get(name) != value:
                raise UserError(
                    f"--merge: {folder} was asked with other settings ({name}); repeat the command"
                    " of the parts with --merge in place of --part"
                )
        if not _is_of_corpora(record.get("identities")):
            raise UserError(f"{path}: it does not say what was judged; ask for that part again")
        records[folder] = record
    ordered = in_part_order(found)
    for folder in ordered[1:]:
        if records[folder]["identities"] != records[ordered[0]]["identities"]:
            raise UserError(
                f"--merge: {folder} and {ordered[0]} judged other corpora, or by other criteria;"
                " make the criteria once and give every part the same --criteria=FILE"
            )
    merge_caches(answers, [pathlib.Path(folder, answers.name) for folder in ordered])
    return [records[folder] for folder in ordered]


def _is_of_corpora(identities: Any) -> bool:
    return isinstance(identities, dict) and all(
        isinstance(each, dict) and "corpus" in each for each in identities.values()
    )


def check_judged(
    records: Sequence[_Asked], corpora: Sequence[CorpusRecord], folders: Sequence[str]
) -> None:
    """Raise `UserError` unless the parts judged these corpora; known before anything is asked."""
    if not records:
        return
    # Those of all parts are the same; see merge_parts.
    judged = {name: each["corpus"] for name, each in records[0]["identities"].items()}
    if judged != {corpus["name"]: _without_place(corpus) for corpus in corpora}:
        raise _judged_otherwise(folders)


def check_identities(
    records: Sequence[_Asked], identities: Mapping[str, Identity], folders: Sequence[str]
) -> None:
    """Raise `UserError` unless the parts judged what is scored, in the same way."""
    asked = {name: _content(identity) for name, identity in identities.items()}
    if records and records[0]["identities"] != asked:
        raise _judged_otherwise(folders)


def _judged_otherwise(folders: Sequence[str]) -> UserError:
    return UserError(
        f"--merge: the parts ({folders[0]}, ...) judged other corpora, in another way or by other"
        " criteria; repeat their command with --merge in place of --part"
    )


def _asked(settings: ScoreSettings) -> _Asked:
    """What determines the questions and is known before the first."""
    judge = dataclasses.asdict(settings.judge)
    for name in ("criteria_file", "control_draws", "strict_judge", "weak_models"):
        del judge[name]
    endpoint = {} if settings.endpoint is None else settings.endpoint.identity()
    return {
        "endpoint": endpoint,
        "judge": judge,
        "draws": {
            "draws": settings.total_draws,
            "sample_size": settings.sample_size,
            "retest": settings.retest,
            "rounds": settings.rounds,
            "seed": settings.seed,
            "max_documents": settings.max_documents,
        },
    }


def _content(identity: Identity) -> dict[str, Any]:
    """An identity without the place where the corpus was read from."""
    # As a file gives it back: lists in place of tuples.
    corpus = _without_place(identity["corpus"])
    found: dict[str, Any] = json.loads(json.dumps({**identity, "corpus": corpus}))
    return found


def _without_place(corpus: CorpusRecord) -> dict[str, Any]:
    kept = {key: value for key, value in corpus.items() if key != "path"}
    found: dict[str, Any] = json.loads(json.dumps(kept))
    return found
