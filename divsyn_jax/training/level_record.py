"""What a run was trained on, written into its directory:

the diversity level, every source, and how diverse it was scored.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import Mixture
from divsyn_jax.data.shards import ShardedWindows

SCORE_FILE = "score.json"
LEVEL_FILE = "level.json"


def describe_level(level: Mapping[str, Any], mixture: Mixture) -> dict[str, Any]:
    """The content of a run's level.json: `level` and `sources` by name.

    The level is the recipe's, or else that of the shards: the content of level.json in the first
    folder that has one, which a study puts there; {} for none. A source has its weight, folder,
    data fingerprint, size, the corpora it was built from, and the scores of those: the content of
    score.json in the shards folder or the corpus's own, null where there is none. Raises
    `UserError` for a score of another version of the corpus."""
    sources = {}
    for source, windows in zip(mixture.sources, mixture.windows, strict=True):
        corpora = [
            {key: corpus.get(key) for key in ("name", "path", "documents", "fingerprint")}
            for corpus in windows.manifest.get("sources", [])
        ]
        sources[source.name] = {
            "folder": source.folder,
            "weight": source.weight,
            "fingerprint": windows.fingerprint,
            "windows": len(windows),
            "unique_tokens": min(
                source.tokens or windows.manifest["targets"], windows.manifest["targets"]
            ),
            "corpora": corpora,
            "score": _score(windows, corpora),
        }
    return {"level": dict(level) or _level(mixture), "sources": sources}


def _level(mixture: Mixture) -> dict[str, Any]:
    """The level that the shards of a mixture belong to, {} where nobody put one."""
    places = [windows.folder / LEVEL_FILE for windows in mixture.windows]
    return next((files.read_json(path) for path in places if path.is_file()), {})


def _score(windows: ShardedWindows, corpora: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The score of the corpus of these shards, None where nobody put one."""
    places = [
        windows.folder / SCORE_FILE,
        *(_beside(corpus["path"]) for corpus in corpora if corpus["path"]),
    ]
    for path in places:
        if not path.is_file():
            continue
        score = files.read_json(path)
        try:
            fingerprint = score["corpus"]["fingerprint"]
        except (KeyError, TypeError):
            raise UserError(
                f"{path}: not a score (no corpus fingerprint); score the corpus with score_corpus"
            ) from None
        if fingerprint not in [corpus["fingerprint"] for corpus in corpora]:
            raise UserError(
                f"{path}: the score of another corpus or version ({fingerprint[:12]}) than"
                f" {windows.folder} was built from; score the corpus again, or remove the file"
            )
        return score
    return None


def _beside(corpus: str) -> pathlib.Path:
    """Where the score of a corpus lies: in its folder.

    A file has one to itself when generate_corpus wrote it.
    """
    path = pathlib.Path(corpus)
    own = path if path.is_dir() or not (path.parent / "manifest.json").is_file() else path.parent
    return own / SCORE_FILE
